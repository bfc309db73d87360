"""Gathers what the executions of a notebook change into frames, and commits them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from notebook_exec.core.model import (
    CellId,
    CellPatch,
    ClearOutputs,
    Execution,
    ExecutionId,
    ExecutionState,
    Frame,
    FrameResult,
    InsertCell,
    Output,
)
from notebook_exec.core.outputs import KernelOutputs
from notebook_exec.engine.logs import OutputLogs
from notebook_exec.engine.progress import Progress, Store, commit
from notebook_exec.engine.projection import cell_state, entry
from notebook_exec.store.ops import PutExecution

log = logging.getLogger(__name__)

BURST = 5
"""How many frames may follow each other at once before ``interval_s`` holds: one cell's start,
first output and end should not wait for each other."""
FLOOD_FRAMES = 10
"""After so many without a pause they come half as often: a page has work with each of them, and
nobody sees more in fifty changes of a second than in twenty-five."""
AT_ONCE = 0.0
BEGIN_S = 0.03
"""How long the begin of a run waits for its first output: a short cell is one frame, not three."""
QUIET_S = 0.25
"""How long a change that shows nothing new waits for one that does."""
CELLS_AT_ONCE = 25
"""Of a long queue, so many cells are shown as queued in one frame, of some 2 ms: in between comes
what the kernel says, which waits for its next cell."""


class Notebook(Protocol):
    """What is written to: a ``documents.notebook.LiveNotebook``."""

    def apply(
        self,
        frame: Frame,
        alongside: Sequence[object] = (),
        then: Callable[[bool], None] | None = None,
    ) -> FrameResult:
        """Apply a frame in one transaction and commit it with ``alongside``."""
        ...

    def outputs(self, cell_id: CellId) -> list[Output] | None:
        """The outputs of a code cell; None if there is none of that id."""
        ...


class NotebookWriter:
    """The one writer of a notebook's outputs, counts and states.

    ``interval_s``: frames follow each other at this distance when there is much to say.
    ``publish`` gets the executions of a frame once it is committed. ``store``: where the
    notebook's changes end up, for those that have to be one transaction with others.
    """

    def __init__(
        self,
        notebook: Notebook,
        logs: OutputLogs,
        *,
        interval_s: float,
        publish: Callable[[Sequence[Execution]], None],
        store: Store | None = None,
    ) -> None:
        self._store = store
        self.kernels: set[Progress] = set()
        """Those of which something is gathered here, and whose position is stored with it."""
        self._notebook = notebook
        self._logs = logs
        self._interval_s = interval_s
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._frame = Frame()
        self._changed: dict[ExecutionId, Execution] = {}
        self._shown: dict[CellId, Execution] = {}
        self._alongside: list[object] = []
        self._dirty: dict[ExecutionId, tuple[CellId, KernelOutputs]] = {}
        self._tokens = float(BURST)
        self._in_a_row = 0  # frames without a pause in which all tokens came back
        self._last = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def writes(self, notebook: object) -> bool:
        """Whether it is this notebook that it writes: one that was loaded anew is another."""
        return notebook is self._notebook

    def change(self, execution: Execution, shown: Execution) -> None:
        """Have an execution's new value stored, and its cell show ``shown`` of its executions."""
        assert execution.cell_id is not None
        self._changed[execution.id] = execution
        self.show(execution.cell_id, shown)
        patch = self._frame.cell(execution.cell_id)
        if execution.execution_count is not None:
            patch.execution_count = execution.execution_count
        if execution.record_timing and execution.timing.busy is not None:
            patch.timing = execution.timing

    def show(self, cell_id: CellId, shown: Execution) -> None:
        """Have a cell show ``shown`` of its executions, all of which are stored."""
        self._shown[cell_id] = shown

    def clear(self, cell_id: CellId) -> None:
        """Have a run start in a cell: old outputs, count and timing go (Q5)."""
        patch = self._frame.cell(cell_id)
        patch.edits = [ClearOutputs()]
        patch.expected_count = None
        patch.execution_count = None
        patch.timing = None
        patch.trusted = True
        for execution_id in [e for e, (cell, _) in self._dirty.items() if cell == cell_id]:
            del self._dirty[execution_id]

    def dirty(self, execution_id: ExecutionId, cell_id: CellId, outputs: KernelOutputs) -> None:
        """Have the edits that ``outputs`` holds for an execution written."""
        self._dirty[execution_id] = (cell_id, outputs)

    def next_input(self, cell_id: CellId, text: str, replace: bool) -> None:
        """Have a kernel's ``set_next_input`` done (O13)."""
        if replace:
            self._frame.cell(cell_id).source = text
        else:
            cell = {"cell_type": "code", "source": text, "metadata": {}, "outputs": []}
            self._frame.inserts.append(
                InsertCell(after=cell_id, cell={**cell, "execution_count": None})
            )

    def also(self, op: object) -> None:
        """Have a store operation committed with the next frame."""
        self._alongside.append(op)

    def touch(self, within_s: float = AT_ONCE, *, is_last: bool = False) -> None:
        """Write what is gathered within so many seconds, later only if frames are too frequent.

        ``is_last``: nothing follows for a while, so that this frame may come a bit early.
        """
        if not self._pending:
            return
        now = self._loop.time()
        interval_s = self._interval_s * (1 if self._in_a_row < FLOOD_FRAMES else 2)
        self._tokens = min(BURST, self._tokens + (now - self._last) / interval_s)
        self._last = now
        if self._tokens == BURST:
            self._in_a_row = 0
        is_free = is_last and self._tokens >= 0
        due = now + max(within_s, 0.0 if is_free else (1 - self._tokens) * interval_s)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due <= now:
            self.flush()
        else:
            self._timer = self._loop.call_at(due, self._due)

    @property
    def _pending(self) -> bool:
        gathered = (self._frame, self._dirty, self._changed, self._shown, self._alongside)
        return any(gathered)

    def _due(self) -> None:
        self._timer = None
        self._tokens = max(1.0, self._tokens)
        self._last = self._loop.time()
        self.flush()

    def _go_on(self) -> None:
        """With the next portion of a frame, which is no frame more."""
        self._timer = None
        self._tokens += 1
        self._in_a_row -= 1
        self.flush()

    def follows(self, kernel: Progress) -> None:
        """What is gathered came of the messages of ``kernel`` up to its position (R2)."""
        self.kernels.add(kernel)

    def flush(self) -> None:
        """Write what is gathered now, and with it what belongs into the same transaction.

        Of a long queue a portion: the rest follows by itself, or by ``flush_all``.
        """
        if self.kernels and self._store is not None:
            commit(self._store, (self,))
        else:
            self.write()

    def flush_all(self) -> None:
        """Write what is gathered, to the last of it."""
        while self._pending:
            self.flush()

    def write(self) -> None:
        """Write what is gathered here and nothing else: ``flush`` it."""
        kernels, self.kernels = self.kernels, set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pending:
            return
        self._tokens -= 1
        self._in_a_row += 1
        frame, self._frame = self._frame, Frame()
        dirty, self._dirty = self._dirty, {}
        changed, self._changed = self._changed, {}
        shown, self._shown = _portion(self._shown)
        alongside, self._alongside = self._alongside, []
        for cell_id, execution in shown.items():
            frame.cell(cell_id).execution_state = cell_state(execution)
            frame.entries[cell_id] = entry(execution)
        for execution_id, (cell_id, outputs) in dirty.items():
            self._take(frame, execution_id, cell_id, outputs)
        told = list(changed.values())
        try:
            result = self._notebook.apply(
                frame,
                [*alongside, *map(PutExecution, told)],
                lambda _durable: self._publish(told),
            )
        except BaseException:
            # The next frame brings it: outputs whole, as nobody knows how far this one came.
            for execution_id, (cell_id, outputs) in dirty.items():
                patch = frame.cell(cell_id)
                patch.edits, patch.expected_count = outputs.rewrite(execution_id), None
            self._frame, self._changed, self._shown = frame, changed, {**shown, **self._shown}
            self._alongside, self.kernels = alongside, kernels
            raise
        if self._shown:
            self._timer = self._loop.call_later(0, self._go_on)
        if result.cleared or result.foreign:
            self._mend(result, dirty)

    def make_whole(self, execution: Execution, outputs: KernelOutputs) -> None:
        """Write the outputs of a run again where its cell has not all of them.

        An empty cell stays so: a user's "Clear outputs" is meant.
        """
        assert execution.cell_id is not None
        if execution.id in self._dirty:
            self.flush()  # which finds out by itself
            return
        shown = self._notebook.outputs(execution.cell_id)
        if shown and shown != outputs.outputs(execution.id):
            patch = CellPatch(edits=outputs.rewrite(execution.id))
            if execution.execution_count is not None:
                patch.execution_count = execution.execution_count
            self._notebook.apply(Frame(cells={execution.cell_id: patch}))

    def _take(
        self, frame: Frame, execution_id: ExecutionId, cell_id: CellId, outputs: KernelOutputs
    ) -> None:
        """Move the edits of one execution into a frame, and what overflows to its log."""
        expected_count, edits = outputs.take(execution_id)
        self._logs.append(execution_id, outputs.take_spill(execution_id))
        if not edits:
            return
        patch = frame.cell(cell_id)
        if not patch.edits:
            patch.expected_count = expected_count
        patch.edits.extend(edits)

    def _mend(
        self,
        result: FrameResult,
        dirty: dict[ExecutionId, tuple[CellId, KernelOutputs]],
    ) -> None:
        """Go on from what someone else made of a cell's outputs.

        Emptied: only what came since shows (a user's "Clear outputs" is meant). Otherwise the
        server's outputs are the truth and are written whole.
        """
        frame = Frame()
        for execution_id, (cell_id, outputs) in dirty.items():
            if cell_id in result.cleared:
                outputs.cleared(execution_id)
                self._take(frame, execution_id, cell_id, outputs)
            elif cell_id in result.foreign:
                frame.cells[cell_id] = CellPatch(edits=outputs.rewrite(execution_id))
        if frame:
            missed = self._notebook.apply(frame)
            if missed.cleared or missed.foreign:
                log.error("outputs of %s do not settle", sorted(missed.cleared | missed.foreign))


def _portion(
    shown: dict[CellId, Execution],
) -> tuple[dict[CellId, Execution], dict[CellId, Execution]]:
    """What is shown now, and what later: of what is queued, all beyond ``CELLS_AT_ONCE``."""
    if len(shown) <= CELLS_AT_ONCE:
        return shown, {}
    now: dict[CellId, Execution] = {}
    later: dict[CellId, Execution] = {}
    for cell_id, execution in shown.items():
        waits = execution.state is ExecutionState.QUEUED and len(now) >= CELLS_AT_ONCE
        (later if waits else now)[cell_id] = execution
    return now, later
