"""One thread that waits for sockets, descriptors and moments."""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import zmq

Readable = Any  # a zmq.Socket or a file descriptor


class Reactor:
    """Calls back what was registered. Nothing in here is touched by another thread.

    That output is read in time is not its work: libzmq's own thread does that, without a limit.
    """

    def __init__(self) -> None:
        self._poller = zmq.Poller()
        self._readers: dict[Readable, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._running = False
        self._failures = 0

    def add_reader(self, source: Readable, callback: Callable[[], None]) -> None:
        """Call ``callback`` as long as ``source`` has something to read. May be repeated."""
        if source not in self._readers:
            self._poller.register(source, zmq.POLLIN)
        self._readers[source] = callback

    def remove_reader(self, source: Readable) -> None:
        """Undo ``add_reader``. May be repeated."""
        if self._readers.pop(source, None) is not None:
            self._poller.unregister(source)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` once. It is not taken back: it looks whether it still counts."""
        moment = time.monotonic() + delay_s
        heapq.heappush(self._timers, (moment, next(self._numbers), callback))

    def run(self, after_each: Callable[[], None]) -> None:
        """Until ``stop``; ``after_each`` follows each round of callbacks."""
        self._running = True
        while self._running:
            for source, events in self._poller.poll(self._timeout_ms()):
                # An earlier callback of this round may have taken it out.
                callback = self._readers.get(source)
                if callback is not None and events:
                    self._call(callback)
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                self._call(heapq.heappop(self._timers)[2])
            self._call(after_each)

    def stop(self) -> None:
        """Let ``run`` return after this round."""
        self._running = False

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:  # the border: an error in here is not to cost the kernel its life
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # ever more seldom
                sys.excepthook(*sys.exc_info())

    def _timeout_ms(self) -> int | None:
        if not self._timers:
            return None
        # Rounded up: a moment is never waited for in a busy loop.
        return max(0, int((self._timers[0][0] - time.monotonic()) * 1000) + 1)
