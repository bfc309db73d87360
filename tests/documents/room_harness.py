"""Pages of a room without sockets: what the room sends waits in an inbox until it is flushed."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from jupyter_ydoc import YNotebook
from pycrdt import Awareness, Doc, TransactionEvent

from notebook_exec.core.model import DocumentId, User
from notebook_exec.documents import protocol
from notebook_exec.documents.protocol import MessageType, Reader, SyncStep
from notebook_exec.documents.room import Room, RoomClient

ALICE = User("alice", "Alice")
DOCUMENT = DocumentId("json:notebook:1")


class HeldJournal:
    """Keeps what is appended; commits at once, or when told if ``is_held``."""

    def __init__(self, *, is_held: bool = False) -> None:
        self.is_held = is_held
        self.stored: list[bytes] = []
        self.alongside: list[object] = []
        self._waiting: deque[tuple[bytes, Sequence[object], Callable[[bool], None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many appends are not committed."""
        return len(self._waiting)

    def append(
        self,
        document_id: DocumentId,
        update: bytes,
        alongside: Sequence[object],
        then: Callable[[bool], None],
    ) -> None:
        """A ``Journal``'s."""
        self._waiting.append((update, alongside, then))
        if not self.is_held:
            self.commit()

    def commit(self, count: int | None = None) -> None:
        """Commit the next ``count`` appends, or all."""
        for _ in range(len(self._waiting) if count is None else count):
            update, alongside, then = self._waiting.popleft()
            if update:
                self.stored.append(update)
            self.alongside.extend(alongside)
            then(True)


class Socket:
    """The room's end of a connection. ``is_stuck``: the other end reads nothing."""

    def __init__(self) -> None:
        self.inbox: deque[bytes] = deque()
        self.is_stuck = False
        self.closed: tuple[int, str] | None = None
        self._unstuck = asyncio.Event()

    async def send(self, data: bytes) -> None:
        """A ``Transport``'s."""
        if self.is_stuck:
            await self._unstuck.wait()
        self.inbox.append(data)

    def close(self, code: int, reason: str) -> None:
        """A ``Transport``'s."""
        self.closed = (code, reason)

    def unstick(self) -> None:
        """Read on."""
        self.is_stuck = False
        self._unstuck.set()


class Page:
    """A client with a document of its own, as a browser's page has one."""

    def __init__(self, *, can_write: bool = True, user: User = ALICE) -> None:
        self.doc: Doc[Any] = Doc()
        self.notebook = YNotebook(self.doc)
        self.awareness = Awareness(self.doc)
        self.can_write = can_write
        self.user = user
        self.socket = Socket()
        self.client: RoomClient | None = None
        self.raw: list[dict[str, Any]] = []
        self.kinds: list[tuple[int, int]] = []
        self._subscription = self.doc.observe(self._changed)
        self._is_remote = False

    @property
    def closed(self) -> tuple[int, str] | None:
        """Code and reason with which the room closed the connection."""
        return self.socket.closed

    def connect(self, room: Room) -> None:
        """A new connection; the page asks for what it has missed."""
        self.socket = Socket()
        self.client = room.connect(self.socket, can_write=self.can_write, user=self.user)
        self.send(protocol.step1(self.doc.get_state()))

    def disconnect(self) -> None:
        """The network is gone."""
        if self.client is not None:
            self.client.closed()
            self.client = None

    def send(self, message: bytes) -> None:
        """Send, if connected."""
        if self.client is not None:
            self.client.receive(message)

    def show(self, state: dict[str, Any]) -> None:
        """Say who and where the page's user is."""
        self.awareness.set_local_state(state)
        update = self.awareness.encode_awareness_update([self.awareness.client_id])
        self.send(protocol.awareness(update))

    def flush(self, count: int | None = None) -> None:
        """Take the next ``count`` messages that have arrived, or all."""
        for _ in range(len(self.socket.inbox) if count is None else count):
            self._take(self.socket.inbox.popleft())

    def _changed(self, event: TransactionEvent) -> None:
        if not self._is_remote:
            self.send(protocol.update(event.update))

    def _take(self, message: bytes) -> None:
        reader = Reader(message)
        kind = reader.varuint()
        if kind == MessageType.SYNC:
            step = reader.varuint()
            self.kinds.append((kind, step))
            self._sync(step, reader.buffer())
            return
        self.kinds.append((kind, 0))
        if kind == MessageType.AWARENESS:
            self.awareness.apply_awareness_update(reader.buffer(), "remote")
        else:
            self.raw.append(json.loads(reader.string()))

    def _sync(self, step: int, payload: bytes) -> None:
        if step == SyncStep.STEP1:
            self.send(protocol.step2(self.doc.get_update(payload)))
            return
        self._is_remote = True
        with self.doc.transaction(origin="remote"):
            self.doc.apply_update(payload)
        self._is_remote = False


async def settle(*pages: Page) -> None:
    """Run what is ready until nothing is left to send, and let ``pages`` take it."""
    for _ in range(200):
        for _ in range(5):
            await asyncio.sleep(0)
        if not any(page.socket.inbox for page in pages):
            return
        for page in pages:
            page.flush()
    raise AssertionError("the room does not come to rest")


def cell(cell_id: str, source: str = "", **more: Any) -> dict[str, Any]:
    """A code cell."""
    made: dict[str, Any] = {
        "id": cell_id,
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    made.update(more)
    return made


def notebook(*cells: dict[str, Any]) -> YNotebook:
    """A document of these cells."""
    made = YNotebook()
    made.set({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    return made


def room_of(
    *cells: dict[str, Any],
    journal: HeldJournal | None = None,
    max_message_bytes: int = 2**20,
    max_backlog_bytes: int = 2**20,
) -> Room:
    """A room with a notebook of these cells; its content counts as committed."""
    return Room(
        DOCUMENT,
        notebook(*cells),
        journal if journal is not None else HeldJournal(),
        max_message_bytes=max_message_bytes,
        max_backlog_bytes=max_backlog_bytes,
    )
