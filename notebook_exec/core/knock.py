"""When to knock at a kernel that was sent a request and does not begin it."""

from __future__ import annotations

from collections.abc import Callable

_FIRST_S = 1.0


class Knocker:
    """Looks after requests that were sent; ``knock`` wakes a kernel that sleeps over them.

    A kernel that waits for the descriptor of its ZMQ socket can miss that something came: the
    descriptor tells once, and whatever is done with the socket may use that up. It does not look
    again until a connection comes or goes. What knocks at one that is only busy does no harm.
    """

    def __init__(
        self,
        call_later: Callable[[float, Callable[[], None]], object],
        knock: Callable[[], None],
    ) -> None:
        self._call_later = call_later
        self._knock = knock
        self._unheard: dict[str, None] = {}
        self._seen: str | None = None
        self._pause_s = _FIRST_S
        self._is_planned = False

    def sent(self, request: str) -> None:
        """The kernel was sent ``request``, a message id."""
        self._unheard[request] = None
        self._plan()

    def heard(self, request: str) -> None:
        """The kernel said something about ``request``, so it has it."""
        self._unheard.pop(request, None)

    def forget(self) -> None:
        """There is no kernel, or another."""
        self._unheard.clear()

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            self._call_later(self._pause_s, self._look)

    def _look(self) -> None:
        self._is_planned = False
        before, self._seen = self._seen, next(iter(self._unheard), None)
        if self._seen is None or self._seen != before:
            self._pause_s = _FIRST_S
        else:
            self._pause_s *= 2  # it may be busy for hours with what somebody else sent
            self._knock()
        if self._seen is not None:
            self._plan()
