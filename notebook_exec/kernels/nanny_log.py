"""A reader of a kernel's log, and of its nanny's figures, on a connection that may only look on."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from notebook_exec.core.wire import OBSERVER, Frame, Kind
from notebook_exec.kernels.nanny_client import NannyAddress, NannyClient, NannyRefused

_ANSWER_LIMIT_S = 10.0


class Piece(NamedTuple):
    """Some of a log, and the offset where it really begins. Empty: there is no more yet."""

    offset: int
    data: bytes


class NannyLog:
    """Belongs to the running event loop. ``close`` it."""

    def __init__(self, address: NannyAddress) -> None:
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._client = NannyClient(address._replace(lease=OBSERVER))
        self._client.connect()
        self._fd = self._client.socket.FD
        self._loop.add_reader(self._fd, self._came.set)
        self._asked: int | None = None  # the number of a follow that was not answered yet

    async def status(self) -> dict[str, Any]:
        """What the nanny says of itself and of its kernel. Raises ``NannyRefused``."""
        return (await self._command(Kind.STATUS, {})).fields

    async def read(self, offset: int) -> Piece:
        """What is there from ``offset`` on. Raises ``NannyRefused``."""
        frame = await self._command(Kind.LOG, {"offset": offset})
        return Piece(int(frame.fields["offset"]), frame.parts[0])

    async def follow(self, offset: int, limit_s: float) -> Piece | None:
        """As ``read``, when there is something; None after ``limit_s``, or if the kernel ended.

        Then comes the same ``offset`` again, by this; or ``read``, and this never again.
        """
        if self._asked is None:
            self._asked = self._client.send(Kind.LOG, {"offset": offset, "follow": True})
        frame = await self._receive(self._asked, limit_s)
        if frame is None:
            return None
        self._asked = None
        return Piece(int(frame.fields["offset"]), frame.parts[0])

    def close(self) -> None:
        """May be repeated."""
        self._loop.remove_reader(self._fd)
        self._client.close(linger_ms=200)

    async def _command(self, kind: Kind, fields: dict[str, Any]) -> Frame:
        await self._welcomed()
        frame = await self._receive(self._client.send(kind, fields), _ANSWER_LIMIT_S)
        if frame is None:
            raise NannyRefused("the nanny does not answer")
        return frame

    async def _welcomed(self) -> None:
        if not self._client.is_welcome:
            await self._receive(-1, _ANSWER_LIMIT_S)
        if not self._client.is_welcome:
            raise NannyRefused("the nanny does not answer")

    async def _receive(self, number: int, limit_s: float) -> Frame | None:
        """The answer to the message with ``number``, or the welcome; None if it does not come.

        None too for who follows the log, when a notice says that the kernel has ended.
        """
        deadline = self._loop.time() + limit_s
        while True:
            self._came.clear()
            while (frame := self._client.receive()) is not None:
                if frame.kind is Kind.WELCOME and number < 0:
                    return frame
                if frame.kind in (Kind.DONE, Kind.ERROR) and frame.fields.get("re") == number:
                    if frame.kind is Kind.ERROR:
                        raise NannyRefused(str(frame.fields.get("message")))
                    return frame
                if frame.fields.get("event") == "exited" and number == self._asked:
                    return None
            remaining_s = deadline - self._loop.time()
            if remaining_s <= 0:
                return None
            try:
                await asyncio.wait_for(self._came.wait(), remaining_s)
            except asyncio.TimeoutError:
                continue
