"""Executions as the world may know them: committed ones, their waiters and their events (R4)."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable

from notebook_exec.core.model import CellId, DocumentId, Execution, ExecutionId

CellKey = tuple[DocumentId, CellId]


class Ledger:
    """The latest committed value of each execution that is not over, and of recent ones that are.

    ``keep``: how many that are over stay in memory; older ones are the store's.
    ``keep_events``: how far back ``events`` can resume.
    """

    def __init__(self, *, keep: int = 2000, keep_events: int = 10_000) -> None:
        self._executions: OrderedDict[ExecutionId, Execution] = OrderedDict()
        self._over: deque[ExecutionId] = deque()
        self._keep = keep
        self._last_run: dict[CellKey, ExecutionId] = {}
        self._waiters: dict[ExecutionId, set[asyncio.Future[None]]] = {}
        # Numbers go on growing across restarts of the server, so that a client that resumes
        # with an old one is not mistaken for one that is ahead.
        self._sequence = time.time_ns() // 1000
        self._events: deque[tuple[int, Execution]] = deque(maxlen=keep_events)
        self._listeners: set[asyncio.Event] = set()
        self._closed = False

    @property
    def sequence(self) -> int:
        """The number of the last event."""
        return self._sequence

    def get(self, execution_id: ExecutionId) -> Execution | None:
        """The committed execution, if it is in memory."""
        return self._executions.get(execution_id)

    def all(self) -> Iterable[Execution]:
        """All in memory, in the order in which they were accepted."""
        return self._executions.values()

    def last_run(self, key: CellKey) -> ExecutionId | None:
        """The last execution that started in a cell, as far as this server knows."""
        return self._last_run.get(key)

    def started(self, key: CellKey, execution_id: ExecutionId) -> ExecutionId | None:
        """Note that a run began in a cell; return the run whose outputs it replaces."""
        before = self._last_run.get(key)
        self._last_run[key] = execution_id
        return before

    def publish(self, executions: Iterable[Execution]) -> None:
        """Make committed values known: to readers, waiters and event streams."""
        for execution in executions:
            self._executions[execution.id] = execution
            self._sequence += 1
            self._events.append((self._sequence, execution))
            if execution.state.is_final:
                self._over.append(execution.id)
            for waiter in self._waiters.pop(execution.id, ()):
                if not waiter.done():
                    waiter.set_result(None)
        while len(self._over) > self._keep:
            self._executions.pop(self._over.popleft(), None)
        for listener in self._listeners:
            listener.set()

    async def wait(
        self,
        execution_id: ExecutionId,
        until: Callable[[Execution], bool],
        timeout_s: float,
    ) -> None:
        """Return when ``until`` holds for the committed execution, or after ``timeout_s``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not self._closed:
            execution = self._executions.get(execution_id)
            left = deadline - loop.time()
            if execution is None or until(execution) or left <= 0:
                return
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.setdefault(execution_id, set()).add(waiter)
            try:
                await asyncio.wait_for(waiter, left)
            except asyncio.TimeoutError:
                return
            finally:
                waiters = self._waiters.get(execution_id)
                if waiters is not None:
                    waiters.discard(waiter)

    async def events(
        self, after: int | None, wanted: Callable[[Execution], bool]
    ) -> AsyncIterator[tuple[int, Execution]]:
        """Each committed change from now on, or from the one numbered ``after`` on."""
        news = asyncio.Event()
        self._listeners.add(news)
        position = self._sequence if after is None else after
        try:
            while not self._closed:
                news.clear()
                # What lies between is forgotten, or was numbered by the server before.
                known = self._sequence
                for number, execution in [e for e in self._events if e[0] > position]:
                    position = number
                    if wanted(execution):
                        yield number, execution
                position = max(position, known)
                if self._sequence <= position:
                    await news.wait()
        finally:
            self._listeners.discard(news)

    def close(self) -> None:
        """End all waits and event streams."""
        self._closed = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        for listener in self._listeners:
            listener.set()
