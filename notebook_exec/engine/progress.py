"""How far the journal of one kernel has come: taken in, stored, acknowledged (R2).

All that came of a kernel's messages is stored in one transaction with the position of the last of
them, whatever notebooks it is in. So after a crash the journal is read on from the stored
position, and every message has had its effect exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from notebook_exec.core.model import ExecutionId, Json, KernelId
from notebook_exec.store.ops import Op, PutMemory, SetPosition, SetWidgets

if TYPE_CHECKING:
    from notebook_exec.engine.writer import NotebookWriter

IDLE_S = 0.5
"""What changes no notebook is stored so late: it is only repeated if the server dies before."""


class Store(Protocol):
    """Where it is stored: a ``store.store.Store``."""

    def submit(self, ops: Sequence[Op], then: Callable[[bool], None] | None = None) -> None:
        """Write all or none of ``ops``."""

    def together(self) -> AbstractContextManager[None]:
        """Make one transaction of all that is submitted meanwhile."""


class Remembered(Protocol):
    """The outputs of a kernel: ``core.outputs.KernelOutputs``, and those without a cell."""

    def memory_of(self, execution_id: ExecutionId) -> Mapping[str, Json]:
        """What must be stored beside the notebook, to go on with a run."""

    def widgets_memory(self) -> Mapping[str, Json]:
        """What must be stored to go on with the Output widgets."""

    def ack(self, position: int) -> None:
        """All up to ``position`` is stored."""


class Progress:
    """Of one kernel. Nothing happens as long as its messages have no positions."""

    def __init__(self, kernel_id: KernelId, store: Store, kernel: Remembered) -> None:
        self._kernel_id = kernel_id
        self._store = store
        self._kernel = kernel
        self.position = 0
        self._stored = 0
        self.writers: set[NotebookWriter] = set()
        """Those that have something of this kernel which is not written yet."""
        self._heard: set[ExecutionId] = set()
        self._memories: dict[ExecutionId, Mapping[str, Json]] = {}
        self._widgets: Mapping[str, Json] = {}
        self._timer: asyncio.TimerHandle | None = None

    def resume(
        self,
        position: int,
        memories: Mapping[ExecutionId, Mapping[str, Json]],
        widgets: Mapping[str, Json],
    ) -> None:
        """Go on from what is stored."""
        self.position = self._stored = position
        self._memories = dict(memories)
        self._widgets = widgets

    def take(self, position: int, execution_ids: Iterable[ExecutionId]) -> None:
        """Messages up to ``position`` were taken in; they were about these runs."""
        self.position = position
        self._heard.update(execution_ids)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_S, self._due)

    def note(self, execution_id: ExecutionId) -> None:
        """What must be known to go on with this run may have changed."""
        if self.position:
            self._heard.add(execution_id)

    def follow(self, writer: NotebookWriter) -> None:
        """What was gathered goes by this writer too."""
        if self.position:
            self.writers.add(writer)
            writer.follows(self)

    def mark(self) -> None:
        """Store how far it is, in the transaction of all writers: there is nothing unwritten."""
        self.writers.clear()
        ops: list[Op] = []
        for execution_id in self._heard:
            memory = self._kernel.memory_of(execution_id)
            if memory != self._memories.get(execution_id, {}):
                ops.append(PutMemory(execution_id, self._kernel_id, memory))
                self._memories[execution_id] = memory
                if not memory:
                    del self._memories[execution_id]
        self._heard.clear()
        widgets = self._kernel.widgets_memory()
        if widgets != self._widgets:
            ops.append(SetWidgets(self._kernel_id, dict(widgets)))
            self._widgets = widgets
        if self.position > self._stored:
            ops.append(SetPosition(self._kernel_id, self.position))
            self._stored = self.position
        if ops:
            position = self.position
            self._store.submit(ops, lambda durable: self._committed(position, durable))

    def close(self) -> None:
        """Store nothing more by itself."""
        if self._timer is not None:
            self._timer.cancel()

    def flush(self) -> None:
        """Write all that came of this kernel's messages, and how far it is."""
        commit(self._store, (), (self,))

    def _due(self) -> None:
        self._timer = None
        if self.position > self._stored or self._heard:
            self.flush()

    def _committed(self, position: int, durable: bool) -> None:
        if durable:
            self._kernel.ack(position)


def commit(
    store: Store, writers: Iterable[NotebookWriter], kernels: Iterable[Progress] = ()
) -> None:
    """Write what these have gathered, and in the same transaction all that hangs together with it.

    A kernel's position holds for every notebook that it writes to, and a notebook may have been
    written to by several kernels.
    """
    all_writers, all_kernels = set(writers), set(kernels)
    news: list[NotebookWriter | Progress] = [*all_writers, *all_kernels]
    while news:
        one = news.pop()
        if isinstance(one, Progress):
            news.extend(one.writers - all_writers)
            all_writers |= one.writers
        else:
            news.extend(one.kernels - all_kernels)
            all_kernels |= one.kernels
    with store.together():
        for writer in all_writers:
            writer.write()
        for kernel in all_kernels:
            kernel.mark()
