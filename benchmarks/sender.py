"""Sends a request with as little work of its own as can be: what is measured is the server."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp


class Sender:
    """Connections that are kept, one for each request that is under way.

    A general client takes 0.5 ms to make and send a request.
    """

    def __init__(self, url: str, token: str) -> None:
        self._parts = urlsplit(url)
        self._head = (
            f"Host: {self._parts.netloc}\r\nAuthorization: token {token}\r\nContent-Length: "
        )
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: Any) -> Any:
        """The JSON that comes back. Raises for anything but success."""
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\n{self._head}{len(data)}\r\n\r\n"
        if not self._idle:
            parts = self._parts
            self._idle.append(await asyncio.open_connection(parts.hostname, parts.port))
        reader, writer = self._idle.pop()
        writer.write(head.encode() + data)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = int(answer.split(" ", 2)[1])
        _, _, after = answer.partition("content-length: ")
        content = await reader.readexactly(int(after.split("\r", 1)[0]) if after else 0)
        self._idle.append((reader, writer))
        if status >= 400:
            raise RuntimeError(f"POST {path}: {status} {content.decode()}")
        return json.loads(content) if content else None

    async def close(self) -> None:
        """Let go of all connections."""
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()


class Submissions:
    """The websocket by which a page of notebook_exec asks for its runs."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self._socket = socket
        self._open: dict[str, asyncio.Future[Any]] = {}
        self._count = 0
        self._task = asyncio.create_task(self._receive())

    @classmethod
    async def connect(cls, session: aiohttp.ClientSession) -> Submissions:
        """Open it."""
        return cls(await session.ws_connect("/api/executions/socket"))

    async def post(self, body: Any) -> Any:
        """The JSON that comes back. Raises for anything but success."""
        self._count += 1
        name = str(self._count)
        answered = self._open[name] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(f'{{"id": "{name}"}}\n{json.dumps(body)}')
        return await answered

    async def _receive(self) -> None:
        async for message in self._socket:
            head, _, body = message.data.partition("\n")
            told = json.loads(head)
            answered = self._open.pop(told["id"])
            if told["status"] >= 400:
                answered.set_exception(RuntimeError(f"{told['status']} {body}"))
            else:
                answered.set_result(json.loads(body))

    async def close(self) -> None:
        """Close it."""
        await self._socket.close()
        await asyncio.gather(self._task, return_exceptions=True)
