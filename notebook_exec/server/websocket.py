"""One websocket of a client of a room, as the room's Transport (SPEC D1, D8)."""

from __future__ import annotations

from collections.abc import Awaitable

from tornado.websocket import WebSocketHandler

MAX_REASON_BYTES = 123  # RFC 6455, 5.5: a close frame's payload has 125 bytes, 2 are the code


class SocketTransport:
    """Sends to one websocket."""

    def __init__(self, handler: WebSocketHandler) -> None:
        self._handler = handler

    def send(self, data: bytes) -> Awaitable[None]:
        """Send one message, at once if the socket takes it. WebSocketClosedError if it is gone."""
        return self._handler.write_message(data, binary=True)

    def close(self, code: int, reason: str) -> None:
        """Close it; what a close frame cannot hold of ``reason`` is cut off."""
        cut = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
        self._handler.close(code, cut)
