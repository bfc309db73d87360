"""One kernel at work: its queue, its outputs and its link, and the effects of what they say."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from notebook_exec.core import scheduler_events as s
from notebook_exec.core.model import (
    CellId,
    Conflict,
    DeathReport,
    DocumentId,
    Execution,
    ExecutionId,
    Json,
    KernelId,
    KernelMessage,
    KernelStartError,
    OnError,
    Output,
    Request,
    User,
)
from notebook_exec.core.outputs import KernelOutputs, SetNextInput, UpdateWidget
from notebook_exec.core.scheduler import Scheduler
from notebook_exec.engine.history import OutputHistory
from notebook_exec.engine.ledger import CellKey, Ledger
from notebook_exec.engine.lookahead import LookAhead
from notebook_exec.engine.progress import Progress, Store
from notebook_exec.engine.projection import shown_of
from notebook_exec.engine.resumption import Resumption
from notebook_exec.engine.settings import EngineSettings
from notebook_exec.engine.translate import to_event
from notebook_exec.engine.widget_news import WidgetNews
from notebook_exec.engine.writer import AT_ONCE, BEGIN_S, QUIET_S, NotebookWriter
from notebook_exec.kernels.link import Link, LinkListener, Question

log = logging.getLogger(__name__)

IN_FLIGHT_S = 2.0


class Workplace(Protocol):
    """What the runners of an engine share."""

    ledger: Ledger
    history: OutputHistory

    def writer(self, document_id: DocumentId) -> NotebookWriter | None:
        """The writer of a notebook that is loaded, as it is while an execution is not over."""
        ...

    def reopen(self, document_id: DocumentId, then: Callable[[], None]) -> None:
        """Load a notebook that has been unloaded, for late outputs; ``then`` when it is there."""
        ...

    def settle(self, execution: Execution) -> None:
        """Have an execution without a cell stored, then published."""
        ...

    def spill(self, execution_id: ExecutionId, outputs: Sequence[Output]) -> None:
        """Log what a document does not hold (O15)."""
        ...

    @property
    def store(self) -> Store:
        """Where all of it is stored."""
        ...

    def keep_shown(self, execution_id: ExecutionId, key: CellKey) -> None:
        """Keep what a cell shows as the outputs of a run that was another kernel's (A2)."""
        ...

    def runner_ended(self, runner: KernelRunner) -> None:
        """The kernel of a runner is gone for good."""
        ...

    def show_widget(self, kernel_id: KernelId, update: UpdateWidget) -> None:
        """Have the kernel's clients show what an Output widget holds (O12)."""
        ...

    def show_death(self, kernel_id: KernelId) -> None:
        """Have the kernel's clients show that it is dead for good (K1)."""
        ...


@dataclass(frozen=True, slots=True)
class _Cell:
    document_id: DocumentId
    cell_id: CellId


