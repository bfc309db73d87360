"""A plain y-websocket client of one room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pycrdt import (
    Awareness,
    Doc,
    YMessageType,
    YSyncMessageType,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)
from server_harness import TOKEN, Client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed


class YClient:
    """Keeps ``doc`` in step with the room; ``raw`` are the messages for pages."""

    def __init__(self, socket: ClientConnection, doc: Doc[Any]) -> None:
        self.socket = socket
        self.doc = doc
        self.awareness = Awareness(doc)
        self.raw: list[bytes] = []
        self._changed = asyncio.Condition()
        self._synced = False
        self._applying = False
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self._subscription = doc.observe(self._on_update)

    def _on_update(self, event: Any) -> None:
        if not self._applying:
            self._out.put_nowait(create_update_message(event.update))

    async def run(self) -> None:
        sender = asyncio.ensure_future(self._send())
        try:
            self._out.put_nowait(create_sync_message(self.doc))
            async for message in self.socket:
                assert isinstance(message, bytes)
                self._handle(message)
                async with self._changed:
                    self._changed.notify_all()
        finally:
            sender.cancel()
            await asyncio.wait([sender])

    def _handle(self, message: bytes) -> None:
        if message[0] == YMessageType.SYNC:
            self._applying = True
            reply = handle_sync_message(message[1:], self.doc)
            self._applying = False
            self._synced |= message[1] == YSyncMessageType.SYNC_STEP2
            if reply is not None:
                self._out.put_nowait(reply)
        elif message[0] == YMessageType.AWARENESS:
            length_bytes = 1
            while message[length_bytes] & 0x80:
                length_bytes += 1
            self.awareness.apply_awareness_update(message[length_bytes + 1 :], "remote")
        else:
            self.raw.append(message)

    def leave(self) -> None:
        """``doc`` may go on with another client."""
        self.doc.unobserve(self._subscription)

    async def _send(self) -> None:
        while True:
            await self.socket.send(await self._out.get())

    def present(self, state: dict[str, Any]) -> None:
        """Tell the others about oneself."""
        self.awareness.set_local_state(state)
        update = self.awareness.encode_awareness_update([self.awareness.client_id])
        self._out.put_nowait(create_awareness_message(update))

    async def until(self, is_true: Callable[[], object], timeout: float = 30) -> None:
        """Return when ``is_true`` after some message."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(is_true), timeout)

    async def synced(self) -> None:
        await self.until(lambda: self._synced)


def room_url(server: Client, room_id: str, session_id: str | None = None, **query: str) -> str:
    named = dict(query)
    if session_id is not None:
        named["sessionId"] = session_id
    text = "&".join(f"{name}={value}" for name, value in named.items())
    return f"ws://127.0.0.1:{server.port}{server.url('/api/collaboration/room/')}{room_id}?{text}"


@asynccontextmanager
async def joined(
    server: Client,
    room_id: str,
    session_id: str | None = None,
    doc: Doc[Any] | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[YClient]:
    """A client in the room, in step with it."""
    given = {"Authorization": f"token {TOKEN}", **(headers or {})}
    url = room_url(server, room_id, session_id)
    async with connect(url, additional_headers=given, max_size=None) as socket:
        client = YClient(socket, Doc() if doc is None else doc)
        running = asyncio.ensure_future(client.run())
        try:
            await client.synced()
            yield client
        finally:
            running.cancel()
            await asyncio.wait([running])
            client.leave()


async def closing(server: Client, room_id: str, session_id: str | None = None) -> tuple[int, str]:
    """The code and the reason with which the server closes a websocket by itself."""
    headers = {"Authorization": f"token {TOKEN}"}
    async with connect(room_url(server, room_id, session_id), additional_headers=headers) as socket:
        try:
            while True:
                await asyncio.wait_for(socket.recv(), 10)
        except ConnectionClosed:
            return socket.close_code or 0, socket.close_reason or ""
