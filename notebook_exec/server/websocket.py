"""What our websockets share; and one of a client of a room, as its Transport (SPEC D1, D8)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.websocket import WebSocketHandler

from .base import WithServices

_SLACK_BYTES = 2**20
MAX_REASON_BYTES = 123  # RFC 6455, 5.5: a close frame's payload has 125 bytes, 2 are the code


class SocketHandler(WithServices, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """A websocket of the extension's own."""

    @property
    def limit_bytes(self) -> int:
        """The largest message that is accepted; a larger one is answered with the reason."""
        raise NotImplementedError

    @property
    def max_message_size(self) -> int:
        """A little above that: tornado would close without a reason."""
        return self.limit_bytes + _SLACK_BYTES

    def get_compression_options(self) -> dict[str, Any] | None:
        """No compression: messages are small, and it costs more than it saves on one machine."""
        return None


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
