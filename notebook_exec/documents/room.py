"""One shared document and its clients: what is committed, in order, is sent (SPEC D1, D8, R4)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Protocol

import pycrdt
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Awareness, Doc, Subscription, TransactionEvent

from notebook_exec.core.model import DocumentId, User

from . import protocol
from .guard import authors_of
from .integrate import integrate, is_panic
from .leftovers import are_of_server
from .protocol import BadMessage, Reader
from .room_client import GOING_AWAY, Outgoing, RoomClient, Transport
from .undo import release_undo_manager

__all__ = ["Journal", "Room", "RoomClient", "Transport"]

log = logging.getLogger(__name__)

# With an origin, a transaction stays out of jupyter_ydoc's own undo manager, which would keep
# every deleted text of every frame for ever.
CLIENT_ORIGIN = "client"
SERVER_ORIGIN = "server"


class Journal(Protocol):
    """What documents need of a store."""

    def append(
        self,
        document_id: DocumentId,
        update: bytes,
        alongside: Sequence[object],
        then: Callable[[bool], None],
    ) -> None:
        """Commit ``update`` (nothing if empty) and ``alongside`` as one.

        ``then(durable)`` is called in the order of the calls, and for each of them.
        """


class Room:
    """A document, its clients, and the one line in which changes are committed and told.

    A change, whoever made it, goes to the journal at once and to the clients when the journal says
    that it is there. ``max_message_bytes`` is the most a client may send in one message,
    ``max_backlog_bytes`` the most that may wait for one client. To be used from one event loop.
    """

    def __init__(
        self,
        document_id: DocumentId,
        ydocument: YBaseDoc,
        journal: Journal,
        *,
        max_message_bytes: int,
        max_backlog_bytes: int,
    ) -> None:
        self.document_id = document_id
        self.ydocument = ydocument
        self.doc: Doc[Any] = ydocument.ydoc
        self.max_message_bytes = max_message_bytes
        self.max_backlog_bytes = max_backlog_bytes
        self.on_empty: Callable[[], None] | None = None
        """Called when the last client has left."""
        self.on_raw: Callable[[str], Awaitable[object] | None] | None = None
        """Called with "save" when a page asks for it; the page hears how what it returns ended."""
        self.on_unseen: list[Callable[[], None]] = []
        """Called after a change that observers of the document may not have been told."""
        self.from_client = False
        """For observers: whether the transaction that they see is a client's."""
        self.around_leftovers: Callable[[], AbstractContextManager[None]] | None = None
        """Around an update with something by another server, which the store may not have (R7)."""
        self._journal = journal
        self._clients: set[RoomClient] = set()
        self._had_gap = False
        self._ending: set[asyncio.Future[None]] = set()
        self._is_transacting = False
        self._captured = b""
        self._strays: list[bytes] = []
        self._appended = 0
        self._committed = 0
        self._answers: deque[tuple[int, RoomClient, bytes]] = deque()
        self._all_committed: asyncio.Future[None] | None = None
        self.is_closed = False
        ydocument.undo_manager.clear()  # what loading left there
        self._subscription: Subscription | None = self.doc.observe(self._on_update)
        self.awareness = Awareness(self.doc)
        self.awareness.set_local_state(None)  # the server is nobody's collaborator
        self.awareness.observe(self._on_awareness)

    # --- clients ---

    @property
    def client_count(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    @property
    def clients(self) -> int:
        """The same as ``client_count``."""
        return len(self._clients)

    def connect(self, transport: Transport, *, can_write: bool, user: User) -> RoomClient:
        """A new client. It is asked what it has, and told who is here."""
        client = RoomClient(self, transport, can_write=can_write, user=user)
        if self.is_closed:
            client.close(GOING_AWAY, "the document is being closed")
            return client
        self._clients.add(client)
        client.put(Outgoing(protocol.step1(self.doc.get_state())))
        present = list(self.awareness.states)
        if present:
            state = self.awareness.encode_awareness_update(present)
            client.put(Outgoing(protocol.awareness(state)))
        return client

    def leave(self, client: RoomClient) -> None:
        """Called by a client that is gone: nobody sees its cursor any more."""
        self._clients.discard(client)
        for task in client.tasks:
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self.awareness.remove_awareness_states(list(client.awareness_ids), client)
        if self._clients:
            return
        self.awareness.meta.clear()  # clocks of all who ever were here
        if self.on_empty is not None and not self.is_closed:
            self.on_empty()

    async def close(self) -> None:
        """Let all clients go, and wait until all changes are committed. Safe to call twice."""
        self.is_closed = True
        for client in list(self._clients):
            client.close(GOING_AWAY, "the document is being closed")
        await asyncio.gather(*self._ending, return_exceptions=True)
        self._commit_strays()
        if self._committed < self._appended:
            if self._all_committed is None:
                self._all_committed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._all_committed)
        if self._subscription is not None:
            self.doc.unobserve(self._subscription)
            self._subscription = None
        release_undo_manager(self.ydocument)

    async def save(self) -> str:
        """Have the document saved, as pages ask for; how it went, in their words."""
        if self.on_raw is None:
            return "skipped"
        try:
            saved = self.on_raw("save")
            if saved is not None:
                await saved
        except Exception:
            # The border to files; what went wrong is told by their owner.
            log.debug("%s: a save failed", self.document_id, exc_info=True)
            return "failed"
        return "success"

    # --- changes ---

    @contextmanager
    def transact(
        self, alongside: Sequence[object] = (), then: Callable[[bool], None] | None = None
    ) -> Iterator[None]:
        """A change by the server: one transaction, one update, committed with ``alongside``.

        ``then(durable)`` is called after the commit, when clients have been told. Must not span an
        await. If the body raises, what it has changed by then is told (a transaction cannot be
        taken back), but ``alongside`` is not stored. A room that is closed stores nothing any more:
        RuntimeError.
        """
        if self._is_transacting:
            raise RuntimeError("transactions do not nest")
        if self._subscription is None:
            raise RuntimeError(f"{self.document_id} is closed")
        self._is_transacting = True
        self._captured = b""
        is_complete = False
        try:
            with self.doc.transaction(origin=SERVER_ORIGIN):
                yield
                is_complete = True
        finally:
            self._is_transacting = False
            update, self._captured = self._captured, b""
            if is_complete:
                if update or alongside or then is not None:
                    self._commit(update, alongside, then, None)
            elif update:
                self._commit(update, (), None, None)

    def apply(self, client: RoomClient, update: bytes) -> bool:
        """Apply a client's update; whether it changed anything. ValueError: not decodable."""
        authors = authors_of(update)
        if self.doc.client_id in authors and self._is_forged(update):
            raise BadMessage("it writes in the name of the server")
        if self.around_leftovers is not None and are_of_server(authors):
            with self.around_leftovers():
                return self._apply(client, update)
        return self._apply(client, update)

    def _apply(self, client: RoomClient, update: bytes) -> bool:
        self._is_transacting = self.from_client = True
        self._captured = b""
        try:
            self._transact_for_client(update)
        finally:
            self._is_transacting = self.from_client = False
            changed, self._captured = self._captured, b""
            if changed == protocol.EMPTY_UPDATE:
                # What leaves a gap after its author's last is told with what fills the gap; and
                # until then observers are not told of all that its author did. Who fills it, on
                # which connection, cannot be known.
                changed = b""
                self._had_gap = True
                self._tell_unseen()
            elif changed and self._had_gap:
                self._tell_unseen()
            if changed:
                self._commit(changed, (), None, client)
        return bool(changed)

    def _transact_for_client(self, update: bytes) -> None:
        is_applied = False
        try:
            with self.doc.transaction(origin=CLIENT_ORIGIN):
                integrate(self.doc, update)
                is_applied = True
        except BaseException as error:
            if not (is_applied and is_panic(error)):
                raise
            # Of some keys that several set at once, pycrdt cannot say how they changed. It panics
            # then instead of telling observers, whose own news end there too.
            log.debug("%s: a change that nobody saw", self.document_id, exc_info=True)
            self._captured = update
            self._tell_unseen()

    def _tell_unseen(self) -> None:
        for callback in self.on_unseen:
            callback()

    def _is_forged(self, update: bytes) -> bool:
        """Whether it has something by the server that the server has not written.

        The server's own next change would have the same number, and never arrive anywhere.
        """
        news = pycrdt.get_update(update, self.doc.get_state())
        return self.doc.client_id in authors_of(news)

    def is_news(self, update: bytes) -> bool:
        """Whether ``update`` inserts what the document has not. ValueError: not decodable."""
        return Reader(pycrdt.get_update(update, self.doc.get_state())).varuint() > 0

    def _on_update(self, event: TransactionEvent) -> None:
        if self._is_transacting:
            self._captured = event.update
            return
        # A change by code that knows no rooms. A journal may read the document, which cannot be
        # done in an observer.
        if not self._strays:
            asyncio.get_running_loop().call_soon(self._commit_strays)
        self._strays.append(event.update)

    def _commit_strays(self) -> None:
        strays, self._strays = self._strays, []
        for update in strays:
            self._append(update, (), None, None)

    def _commit(
        self,
        update: bytes,
        alongside: Sequence[object],
        then: Callable[[bool], None] | None,
        sender: RoomClient | None,
    ) -> None:
        self._commit_strays()
        self._append(update, alongside, then, sender)

    def _append(
        self,
        update: bytes,
        alongside: Sequence[object],
        then: Callable[[bool], None] | None,
        sender: RoomClient | None,
    ) -> None:
        self._appended += 1
        done = partial(self._on_committed, update, sender, then)
        try:
            self._journal.append(self.document_id, update, alongside, done)
        except BaseException:
            self._appended -= 1
            raise

    def _on_committed(
        self,
        update: bytes,
        sender: RoomClient | None,
        then: Callable[[bool], None] | None,
        durable: bool,
    ) -> None:
        self._committed += 1
        if update:
            outgoing = Outgoing(protocol.update(update), update)
            for client in list(self._clients):
                synced_at = client.synced_at
                if client is not sender and synced_at is not None and self._committed > synced_at:
                    client.put(outgoing)
        while self._answers and self._answers[0][0] <= self._committed:
            _, client, message = self._answers.popleft()
            client.put_answer(message)
        if self._all_committed is not None and self._committed == self._appended:
            self._all_committed.set_result(None)
            self._all_committed = None
        if then is not None:
            then(durable)

    def answer(self, client: RoomClient, state: bytes) -> None:
        """Answer a client's step 1, once all that the answer holds is committed (R4)."""
        self._commit_strays()
        message = protocol.step2(self.doc.get_update(state))
        if client.synced_at is None:
            client.synced_at = self._appended
        if self._committed == self._appended:
            client.put_answer(message)
        else:
            self._answers.append((self._appended, client, message))

    # --- awareness ---

    def _on_awareness(self, topic: str, event: tuple[dict[str, Any], Any]) -> None:
        """Tell all, the sender too: pages take its echo for the sign that the server is there."""
        if topic != "update":
            return
        changes, origin = event
        present, gone = changes["added"] + changes["updated"], changes["removed"]
        for client in self._clients:
            client.awareness_ids.difference_update(gone)
            if isinstance(origin, RoomClient):
                client.awareness_ids.difference_update(present)
        if isinstance(origin, RoomClient):
            origin.awareness_ids.update(present)
        if self._clients:
            state = self.awareness.encode_awareness_update(present + gone)
            outgoing = Outgoing(protocol.awareness(state))
            for client in list(self._clients):
                client.put(outgoing)
