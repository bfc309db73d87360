"""The writer of frames: bursts, gathering, and outputs that someone else has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from test_ledger import execution

from notebook_exec.core.model import (
    CellId,
    ClearOutputs,
    Execution,
    ExecutionId,
    ExecutionState,
    Frame,
    FrameResult,
    InsertOutputs,
    KernelMessage,
)
from notebook_exec.core.outputs import KernelOutputs
from notebook_exec.engine.logs import OutputLogs
from notebook_exec.engine.projection import entry
from notebook_exec.engine.writer import BURST, CELLS_AT_ONCE, QUIET_S, NotebookWriter
from notebook_exec.store.ops import PutExecution

CELL, RUN = CellId("c"), ExecutionId("e")


class Paper:
    """A notebook that keeps the frames, answers as told, and commits when told."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.alongside: list[Sequence[object]] = []
        self.results: list[FrameResult] = []
        self.is_torn = False
        self.commits: list[Callable[[bool], None]] = []
        self.written = asyncio.Event()

    def apply(
        self,
        frame: Frame,
        alongside: Sequence[object] = (),
        then: Callable[[bool], None] | None = None,
    ) -> FrameResult:
        if self.is_torn:
            raise RuntimeError("torn")
        self.frames.append(frame)
        self.alongside.append(alongside)
        if then is not None:
            self.commits.append(then)
        self.written.set()
        return self.results.pop(0) if self.results else FrameResult()


class Desk:
    """A writer, what it writes on, and the outputs of one run."""

    def __init__(self, folder: Path, interval_s: float = 3600) -> None:
        self.paper = Paper()
        self.logs = OutputLogs(folder, limit_bytes=10**6)
        self.published: list[Execution] = []
        self.writer = NotebookWriter(
            self.paper, self.logs, interval_s=interval_s, publish=self.published.extend
        )
        self.outputs = KernelOutputs()
        self.outputs.begin(RUN)

    def print(self, text: str) -> None:
        content = {"name": "stdout", "text": text}
        self.outputs.handle(KernelMessage("iopub", "stream", RUN, content))
        self.writer.dirty(RUN, CELL, self.outputs)
        self.writer.touch()


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    yield made
    await made.logs.close()


def inserted(frame: Frame) -> str:
    edits: list[Any] = frame.cells[CELL].edits
    return "".join(
        output["text"]
        for edit in edits
        if isinstance(edit, InsertOutputs)
        for output in edit.outputs
    ) + "".join(getattr(edit, "insert", "") for edit in edits)


async def test_frames_follow_at_once_until_a_burst_is_spent(desk: Desk) -> None:
    """L1: a few frames are written at once, the rest is gathered into one."""
    for number in range(100):
        desk.print(f"{number}\n")
    assert len(desk.paper.frames) == BURST
    desk.writer.flush()
    texts = "".join(map(inserted, desk.paper.frames))
    assert texts == "".join(f"{number}\n" for number in range(100))
    assert len(desk.paper.frames) == BURST + 1
    desk.writer.flush()
    assert len(desk.paper.frames) == BURST + 1  # nothing to write, nothing written


async def test_r2_what_could_not_be_written_is_in_the_next_frame(desk: Desk) -> None:
    """R2: the position that is stored with the next frame counts for this one too."""
    desk.print("before\n")
    desk.paper.is_torn = True
    run = replace(execution(RUN), state=ExecutionState.RUNNING, cell_id=CELL)
    desk.writer.change(run, run)
    for text in ("one\n", "two\n"):
        with pytest.raises(RuntimeError, match="torn"):
            desk.print(text)
    desk.paper.is_torn = False
    desk.print("three\n")
    last = desk.paper.frames[-1]
    assert isinstance(last.cells[CELL].edits[0], ClearOutputs)
    assert inserted(last) == "before\none\ntwo\nthree\n"
    assert desk.paper.alongside[-1] == [PutExecution(run)]
    assert last.entries == {CELL: entry(run)}


async def test_what_waits_is_written_when_it_is_due(tmp_path: Path) -> None:
    """L1: by the timer, without anybody asking again."""
    desk = Desk(tmp_path, interval_s=0.01)
    for number in range(BURST + 3):
        desk.print(f"{number}\n")
    assert len(desk.paper.frames) == BURST
    desk.paper.written.clear()
    await asyncio.wait_for(desk.paper.written.wait(), 20)
    assert len(desk.paper.frames) == BURST + 1
    await desk.logs.close()


