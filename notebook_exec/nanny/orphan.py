"""For how long a nanny has been without a server (K7)."""

from __future__ import annotations

_MAX_LOOK_S = 30.0


class Orphanhood:
    """Looks now and then, and counts only time in which it could have looked.

    A process that was stopped, or whose machine slept, was not left alone meanwhile: the server
    may be just about to connect again (K6).
    """

    def __init__(self, timeout_s: float, now: float) -> None:
        self._timeout_s = timeout_s
        self.interval_s = min(_MAX_LOOK_S, timeout_s / 4)
        self._looked_at = now
        self._alone_s = 0.0
        self._was_seen = False

    def seen(self) -> None:
        """A server came; it may be gone again by the next look."""
        self._was_seen = True

    def look(self, now: float, *, is_alone: bool) -> bool:
        """To be called every ``interval_s``. Whether it has been alone for too long."""
        passed_s = min(max(0.0, now - self._looked_at), 2 * self.interval_s)
        self._looked_at = now
        self._alone_s = self._alone_s + passed_s if is_alone and not self._was_seen else 0.0
        self._was_seen = False
        return self._alone_s > self._timeout_s
