"""The server's next request, which needs no word of the server when the one before ends well."""

from __future__ import annotations

from collections.abc import Callable


class Successor:
    """At most one, held until the kernel has replied "ok" to ``after`` and is idle after it."""

    def __init__(self, go: Callable[[str, list[bytes]], None]) -> None:
        """``go`` gets the id and the frames of what is to be forwarded now."""
        self._go = go
        self.after = ""  # nothing is held
        self.request_id = ""
        self._frames: list[bytes] = []
        self._is_idle = self._is_replied = False

    def hold(self, after: str, request_id: str, frames: list[bytes]) -> None:
        """In place of what was held before."""
        self.after, self.request_id, self._frames = after, request_id, frames
        self._is_idle = self._is_replied = False

    def drop(self) -> None:
        """It is forwarded when the server says so. May be repeated."""
        self.hold("", "", [])

    def on_idle(self, msg_id: str) -> None:
        """The kernel has done all there was to do for a request."""
        if msg_id and msg_id == self.after:
            self._is_idle = True
            self._look()

    def on_reply(self, msg_id: str, status: object) -> None:
        """The kernel has replied to a request."""
        if msg_id and msg_id == self.after:
            self._is_replied = status == "ok"
            if self._is_replied:
                self._look()
            else:
                self.drop()  # whether it is to run after an error, the server knows

    def _look(self) -> None:
        if self._is_idle and self._is_replied:
            request_id, frames = self.request_id, self._frames
            self.drop()
            self._go(request_id, frames)