class KernelRunner(LinkListener):
    """Runs what is submitted to one kernel; ``link`` is made by ``connect``."""

    def __init__(
        self,
        kernel_id: KernelId,
        workplace: Workplace,
        connect: Callable[[LinkListener], Link],
        settings: EngineSettings,
    ) -> None:
        self.kernel_id = kernel_id
        self._place = workplace
        self._make_link = connect
        self._link: Link | None = None
        self.starting_for: DocumentId | None = None
        self._scheduler = Scheduler(
            kernel_id,
            idle_grace_s=settings.idle_grace_s,
            interrupt_grace_s=settings.interrupt_grace_s,
        )
        self._ahead = LookAhead(self._scheduler, lambda e, after: self._send(e, after=after))
        self.outputs = KernelOutputs(limit_bytes=settings.max_output_bytes)
        self.widget_news = WidgetNews(
            self.outputs, lambda u: workplace.show_widget(kernel_id, u), self._tell_widget
        )
        self._cells: dict[ExecutionId, _Cell] = {}
        self._by_cell: dict[CellKey, dict[ExecutionId, Execution]] = {}
        self._progress = Progress(kernel_id, workplace.store, self)
        self._unsent: ExecutionId | None = None  # what the server before could not send any more
        self._touched: dict[DocumentId, float] = {}  # and within how many seconds it is written
        self._wake: asyncio.TimerHandle | None = None
        self._wake_at: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_dead = False
        self._is_catching_up = False
        self._closed = False

    # --- what others ask ----------------------------------------------------------------------

    def connect(self) -> None:
        """Connect to the kernel, which runs or is being started by someone else."""
        self._spawn(self._open())

    def resume(self, resumed: Resumption, *, has_backlog: bool = True) -> None:
        """Go on where the server before was killed; then ``connect`` or ``start`` (R2)."""
        for run in resumed.runs:
            self.outputs.resume(run.execution.id, run.outputs, run.memory)
        for execution in resumed.shown:
            if execution.document_id is not None and execution.cell_id is not None:
                key = (execution.document_id, execution.cell_id)
                self._cells[execution.id] = _Cell(*key)
                self._by_cell.setdefault(key, {})[execution.id] = execution
        self.outputs.resume_widgets(resumed.widgets)
        self._progress.resume(resumed.position, resumed.memories, resumed.widgets)
        self._scheduler.handle(s.Resumed(resumed.unfinished), time.time())
        self._is_catching_up = has_backlog

    def start(self, document_id: DocumentId, start: Awaitable[None]) -> None:
        """Connect to the kernel once ``start`` has started it for a notebook."""
        self.starting_for = document_id
        self._spawn(self._start(start))

    def knows(self, execution_id: ExecutionId) -> bool:
        """Whether ``outputs`` has those of this execution."""
        return execution_id in self._cells or execution_id in self._scheduler.executions

    def submit(self, request: Request) -> None:
        """Queue a request that is stored."""
        self._feed(s.Submitted(request))
        if self._is_dead:
            self._feed(s.KernelStartFailed("The kernel is dead. Restart it, or start another."))

    def cancel(self, event: s.CancelRequested) -> Awaitable[None]:
        """Cancel executions of this kernel (Q7, Q14). Done when what is returned is."""
        return self._stop(event)

    def interrupt(self, by: User | None) -> Awaitable[None]:
        """Stop what runs and what is queued (Q8). Done when what is returned is."""
        return self._stop(s.InterruptRequested(by))

    def answer(self, execution_id: ExecutionId, value: str, by: User) -> None:
        """Answer the prompt of an execution. Conflict if it does not wait for one (P2)."""
        execution = self._scheduler.executions.get(execution_id)
        if execution is None or execution.prompt is None:
            raise Conflict("This execution does not wait for an answer.", reason="not_waiting")
        self._feed(s.InputAnswered(execution_id, by))
        self._needed_link().answer_input(execution_id, value)

    @property
    def queue_length(self) -> int:
        """How many executions are not over."""
        return len(self._scheduler.executions)

    def positions(self) -> dict[ExecutionId, int]:
        """How many come before each that is not over."""
        return self._scheduler.positions()

    def cells_placed(self, document_id: DocumentId, cell_ids: set[CellId]) -> None:
        """Cells were moved by a page: what it did not know of their outputs yet is put in (O10)."""
        writer = self._place.writer(document_id)
        for execution_id, cell in list(self._cells.items()):
            if cell.document_id != document_id or cell.cell_id not in cell_ids:
                continue
            execution = self._place.ledger.get(execution_id)
            if writer is not None and execution is not None and _is_recent(execution):
                writer.make_whole(execution, self.outputs)

    def shut_down(self) -> Awaitable[None]:
        """End all executions: the kernel is about to be shut down with the server (R5)."""
        return self._stop(s.KernelShutDown())

    def leave(self) -> None:
        """Write all there is; what runs and is queued goes on with the next server (R5)."""
        self._progress.flush()

    async def close(self) -> None:
        """Let go of the kernel, which goes on if it lives."""
        self._closed = True
        self.widget_news.close()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        tasks = [t for t in self._tasks if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._link is not None:
            await self._link.close()
        self._progress.close()

    # --- what its progress needs ---------------------------------------------------------------

    def memory_of(self, execution_id: ExecutionId) -> Mapping[str, Json]:
        """What must be stored beside the notebook, to go on with a run."""
        memory = self.outputs.memory(execution_id)
        if execution_id in self._cells or execution_id not in self._scheduler.executions:
            return memory
        return {"outputs": self.outputs.outputs(execution_id), "memory": memory}

    def widgets_memory(self) -> Mapping[str, Json]:
        """What must be stored to go on with the Output widgets."""
        return self.outputs.widgets_memory()

    def ack(self, position: int) -> None:
        """All up to ``position`` is stored."""
        if self._link is not None and not self._closed:
            self._link.ack(position)

    # --- what the link says -------------------------------------------------------------------

    def on_ready(self) -> None:
        """The kernel answers."""
        self._is_dead = False
        unsent, self._unsent = self._unsent, None
        if unsent is not None and unsent == self._scheduler.running:
            self._send(unsent)
        self._feed(s.KernelReady())

    def on_caught_up(self, requests: Collection[str], question: Question | None) -> None:
        """What the kernel said while there was no server is taken in.

        The nanny knows what the server before sent, but could not store any more.
        """
        self._is_catching_up = False
        executions = self._scheduler.executions
        for execution_id in [e for e in executions if e in requests]:
            self._feed(s.Forwarded(execution_id))
        running = self._scheduler.running
        if running is None:
            return
        execution = executions[running]
        if question is not None and question.execution_id == running:
            if execution.prompt is None:
                self._feed(s.InputRequested(running, question.prompt))
        elif execution.prompt is not None:
            self._feed(s.InputAnswered(running))
        timing = execution.timing
        if running not in requests and timing.busy is None and timing.reply is None:
            self._unsent = running

    def on_messages(self, messages: Sequence[KernelMessage]) -> None:
        """The hot path: outputs gather, states move, one touch of each writer at the end."""
        was_busy = bool(self._scheduler.executions)
        if self._is_catching_up or self._ahead.sent is not None:
            self._recognise(messages)
        else:
            self._take(messages)
        position = messages[-1].position if messages else None
        if position is not None:
            heard = {message.parent_id for message in messages}
            self._progress.take(position, map(ExecutionId, heard))
        # Only where the kernel says so itself: what is broken off says more.
        self._after(is_last=was_busy and not self._scheduler.executions)

    def _recognise(self, messages: Sequence[KernelMessage]) -> None:
        """Messages of what is queued tell that it was sent, by the server before or ahead."""
        for parent_id, group in groupby(messages, lambda message: message.parent_id):
            execution_id = ExecutionId(parent_id)
            if execution_id in self._scheduler.executions:
                self._perform(self._scheduler.handle(s.Forwarded(execution_id), time.time()))
            self._take(list(group))

    def _take(self, messages: Sequence[KernelMessage]) -> None:
        now = time.time()
        executions = self._scheduler.executions
        running = self._scheduler.running
        if running is not None and any(m.parent_id == running for m in messages):
            self._scheduler.heard(running, now)
        changed: list[s.Effect] = []
        for message in messages:
            for effect in self.outputs.handle(message):
                if isinstance(effect, SetNextInput):
                    self._next_input(effect)
            if message.parent_id not in executions:
                continue
            event = to_event(message)
            if isinstance(event, s.InputAnswered) and not executions[event.execution_id].prompt:
                continue  # the answer was ours, and is known
            if event is not None:
                effects = self._scheduler.handle(event, now)
                changed += effects
                if not all(isinstance(effect, s.Changed) for effect in effects):
                    self._perform(changed)  # what is sent comes first, before all that changed
                    changed = []
        self._perform(changed)

    def on_died(self, report: DeathReport, restarting: bool) -> None:
        """The kernel died."""
        self._is_dead = not restarting
        if report.position is not None:  # the next server is not to tell it to what comes after
            self._progress.take(report.position, ())
        self._forget_process()
        self._feed(s.KernelDied(report, restarting))
        if not restarting:
            self._place.show_death(self.kernel_id)

    async def before_action(self) -> None:
        """Someone interrupts the kernel, or takes it away."""
        await self._withdraw()

    def on_restarting(self) -> None:
        """Someone restarts the kernel."""
        self._is_dead = False
        self._forget_process()
        self._feed(s.KernelRestarting(None))

    def on_interrupted(self) -> None:
        """Someone interrupted the kernel, not by way of us."""
        self._stop(s.InterruptRequested(None, already_sent=True))

    def on_shut_down(self) -> None:
        """The kernel is gone for good."""
        self._is_dead = True
        self._feed(s.KernelShutDown())
        self._place.runner_ended(self)

    def _forget_process(self) -> None:
        self.outputs.kernel_restarted()
        self.widget_news.forget()

    # --- what stops cells ---------------------------------------------------------------------

    def _stop(self, event: s.Event) -> Awaitable[None]:
        """Feed ``event`` when no cell can begin any more that it stops."""
        if self._ahead.sent is not None:
            return self._spawn(self._withdraw(event))
        self._feed(event)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def _withdraw(self, event: s.Event | None = None) -> None:
        await self._ahead.withdraw(self._link)
        if event is not None:
            self._feed(event)

    # --- effects ------------------------------------------------------------------------------

    def _feed(self, event: s.Event) -> None:
        self._perform(self._scheduler.handle(event, time.time()))
        self._after()

    def _perform(self, effects: Sequence[s.Effect]) -> None:
        for effect in effects:  # the kernel works while we keep our books
            if isinstance(effect, s.SendExecute):
                self._send(effect.execution_id)
        for effect in effects:
            match effect:
                case s.Changed():
                    self._changed(effect)
                case s.ClearCell():
                    self._clear(effect.execution_id)
                case s.SendInterrupt():
                    self._spawn(self._interrupt(self._scheduler.running))
                case s.SendRestart():
                    self._spawn(self._needed_link().restart())
                case s.ShowError():
                    self.outputs.show_error(effect.execution_id, effect.error)
                case s.ShowText():
                    self.outputs.show_text(effect.execution_id, effect.name, effect.text)

    def _changed(self, effect: s.Changed) -> None:
        execution = effect.execution
        if execution.document_id is None or execution.cell_id is None:
            self._place.settle(execution)
            return
        key = (execution.document_id, execution.cell_id)
        self._cells[execution.id] = _Cell(*key)
        of_cell = self._by_cell.setdefault(key, {})
        of_cell[execution.id] = execution
        if len(of_cell) > 1:  # one that is over counts only as long as it is the last
            last = next(reversed(of_cell))
            of_cell = {i: e for i, e in of_cell.items() if i == last or not e.state.is_final}
            self._by_cell[key] = of_cell
        shown = shown_of(of_cell.values())
        writer = self._writer(execution.document_id, _urgency(effect))
        if effect.before is None:  # stored and published when its request was accepted
            writer.show(execution.cell_id, shown)
        else:
            writer.change(execution, shown)

    def _clear(self, execution_id: ExecutionId) -> None:
        cell = self._cells.get(execution_id)
        if cell is None:
            self.outputs.begin(execution_id)
            return
        key = (cell.document_id, cell.cell_id)
        before = self._place.ledger.started(key, execution_id)
        if before is not None and before not in self._cells:
            self._place.keep_shown(before, key)
        elif before is not None:
            outputs = self.outputs.outputs(before)
            self._place.history.keep(before, outputs)
            self._cells.pop(before, None)
            self._progress.note(before)
        self.outputs.begin(execution_id, replaces=before)
        self._writer(cell.document_id, BEGIN_S).clear(cell.cell_id)

    def _send(self, execution_id: ExecutionId, *, after: ExecutionId | None = None) -> None:
        execution = self._scheduler.executions[execution_id]
        stops = execution.on_error is OnError.STOP and not execution.raises_exception
        if after is None:
            self.widget_news.settle()  # this cell may read what the one before captured
        self._needed_link().execute(
            execution_id,
            execution.source,
            allow_stdin=execution.allow_stdin,
            store_history=execution.store_history,
            stop_on_error=stops,
            cell_id=execution.cell_id,
            after=after,
        )

    def _next_input(self, effect: SetNextInput) -> None:
        cell = self._cells.get(effect.execution_id)
        if cell is not None:
            self._writer(cell.document_id).next_input(cell.cell_id, effect.text, effect.replace)

    def _writer(self, document_id: DocumentId, within_s: float = AT_ONCE) -> NotebookWriter:
        writer = self._place.writer(document_id)
        assert writer is not None, "a notebook is held while an execution of it is not over"
        self._touched[document_id] = min(within_s, self._touched.get(document_id, within_s))
        return writer

    def _after(self, *, is_last: bool = False) -> None:
        """Hand on what was gathered, and come back when the scheduler wants the time.

        ``is_last``: all that was to run has ended.
        """
        for execution_id in list(self.outputs.dirty):
            self._progress.note(execution_id)
            cell = self._cells.get(execution_id)
            if cell is not None and self._is_replaced(execution_id, cell):
                del self._cells[execution_id]
                self.outputs.forget(execution_id)
                continue
            if cell is None:  # only the API reads the outputs of code without a cell
                self.outputs.take(execution_id)
                self._place.spill(execution_id, self.outputs.take_spill(execution_id))
                continue
            writer = self._place.writer(cell.document_id)
            if writer is None:
                self._place.reopen(cell.document_id, self._after)
                continue
            writer.dirty(execution_id, cell.cell_id, self.outputs)
            self._touched[cell.document_id] = AT_ONCE
        self.widget_news.look(is_busy=self._scheduler.running is not None)
        touched, self._touched = self._touched, {}
        for document_id, within_s in touched.items():
            writer = self._place.writer(document_id)
            if writer is not None:
                self._progress.follow(writer)
                writer.touch(within_s, is_last=is_last)
        if not self._closed and self._ahead.look(self._link):
            self._spawn(self._withdraw())
        self._plan_wake()

    def _is_replaced(self, execution_id: ExecutionId, cell: _Cell) -> bool:
        """Whether the cell has been run since by another kernel: then its outputs are not ours."""
        last = self._place.ledger.last_run((cell.document_id, cell.cell_id))
        return last is not None and last != execution_id

    def _tell_widget(self, update: UpdateWidget) -> None:
        if self._link is not None:
            data = {"method": "update", "state": update.state, "buffer_paths": []}
            self._link.send_comm(update.comm_id, data)

    def _plan_wake(self) -> None:
        """A wake that has become too early stays: each cell wants one, and few come true."""
        at = self._scheduler.next_wake
        if at is None or self._closed or (self._wake_at is not None and self._wake_at <= at):
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake_at = at
        delay_s = max(0.0, at - time.time())
        self._wake = asyncio.get_running_loop().call_later(delay_s, self._woken)

    def _woken(self) -> None:
        self._wake = self._wake_at = None
        self._feed(s.TimePassed())

    # --- tasks --------------------------------------------------------------------------------

    async def _start(self, start: Awaitable[None]) -> None:
        try:
            await start
        except KernelStartError as error:
            self._start_failed(error)
        else:
            await self._open()
        finally:
            self.starting_for = None

    async def _open(self) -> None:
        try:
            self._link = self._make_link(self)
            await self._link.open()
        except KernelStartError as error:
            self._start_failed(error)

    def _start_failed(self, error: KernelStartError) -> None:
        self._is_dead = True
        self._feed(s.KernelStartFailed(error.message, error.log_tail))
        self._place.runner_ended(self)

    async def _interrupt(self, execution_id: ExecutionId | None) -> None:
        try:
            await self._withdraw()
            if self._scheduler.running == execution_id:  # else it has ended, and the next has begun
                await self._needed_link().interrupt()
        finally:  # done or failed: what comes next cannot be hit by it any more
            self._feed(s.InterruptSent())

    def _needed_link(self) -> Link:
        # Nothing is sent, interrupted or answered before the kernel was ready, so there is one.
        assert self._link is not None
        return self._link

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("kernel %s: %s", self.kernel_id, task.exception(), exc_info=task.exception())


def _is_recent(execution: Execution) -> bool:
    """Whether a page may have moved its cell without knowing all of its outputs.

    Later, outputs that differ were changed by a user, who meant it.
    """
    return execution.ended_at is None or time.time() - execution.ended_at < IN_FLIGHT_S


def _urgency(change: s.Changed) -> float:
    """Within how many seconds a change of an execution is to be seen.

    That the kernel is busy with it, gave it a count and replied shows no difference: a frame for
    each would keep the outputs waiting.
    """
    execution = change.execution
    if execution.reason is not None or execution.prompt is not None or execution.state.is_final:
        return AT_ONCE
    return QUIET_S if change.before is execution.state else BEGIN_S