class Clock:
    """The part of an event loop that a writer needs, with a time that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, (), asyncio.get_running_loop())
        self._timers.append(handle)
        return handle

    def move(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self._timers if timer.when() <= self.now]
        self._timers = [timer for timer in self._timers if timer not in due]
        for timer in due:
            if not timer.cancelled():
                timer._run()


async def test_a_flood_is_written_half_as_often_after_ten_frames(tmp_path: Path) -> None:
    """L1: and after a pause as often as before."""
    desk, clock = Desk(tmp_path, interval_s=0.02), Clock()
    desk.writer._loop = clock  # type: ignore[assignment]
    desk.writer._last = clock.now
    frames: list[int] = []
    for _ in range(3):
        for _ in range(1000):
            desk.print("line\n")
            clock.move(0.001)
        frames.append(len(desk.paper.frames) - sum(frames))
    assert 30 <= frames[0] <= 30 + BURST
    assert all(23 <= count <= 27 for count in frames[1:])
    clock.move(0.04)  # what was gathered is written
    clock.move(1)
    before = len(desk.paper.frames)
    for _ in range(2 * BURST):
        desk.print("line\n")
    assert len(desk.paper.frames) - before == BURST
    clock.move(0.02)
    assert len(desk.paper.frames) - before == BURST + 1
    await desk.logs.close()


async def test_l1_a_long_queue_is_shown_in_portions(desk: Desk) -> None:
    """L1: the kernel has its turn between them; what is more than queued is in the first."""
    paper, writer = desk.paper, desk.writer
    queue = [
        replace(execution(f"e{number}"), cell_id=CellId(f"c{number}"))
        for number in range(3 * CELLS_AT_ONCE)
    ]
    queue[-1] = running = replace(queue[-1], state=ExecutionState.RUNNING)
    for one in queue:
        assert one.cell_id is not None
        writer.show(one.cell_id, one)
    writer.touch()
    assert len(paper.frames) == 1
    assert running.cell_id in paper.frames[0].entries
    desk.print("in between\n")
    while sum(len(frame.entries) for frame in paper.frames) < len(queue):
        paper.written.clear()
        await asyncio.wait_for(paper.written.wait(), 10)
    shown = [cell_id for frame in paper.frames for cell_id in frame.entries]
    assert sorted(shown) == sorted(one.cell_id or "" for one in queue)
    assert max(len(frame.entries) for frame in paper.frames) == CELLS_AT_ONCE + 1
    assert not any(desk.paper.alongside)  # each is stored already
    before = len(paper.frames)
    for _ in range(2 * BURST):
        desk.print("more\n")
    assert len(paper.frames) - before == BURST - 1  # the portions count as one


async def test_l1_what_is_to_be_written_at_last_is_written_whole(desk: Desk) -> None:
    """L1: a server that stops does not wait for the next portion."""
    for number in range(3 * CELLS_AT_ONCE):
        desk.writer.show(CellId(f"c{number}"), execution(f"e{number}"))
    desk.writer.flush_all()
    assert sum(len(frame.entries) for frame in desk.paper.frames) == 3 * CELLS_AT_ONCE
    assert max(len(frame.cells) for frame in desk.paper.frames) == CELLS_AT_ONCE


async def test_l1_the_last_frame_may_come_early(desk: Desk) -> None:
    """L1: where nothing follows there is nothing to gather; but not again and again."""
    for _ in range(BURST):
        desk.print("line\n")
    for number in range(3):
        over = execution(f"e{number}", ExecutionState.FINISHED)
        desk.writer.change(over, over)
        desk.writer.touch(is_last=True)
    assert len(desk.paper.frames) == BURST + 1


async def test_q16_states_go_with_the_outputs_before_them(desk: Desk) -> None:
    """Q16, R4: one frame has both; it is published after the commit, the latest value only."""
    for number in range(BURST):
        desk.print(f"{number}\n")
    desk.print("last\n")
    running = execution(RUN, ExecutionState.RUNNING)
    finished = replace(running, state=ExecutionState.FINISHED, execution_count=3)
    desk.writer.change(running, running)
    desk.writer.change(finished, finished)
    desk.writer.flush()
    frame = desk.paper.frames[-1]
    assert inserted(frame) == "last\n"
    patch = frame.cells[CELL]
    assert (patch.execution_state, patch.execution_count) == ("idle", 3)
    assert frame.entries[CELL] == entry(finished)
    assert list(desk.paper.alongside[-1]) == [PutExecution(finished)]
    assert desk.published == []
    desk.paper.commits[-1](True)
    assert desk.published == [finished]


async def test_q5_a_start_drops_what_was_not_written(desk: Desk) -> None:
    """Q5: outputs of the run before, which the start clears anyway, do not come after it."""
    for number in range(BURST + 1):
        desk.print(f"old {number}\n")
    desk.writer.clear(CELL)
    desk.writer.flush()
    patch = desk.paper.frames[-1].cells[CELL]
    assert patch.edits == [ClearOutputs()]
    assert (patch.execution_count, patch.timing, patch.trusted) == (None, None, True)


async def test_o4_cleared_by_someone(desk: Desk) -> None:
    """O4: only what came since is written, in the same breath."""
    desk.print("old\n")
    desk.paper.results = [FrameResult(cleared=frozenset({CELL}))]
    desk.print("new\n")
    assert inserted(desk.paper.frames[-1]) == "new\n"
    assert desk.paper.frames[-1].cells[CELL].expected_count in (None, 0)
    desk.print("more\n")
    assert inserted(desk.paper.frames[-1]) == "more\n"


async def test_o10_changed_by_someone(desk: Desk) -> None:
    """O10: the server's outputs are the truth, and are written whole."""
    desk.print("old\n")
    desk.paper.results = [FrameResult(foreign=frozenset({CELL}))]
    desk.print("new\n")
    patch = desk.paper.frames[-1].cells[CELL]
    assert isinstance(patch.edits[0], ClearOutputs)
    assert inserted(desk.paper.frames[-1]) == "old\nnew\n"


async def test_o13_next_inputs(desk: Desk) -> None:
    """O13: another source for this cell, or a cell after it."""
    desk.writer.next_input(CELL, "edited", replace=True)
    desk.writer.next_input(CELL, "below", replace=False)
    desk.writer.flush()
    frame = desk.paper.frames[-1]
    assert frame.cells[CELL].source == "edited"
    (insert,) = frame.inserts
    assert (insert.after, insert.cell["source"], insert.cell["outputs"]) == (CELL, "below", [])


async def test_what_shows_nothing_waits_for_what_does(desk: Desk) -> None:
    """L1: a change that nobody sees is no frame of its own."""
    running = execution(RUN, ExecutionState.RUNNING)
    desk.writer.change(running, running)
    desk.writer.touch(QUIET_S)
    assert desk.paper.frames == []
    desk.print("seen\n")
    assert len(desk.paper.frames) == 1
    assert list(desk.paper.alongside[0]) == [PutExecution(running)]
