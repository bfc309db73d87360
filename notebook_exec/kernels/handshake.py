"""When a kernel is ready: it answers, and what it publishes is heard."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable

from notebook_exec.kernels.messages import Parent, Wire
from notebook_exec.kernels.sockets import Sockets

log = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.02
_LAST_RETRY_S = 1.0
_SILENT_IOPUB_S = 5.0


class Handshake:
    """Asks one kernel process for kernel_info until it is ready.

    Asked on shell and on control: a kernel that is busy with a long cell answers on control only.
    Any message on iopub proves that the subscription is live: the welcome of JEP 65 where a
    kernel sends one, else a status that a request of ours brought about. Requests are never
    lost, only that status is, when it comes before the subscription: so ask again.
    """

    def __init__(self, sockets: Sockets, wire: Wire, on_ready: Callable[[], None]) -> None:
        self.done = False
        self._sockets = sockets
        self._wire = wire
        self._on_ready = on_ready
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._retry_s = _FIRST_RETRY_S
        self._prefix = f"ready-{uuid.uuid4().hex}-"
        self._sent = 0
        self._heard = False
        self._answered_at: float | None = None
        for channel in ("shell", "control"):
            self._ask(channel)

    def is_own(self, parent: Parent) -> bool:
        """Whether a message answers a request of this handshake."""
        return parent.msg_id.startswith(self._prefix)

    def saw(self, channel: str, parent: Parent) -> None:
        """Take note of a message of the kernel."""
        if self.done:
            return
        if channel == "iopub":
            self._heard = True
        elif self.is_own(parent):
            if self._answered_at is None:
                self._answered_at = self._loop.time()
            if not self._heard and channel not in self._timers:
                self._ask_later(channel)
        if self._answered_at is not None and self._heard:
            self._finish()

    def close(self) -> None:
        """Ask no more. May be repeated."""
        self.done = True
        for timer in self._timers.values():
            timer.cancel()

    def _ask(self, channel: str) -> None:
        self._timers.pop(channel, None)
        answered_at = self._answered_at
        if answered_at is not None and self._loop.time() > answered_at + _SILENT_IOPUB_S:
            log.warning("the kernel answers but publishes nothing: its output may be missing")
            self._finish()
            return
        self._sent += 1
        msg_id = f"{self._prefix}{self._sent}"
        self._sockets.send(channel, self._wire.build("kernel_info_request", msg_id, {}))

    def _ask_later(self, channel: str) -> None:
        self._timers[channel] = self._loop.call_later(self._retry_s, self._ask, channel)
        self._retry_s = min(self._retry_s * 1.5, _LAST_RETRY_S)

    def _finish(self) -> None:
        self.close()
        self._on_ready()
