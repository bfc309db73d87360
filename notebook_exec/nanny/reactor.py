"""One thread that waits for sockets, descriptors and moments."""

from __future__ import annotations

import heapq
import selectors
import sys
import time
from collections.abc import Callable
from itertools import count

import zmq

from notebook_exec import multipart

Socket = zmq.Socket[bytes]

_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)


class Reactor:
    """Calls back what was registered. Nothing in here is touched by another thread.

    That output is read in time is not its work: libzmq's own thread does that, without a limit.

    ``zmq_poll`` would ask each of a dozen sockets, with a system call or two, for each message of
    one of them. So the sockets' descriptors are waited for. A descriptor tells only that something
    happened, once, and sending or receiving may use that up: a socket is asked again after both.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._readers: dict[Socket | int, Callable[[], None]] = {}
        self._used: dict[Socket, None] = {}  # since it was asked last
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._running = False
        self._failures = 0

    def add_reader(self, source: Socket | int, callback: Callable[[], None]) -> None:
        """Call ``callback`` as long as ``source`` has something to read. May be repeated."""
        if source not in self._readers:
            self._selector.register(_descriptor(source), selectors.EVENT_READ, source)
        self._readers[source] = callback
        self._note_use(source)

    def remove_reader(self, source: Socket | int) -> None:
        """Undo ``add_reader``, before ``source`` is closed. May be repeated."""
        if self._readers.pop(source, None) is not None:
            self._selector.unregister(_descriptor(source))

    def send(self, socket: Socket, frames: list[bytes]) -> None:
        """Send a message on a socket that is read from here. Never waits."""
        self._used[socket] = None
        multipart.send(socket, frames)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` once. It is not taken back: it looks whether it still counts."""
        moment = time.monotonic() + delay_s
        heapq.heappush(self._timers, (moment, next(self._numbers), callback))

    def run(self, after_each: Callable[[], None]) -> None:
        """Until ``stop``; ``after_each`` follows each round of callbacks."""
        self._running = True
        while self._running:
            for source in self._wait():
                # An earlier callback of this round may have taken it out.
                callback = self._readers.get(source)
                if callback is not None:
                    self._note_use(source)
                    self._call(callback)
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                self._call(heapq.heappop(self._timers)[2])
            self._call(after_each)

    def stop(self) -> None:
        """Let ``run`` return after this round."""
        self._running = False

    def _wait(self) -> list[Socket | int]:
        """What may have something to read, as soon as there is any, or when it is time."""
        used, self._used = self._used, {}
        ready: dict[Socket | int, None] = {
            socket: None
            for socket in used
            if socket in self._readers and int(socket.getsockopt(_EVENTS)) & _POLLIN
        }
        for key, _ in self._selector.select(0 if ready else self._timeout_s()):
            ready[key.data] = None
        return list(ready)

    def _note_use(self, source: Socket | int) -> None:
        if not isinstance(source, int):
            self._used[source] = None

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:  # the border: an error in here is not to cost the kernel its life
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # ever more seldom
                sys.excepthook(*sys.exc_info())

    def _timeout_s(self) -> float | None:
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None


def _descriptor(source: Socket | int) -> int:
    return source if isinstance(source, int) else source.FD
