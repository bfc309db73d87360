"""The far end of a connection: whether it is there, gone, or there again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq
from zmq.utils.monitor import parse_monitor_message

_FIRST_LIMIT_S = 10.0
_LOST_LIMIT_S = 1.0  # the rest of K1's two seconds is for ZMQ's own next attempt


class Connection:
    """Tells when a socket is connected and when that broke. To be made before ``connect``."""

    def __init__(self, socket: zmq.Socket[bytes], on_change: Callable[[bool], None]) -> None:
        """``on_change`` is told whether there is a connection now."""
        self._socket = socket
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        events = zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.DISCONNECTED
        self._monitor = socket.get_monitor_socket(events)
        self._monitor.linger = 0
        self._loop.add_reader(self._monitor.FD, self._read)
        # The descriptor tells only what changes, and may have done so already.
        self._first_read = self._loop.call_soon(self._read)

    def close(self) -> None:
        """Tell no more. To be called, once, before the socket is closed."""
        self._first_read.cancel()
        self._loop.remove_reader(self._monitor.FD)
        self._socket.disable_monitor()
        self._monitor.close(linger=0)

    def _read(self) -> None:
        while not self._monitor.closed:
            try:
                frames = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            event = parse_monitor_message(frames)["event"]
            self._on_change(event == zmq.Event.HANDSHAKE_SUCCEEDED)


class PeerMonitor:
    """Life and death of a kernel whose process nobody here can see (G5).

    A process that dies closes its connections, whatever it was doing. A connection that comes
    back may lead to another process, and which of its requests the old one took is not known:
    so a connection that broke is a process that ended.
    """

    def __init__(self, on_gone: Callable[[], None], on_back: Callable[[bool], None]) -> None:
        """``on_back`` is told whether ``on_gone`` came before. The first limit runs from now."""
        self._on_gone = on_gone
        self._on_back = on_back
        self._loop = asyncio.get_running_loop()
        self._was_connected = False
        self._gone = False
        self._timer: asyncio.TimerHandle | None = None
        self._expect(_FIRST_LIMIT_S)

    def on_change(self, connected: bool) -> None:
        """Take note of what a ``Connection`` to it tells."""
        if not connected:
            if self._timer is None and not self._gone:
                self._expect(_LOST_LIMIT_S)
            return
        self.close()
        was_known, was_gone = self._was_connected or self._gone, self._gone
        self._was_connected, self._gone = True, False
        if was_known:
            self._on_back(was_gone)

    def close(self) -> None:
        """Wait for nothing any more. May be repeated."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expect(self, limit_s: float) -> None:
        self._timer = self._loop.call_later(limit_s, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        self._gone = True
        self._on_gone()
