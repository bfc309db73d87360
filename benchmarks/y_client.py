"""A collaborator: one websocket into a document's room, and the document as it arrives there."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
from pycrdt import (
    Array,
    Doc,
    Map,
    Text,
    YMessageType,
    create_sync_message,
    handle_sync_message,
)


class YClient:
    """Applies every update as soon as it comes, and nothing else."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self._socket = socket
        self.doc: Doc[Any] = Doc()
        self.cells: Array[Any] = self.doc.get("cells", type=Array)
        self.changed = asyncio.Event()
        self.changed_at = 0.0
        self.updates = 0
        self._task = asyncio.create_task(self._receive())

    @classmethod
    async def connect(cls, session: aiohttp.ClientSession, url: str) -> YClient:
        """Open the room at ``url`` and ask for what is in it."""
        socket = await session.ws_connect(url, max_msg_size=0)
        client = cls(socket)
        await socket.send_bytes(create_sync_message(client.doc))
        return client

    async def _receive(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            data = message.data
            if data[0] != YMessageType.SYNC:
                continue
            reply = handle_sync_message(data[1:], self.doc)
            if reply is not None:
                await self._socket.send_bytes(reply)
                continue
            self.changed_at = time.perf_counter()
            self.updates += 1
            self.changed.set()

    @property
    def is_open(self) -> bool:
        """Whether the server still talks to this client."""
        return not self._task.done()

    async def close(self) -> None:
        """Leave the room."""
        await self._socket.close()
        await asyncio.gather(self._task, return_exceptions=True)


class CellMeter:
    """How far one cell is, at one client; looks only at what may have changed since."""

    def __init__(self, client: YClient, index: int) -> None:
        self._client = client
        self._index = index
        self._settled = 0  # outputs that another output follows: these do not change any more
        self._settled_size = 0

    def cell(self) -> Map[Any]:
        """The cell as it is now."""
        cell: Map[Any] = self._client.cells[self._index]
        return cell

    def outputs(self) -> int:
        """How many outputs there are."""
        with self._client.doc.transaction():
            return len(self.cell()["outputs"])

    def stream_size(self) -> int:
        """The length of all stream outputs' texts."""
        with self._client.doc.transaction():
            outputs = self.cell()["outputs"]
            last = len(outputs) - 1
            if last < self._settled:  # cleared meanwhile
                self._settled = self._settled_size = 0
            while self._settled < last:
                self._settled_size += _size(outputs[self._settled])
                self._settled += 1
            return self._settled_size + (_size(outputs[last]) if last >= 0 else 0)

    def last_text(self) -> str:
        """The text of the last output."""
        with self._client.doc.transaction():
            outputs = self.cell()["outputs"]
            return _text(outputs[-1]) if len(outputs) else ""

    def text(self) -> str:
        """The text of all outputs."""
        with self._client.doc.transaction():
            return "".join(_text(output) for output in self.cell()["outputs"])

    def is_finished(self) -> bool:
        """Whether the cell ran and is idle again."""
        with self._client.doc.transaction():
            cell = self.cell()
            state = cell.get("execution_state")
            return cell["execution_count"] is not None and state in (None, "idle")


def _value(output: Any) -> Any:
    return output.get("text") or ""


def _size(output: Any) -> int:
    value = _value(output)
    # The length of a Text is that of its UTF-8, which is what it is here: all lines are ASCII.
    return len(value) if isinstance(value, Text | str) else len(_text(output))


def _text(output: Any) -> str:
    value = _value(output)
    return str(value) if isinstance(value, Text | str) else "".join(str(part) for part in value)
