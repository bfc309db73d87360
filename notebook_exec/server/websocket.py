"""One websocket of a client of a room, as the room's Transport (SPEC D1, D8)."""

from __future__ import annotations

from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

MAX_REASON_BYTES = 123  # RFC 6455, 5.5: a close frame's payload has 125 bytes, 2 are the code


class SocketTransport:
    """Sends to one websocket; raises ConnectionError when it is gone."""

    def __init__(self, handler: WebSocketHandler) -> None:
        self._handler = handler

    async def send(self, data: bytes) -> None:
        """Send one message and wait until the socket has taken it (back pressure)."""
        try:
            await self._handler.write_message(data, binary=True)
        except (WebSocketClosedError, StreamClosedError) as error:
            raise ConnectionError("the websocket is closed") from error

    def close(self, code: int, reason: str) -> None:
        """Close it; what a close frame cannot hold of ``reason`` is cut off."""
        cut = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
        self._handler.close(code, cut)
