"""The next cell of a request, sent to where the kernel is before it is its turn (decision 22)."""

from __future__ import annotations

from collections.abc import Callable

from notebook_exec.core.model import ExecutionId
from notebook_exec.core.scheduler import Scheduler
from notebook_exec.kernels.link import Link


class LookAhead:
    """At most one execution of ``scheduler``, the one that will follow the one that runs."""

    def __init__(
        self, scheduler: Scheduler, send: Callable[[ExecutionId, ExecutionId], None]
    ) -> None:
        """``send`` takes what to send, and the one after which it is to run."""
        self._scheduler = scheduler
        self._send = send
        self._withdrawing = 0  # how many wait for that
        self.sent: ExecutionId | None = None
        """What the kernel may get, or may have got, without our word."""

    def look(self, link: Link | None) -> bool:
        """Send what is next. Whether what was sent has to be withdrawn, as it will not run."""
        running = self._scheduler.running
        if self.sent == running:
            self.sent = None
        if self._withdrawing or link is None or not link.looks_ahead:
            return False
        if self.sent is not None:
            return self.sent not in self._scheduler.executions
        upcoming = self._scheduler.upcoming
        if upcoming is not None and running is not None:
            self.sent = upcoming
            self._send(upcoming, running)
        return False

    async def withdraw(self, link: Link | None) -> None:
        """Have nothing sent ahead; if it is too late, what shows that is taken in on return.

        What follows in the same turn of the event loop comes before the next ``look``.
        """
        if self.sent is None or link is None:
            return
        self._withdrawing += 1
        try:
            await link.withdraw(self.sent)
            self.sent = None
        finally:
            self._withdrawing -= 1
