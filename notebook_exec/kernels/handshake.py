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
_LIMIT_S = 5.0  # after its first answer


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
        self._retries: dict[str, asyncio.TimerHandle] = {}
        self._retry_s = _FIRST_RETRY_S
        self._limit: asyncio.TimerHandle | None = None
        self._prefix = f"ready-{uuid.uuid4().hex}-"
        self._sent = 0
        self._answered = False
        self._heard = False
        self._connected = False
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
            self._answered = True
            if self._limit is None:
                self._limit = self._loop.call_later(_LIMIT_S, self._give_up)
            if not self._heard and channel not in self._retries:
                self._retries[channel] = self._loop.call_later(self._retry_s, self._ask, channel)
                self._retry_s = min(self._retry_s * 1.5, _LAST_RETRY_S)
        self._check()

    def connected(self) -> None:
        """Take note of stdin's connection: questions of the kernel will arrive."""
        self._connected = True
        self._check()

    def close(self) -> None:
        """Ask no more. May be repeated."""
        self.done = True
        for timer in self._retries.values():
            timer.cancel()
        if self._limit is not None:
            self._limit.cancel()

    def _ask(self, channel: str) -> None:
        self._retries.pop(channel, None)
        self._sent += 1
        msg_id = f"{self._prefix}{self._sent}"
        self._sockets.send(channel, self._wire.build("kernel_info_request", msg_id, {}))

    def _check(self) -> None:
        if self._answered and self._heard and self._connected and not self.done:
            self._finish()

    def _give_up(self) -> None:
        missing = "publishes nothing" if not self._heard else "does not listen on stdin"
        log.warning("the kernel answers but %s; cells are run all the same", missing)
        self._finish()

    def _finish(self) -> None:
        self.close()
        self._on_ready()
