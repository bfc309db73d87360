"""What people ask of a kernel besides running code (SPEC A4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from tornado.iostream import StreamClosedError

from notebook_exec.core.model import ExecutionState, InvalidInput, Json, KernelId
from notebook_exec.kernels.kernel_logs import LogView
from notebook_exec.kernels.operations import signal_number

from . import fields
from .base import ApiHandler, allowed

_TEXT = "text/plain; charset=utf-8"


class Kernels(Protocol):
    """What the handlers need; ``kernels.operations.KernelOperations`` says what it does."""

    def is_interrupt(self, kernel_id: KernelId, signum: int) -> bool:
        """NotFound."""
        ...

    async def signal(self, kernel_id: KernelId, signum: int) -> None:
        """NotFound, Conflict."""
        ...

    async def hard_restart(self, kernel_id: KernelId) -> dict[str, Json]:
        """The kernel's model. NotFound, Conflict, KernelStartError."""
        ...

    async def status(self, kernel_id: KernelId) -> dict[str, Json]:
        """NotFound."""
        ...

    async def log(self, kernel_id: KernelId, offset: int, *, follow: bool) -> LogView:
        """NotFound, Conflict."""
        ...


class HardRestartHandler(ApiHandler):
    """``/api/kernels/{id}/hard-restart``."""

    @allowed("execute", "kernels")
    async def post(self, kernel_id: str) -> None:
        """Start the kernel anew under the same id, with all that surrounds it (K3)."""
        kernel = fields.kernel_id(kernel_id)
        if self.request.body.strip():
            fields.only(self.json_object(), ())
        self.reply(await self.services.kernels.hard_restart(kernel))


class SignalHandler(ApiHandler):
    """``/api/kernels/{id}/signal``."""

    @allowed("execute", "kernels")
    async def post(self, kernel_id: str) -> None:
        """Send ``{"signal"}``, a name or a number, to the kernel's process group (K4)."""
        kernel = fields.kernel_id(kernel_id)
        body = self.json_object()
        fields.only(body, ("signal",))
        if "signal" not in body:
            raise InvalidInput("signal is missing", field="signal")
        await self._send(kernel, signal_number(body["signal"]))
        self.set_status(204)
        self.finish()

    async def _send(self, kernel: KernelId, number: int) -> None:
        services = self.services
        if services.kernels.is_interrupt(kernel, number):
            running = await services.engine.find(kernel_id=kernel, state=ExecutionState.RUNNING)
            if running:  # stop means stop, and who did it is shown (Q8)
                await services.engine.interrupt_kernel(kernel, self.user)
                return
        await services.kernels.signal(kernel, number)


class StatusHandler(ApiHandler):
    """``/api/kernels/{id}/status``."""

    @allowed("read", "kernels")
    async def get(self, kernel_id: str) -> None:
        """Tell how the kernel's process is."""
        self.reply(await self.services.kernels.status(fields.kernel_id(kernel_id)))


class KernelLogHandler(ApiHandler):
    """``/api/kernels/{id}/log``: what the kernel's process wrote to its stdout and stderr (K5)."""

    _pump: asyncio.Task[None] | None = None
    _client_gone = False

    @allowed("read", "kernels")
    async def get(self, kernel_id: str) -> None:
        """Send it from ``offset`` on; with ``follow`` also what comes, until the kernel ends."""
        kernel = fields.kernel_id(kernel_id)
        offset = _offset(self.query("offset"))
        follow, download = _flag(self, "follow"), _flag(self, "download")
        view = await self.services.kernels.log(kernel, offset, follow=follow)
        self.set_header("Content-Type", _TEXT)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")  # nginx would hold it back
        self.set_header("X-Log-Offset", str(view.offset))
        self.set_header("X-Log-End", str(view.end))
        self.set_header("Access-Control-Expose-Headers", "X-Log-Offset, X-Log-End")
        if download:
            self.set_header("Content-Disposition", f'attachment; filename="kernel-{kernel}.log"')
        self._pump = asyncio.ensure_future(self._send(view.chunks))
        try:
            await self._pump
        except asyncio.CancelledError:
            if not self._client_gone:
                raise
            return
        except StreamClosedError:
            return
        await self.finish(set_content_type=_TEXT)

    async def _send(self, chunks: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(chunks):
            await self.flush()  # the headers, before there is anything to read
            async for chunk in chunks:
                self.write(chunk)
                await self.flush()

    def on_connection_close(self) -> None:
        """Stop when the reader went away."""
        self._client_gone = True
        if self._pump is not None:
            self._pump.cancel()
        super().on_connection_close()


def _offset(value: str | None) -> int:
    if value is None:
        return 0
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise InvalidInput("offset must be a number of bytes, not below zero", field="offset")
    return int(value)


def _flag(handler: ApiHandler, name: str) -> bool:
    value = handler.query(name)
    if value in (None, "0", "false"):
        return False
    if value in ("1", "true"):
        return True
    raise InvalidInput(f"{name} must be 1 or 0", field=name)
