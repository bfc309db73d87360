"""One client of a room: what it sends is checked here, what it is sent goes through one queue."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pycrdt import merge_updates

from notebook_exec.core.model import Json, User

from . import protocol
from .guard import check_depth
from .protocol import BadMessage, MessageType, Reader, SyncStep

if TYPE_CHECKING:
    from .room import Room

log = logging.getLogger(__name__)

# Close codes of RFC 6455, 7.4, and IANA's registry. Not 1003: pages take it for a lost session.
GOING_AWAY = 1001
INVALID_DATA = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013

MERGE_FROM = 8
"""So many waiting updates go as one: a page that lags has fewer to draw."""
MERGE_BYTES = 2**20
MAX_STATES = 10_000  # in one awareness message; pages repeat those of others
MAX_OWN_STATES = 100
READ_ONLY = {
    "type": "read-only",
    "message": "You may read this document but not edit it: your changes were not taken over.",
}


class Transport(Protocol):
    """One websocket."""

    def send(self, data: bytes) -> Awaitable[None]:
        """Send one message; done when the socket has taken it (back pressure).

        If it can, it sends before it returns. Raises, whatever it likes, when the socket is gone.
        """

    def close(self, code: int, reason: str) -> None:
        """Close the socket."""


class Outgoing:
    """A message for clients. ``update``: what it tells of the document, if that can be merged."""

    __slots__ = ("counted_bytes", "data", "update")

    def __init__(
        self, data: bytes, update: bytes | None = None, *, is_counted: bool = True
    ) -> None:
        self.data = data
        self.update = update
        self.counted_bytes = len(data) if is_counted else 0


class RoomClient:
    """A client that is connected. Made by ``Room.connect``."""

    def __init__(self, room: Room, transport: Transport, *, can_write: bool, user: User) -> None:
        self.can_write = can_write
        self.user = user
        self.synced_at: int | None = None
        """The number of the last commit that its first answer to step 1 holds; None before."""
        self.awareness_ids: set[int] = set()
        """The awareness states that came from it last, and go with it."""
        self._room = room
        self._transport = transport
        self._queue: deque[Outgoing] = deque()
        self._backlog_bytes = 0
        self._sending: asyncio.Future[None] | None = None
        self._is_gone = False
        self._is_told = False
        self._is_answering = False
        self._asked_again: bytes | None = None
        self._unplaced_bytes = 0
        self._save_ids: list[int] = []
        self._saving: asyncio.Task[None] | None = None

    # --- its end ---

    def closed(self) -> None:
        """Its socket is gone."""
        if self._is_gone:
            return
        self._is_gone = True
        self._queue.clear()
        if self._sending is not None:
            self._sending.cancel()
        self._room.leave(self)

    def close(self, code: int, reason: str) -> None:
        """Cut it off, and nobody else; ``code`` and ``reason`` tell it why (D8)."""
        if not self._is_gone:
            self.closed()
            self._transport.close(code, reason)

    async def aclose(self, code: int = GOING_AWAY, reason: str = "") -> None:
        """Cut it off; when this returns nothing of it runs."""
        self.close(code, reason)
        await asyncio.gather(*self.tasks, return_exceptions=True)

    @property
    def tasks(self) -> list[asyncio.Future[None]]:
        """What runs for it, and may still run for a moment after its end."""
        return [task for task in (self._sending, self._saving) if task is not None]

    # --- what it sends ---

    def receive(self, data: bytes) -> None:
        """Take one message. Never raises: a bad one closes this client alone."""
        if self._is_gone:
            return
        limit = self._room.max_message_bytes
        if len(data) > limit:
            self.close(TOO_BIG, f"a message has {len(data)} bytes, at most {limit} are allowed")
            return
        try:
            self._handle(data)
        except ValueError as error:
            self.close(INVALID_DATA, f"a message cannot be decoded: {error}")
        except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            # The border to pycrdt, whose panics are no Exceptions: no message may end the server.
            log.exception("a message of %s broke the room", self.user.username)
            self.close(INTERNAL_ERROR, "the message could not be processed")

    def _handle(self, data: bytes) -> None:
        reader = Reader(data)
        kind = reader.varuint()
        if kind == MessageType.SYNC:
            self._handle_sync(reader)
        elif kind == MessageType.AWARENESS:
            self._handle_awareness(reader.buffer())
        elif kind == MessageType.RAW and reader.string() == "save":
            self._save(reader.varuint())

    def _handle_sync(self, reader: Reader) -> None:
        step = reader.varuint()
        if step == SyncStep.STEP1:
            self._ask(reader.buffer())
        elif step in (SyncStep.STEP2, SyncStep.UPDATE):
            update = reader.buffer()
            if update == protocol.EMPTY_UPDATE:
                return
            check_depth(update)
            if self.can_write:
                self._apply(update)
            elif step == SyncStep.UPDATE or self._room.is_news(update):
                self._tell_read_only()  # (S1)

    def _ask(self, state: bytes) -> None:
        """Answers hold up to the whole document: one at a time, however often it asks."""
        if self._is_answering:
            self._asked_again = state
            return
        self._is_answering = True
        try:
            self._room.answer(self, state)
        except BaseException:
            self._is_answering = False
            raise

    def _apply(self, update: bytes) -> None:
        if self._room.apply(self, update):
            self._unplaced_bytes = 0
        elif self._room.is_news(update):
            # It builds on something that is not here: ask for all, and do not keep such for ever.
            self._unplaced_bytes += len(update)
            if self._unplaced_bytes > self._room.max_message_bytes:
                self.close(POLICY_VIOLATION, "its changes build on others that it does not send")
            else:
                self.put(Outgoing(protocol.step1(self._room.doc.get_state())))

    def _tell_read_only(self) -> None:
        if not self._is_told:
            self._is_told = True
            self.put(Outgoing(protocol.raw(READ_ONLY)))

    def _handle_awareness(self, payload: bytes) -> None:
        states = protocol.read_awareness(payload, max_states=MAX_STATES)
        known = self._room.awareness.states
        own = {s.client_id for s in states if not s.is_gone and s.client_id not in known}
        if len(own | self.awareness_ids) > MAX_OWN_STATES:
            raise BadMessage("it speaks for too many clients")
        self._room.awareness.apply_awareness_update(payload, self)

    # --- saving ---

    def _save(self, save_id: int) -> None:
        if not self.can_write:
            self._answer_save(save_id, "failed")
            return
        self._save_ids.append(save_id)
        if self._saving is None or self._saving.done():
            self._saving = asyncio.get_running_loop().create_task(self._save_all())

    async def _save_all(self) -> None:
        while self._save_ids and not self._is_gone:
            save_ids, self._save_ids = self._save_ids, []
            status = await self._room.save()
            for save_id in save_ids:
                self._answer_save(save_id, status)

    def _answer_save(self, save_id: int, status: str) -> None:
        self.send_raw({"type": "save", "responseTo": save_id, "status": status})

    # --- what it is sent ---

    def send_raw(self, content: Mapping[str, Json]) -> None:
        """Send a message to the page around the document."""
        self.put(Outgoing(protocol.raw(content)))

    def put_answer(self, message: bytes) -> None:
        """Send the answer to step 1; its size is ours, so it is not held against the client."""
        self.put(Outgoing(message, is_counted=False))

    def put(self, outgoing: Outgoing) -> None:
        """Queue a message; who reads too slowly for that is cut off."""
        if self._is_gone:
            return
        self._queue.append(outgoing)
        self._backlog_bytes += outgoing.counted_bytes
        if self._backlog_bytes > self._room.max_backlog_bytes:
            waiting = self._backlog_bytes
            self.close(TRY_AGAIN_LATER, f"it reads too slowly: {waiting} bytes are waiting")
        elif self._sending is None:  # not by way of a task: its turn would come much later
            self._send_next()

    def _send_next(self) -> None:
        outgoing = self._queue.popleft()
        data, counted_bytes = outgoing.data, outgoing.counted_bytes
        if outgoing.update is not None and len(self._queue) >= MERGE_FROM:
            data, counted_bytes = self._merge(outgoing, outgoing.update)
        try:
            self._sending = asyncio.ensure_future(self._transport.send(data))
        except Exception as error:
            self._sending_failed(error)
            return
        self._sending.add_done_callback(partial(self._on_sent, counted_bytes))

    def _on_sent(self, counted_bytes: int, sending: asyncio.Future[None]) -> None:
        self._sending = None
        error = asyncio.CancelledError() if sending.cancelled() else sending.exception()
        if self._is_gone:
            return
        if error is not None:
            self._sending_failed(error)
            return
        self._backlog_bytes -= counted_bytes
        if counted_bytes == 0 and self._is_answering:
            self._is_answering = False
            if self._asked_again is not None:
                state, self._asked_again = self._asked_again, None
                self._ask(state)
        if self._queue and self._sending is None:
            self._send_next()

    def _sending_failed(self, error: BaseException) -> None:
        """Whatever a socket raises, the client is gone."""
        log.debug("%s left: %r", self.user.username, error)
        self.close(INTERNAL_ERROR, "sending failed")

    def _merge(self, first: Outgoing, update: bytes) -> tuple[bytes, int]:
        """One message of the updates at the head of the queue."""
        updates, counted_bytes = [update], first.counted_bytes
        while self._queue and counted_bytes < MERGE_BYTES:
            following = self._queue[0].update
            if following is None:
                break
            counted_bytes += self._queue.popleft().counted_bytes
            updates.append(following)
        return protocol.update(merge_updates(*updates)), counted_bytes
