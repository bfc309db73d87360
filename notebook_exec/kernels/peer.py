"""The far end of a connection, for kernels whose process nobody here can see (G5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq
from zmq.utils.monitor import parse_monitor_message

_FIRST_LIMIT_S = 10.0
_LOST_LIMIT_S = 1.0  # the rest of K1's two seconds is for ZMQ's own next attempt


class PeerMonitor:
    """Tells when the other side of a socket is gone, and when there is one again.

    A process that dies closes its connections, whatever it was doing. A connection that comes
    back may lead to another process, and which of its requests the old one took is not known:
    so a connection that broke is a process that ended.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        on_gone: Callable[[], None],
        on_back: Callable[[bool], None],
    ) -> None:
        """``on_back`` is told whether ``on_gone`` came before. To be made before ``connect``."""
        self._socket = socket
        self._on_gone = on_gone
        self._on_back = on_back
        self._loop = asyncio.get_running_loop()
        self._was_connected = False
        self._gone = False
        events = zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED
        self._monitor = socket.get_monitor_socket(events)
        self._monitor.linger = 0
        self._loop.add_reader(self._monitor.FD, self._read)
        self._timer: asyncio.TimerHandle | None = None
        self._expect(_FIRST_LIMIT_S)
        self._first_read = self._loop.call_soon(self._read)

    def close(self) -> None:
        """Tell no more. To be called, once, before the socket is closed."""
        self._first_read.cancel()
        self._cancel_timer()
        self._loop.remove_reader(self._monitor.FD)
        self._socket.disable_monitor()
        self._monitor.close(linger=0)

    def _read(self) -> None:
        while not self._monitor.closed:
            try:
                frames = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if parse_monitor_message(frames)["event"] == zmq.Event.DISCONNECTED:
                if self._timer is None and not self._gone:
                    self._expect(_LOST_LIMIT_S)
            else:
                self._connected()

    def _connected(self) -> None:
        self._cancel_timer()
        if self._was_connected or self._gone:
            self._on_back(self._gone)
        self._was_connected = True
        self._gone = False

    def _expect(self, limit_s: float) -> None:
        self._timer = self._loop.call_later(limit_s, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        self._gone = True
        self._on_gone()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
