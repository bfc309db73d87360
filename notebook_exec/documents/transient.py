"""Rooms without a file: they live as long as they have clients, and nothing of them is stored.

JupyterLab's users see each other in one, ``JupyterLab:globalAwareness`` (SPEC D1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from jupyter_ydoc import YUnicode

from notebook_exec.core.model import DocumentId

from .room import Room


class _NoJournal:
    """Says of each update that it is stored: there is nothing to be lost."""

    def append(
        self,
        document_id: DocumentId,
        update: bytes,
        alongside: Sequence[object],
        then: Callable[[bool], None],
    ) -> None:
        asyncio.get_running_loop().call_soon(then, True)


class TransientRooms:
    """The transient rooms that have clients."""

    def __init__(self, *, max_message_bytes: int, max_backlog_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._max_backlog_bytes = max_backlog_bytes
        self._rooms: dict[str, Room] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def open(self, room_id: str) -> Room:
        """The room of that name, made if there is none; it goes with its last client."""
        room = self._rooms.get(room_id)
        if room is None:
            room = Room(
                DocumentId(room_id),
                YUnicode(),
                _NoJournal(),
                max_message_bytes=self._max_message_bytes,
                max_backlog_bytes=self._max_backlog_bytes,
            )
            room.on_empty = lambda: self._drop(room_id)
            self._rooms[room_id] = room
        return room

    def _drop(self, room_id: str) -> None:
        room = self._rooms.pop(room_id, None)
        if room is not None:
            task = asyncio.get_running_loop().create_task(room.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all of them."""
        rooms = list(self._rooms.values())
        self._rooms.clear()
        await asyncio.gather(*(room.close() for room in rooms), *self._closing)
