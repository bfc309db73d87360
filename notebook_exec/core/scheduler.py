"""The queue of one kernel: one cell at a time, requests in turn (SPEC Q, the queue's side of P, K).

Pure: ``handle(event, now)`` returns what is to be done, in order. The effects of one call belong
into one transaction. All that a run needs to go on after a restart of the server is in its
``Execution``: the reply is in once ``timing.reply`` is set, and from then on ``reason`` and
``error`` say how it will end. While a run goes on, ``reason`` says that it is being stopped, and
why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from . import notices
from .live import LiveExecutions
from .model import (
    Conflict,
    Execution,
    ExecutionError,
    ExecutionId,
    ExecutionState,
    KernelId,
    Reason,
    User,
)
from .run import Graces, Run, earliest, outcome, stops_others, verdict, was_cancelled
from .scheduler_events import (
    BecameIdle,
    Busy,
    CancelRequested,
    Changed,
    ClearCell,
    Effect,
    Event,
    ExecuteInput,
    Forwarded,
    InputAnswered,
    InputRequested,
    InterruptRequested,
    InterruptSent,
    KernelDied,
    KernelReady,
    KernelRestarting,
    KernelShutDown,
    KernelStartFailed,
    Replied,
    Resumed,
    SendExecute,
    SendInterrupt,
    SendRestart,
    ShowError,
    ShowText,
    Submitted,
    TimePassed,
)

__all__ = [
    "BecameIdle",
    "Busy",
    "CancelRequested",
    "Changed",
    "ClearCell",
    "Effect",
    "Event",
    "ExecuteInput",
    "Forwarded",
    "InputAnswered",
    "InputRequested",
    "InterruptRequested",
    "InterruptSent",
    "KernelDied",
    "KernelReady",
    "KernelRestarting",
    "KernelShutDown",
    "KernelStartFailed",
    "Replied",
    "Resumed",
    "Scheduler",
    "SendExecute",
    "SendInterrupt",
    "SendRestart",
    "ShowError",
    "ShowText",
    "Submitted",
    "TimePassed",
]

_QUEUED = ExecutionState.QUEUED
_RUNNING = ExecutionState.RUNNING
_WAITING = ExecutionState.WAITING_INPUT
_FINISHED = ExecutionState.FINISHED
_FAILED = ExecutionState.FAILED
_CANCELLED = ExecutionState.CANCELLED
_LOST = ExecutionState.LOST
_LOOK_AHEAD = 10


class Scheduler:
    """The queue of one kernel.

    ``idle_grace_s``: how long to wait for the idle after the reply, and for an interrupt to be
    sent before the next cell. ``reply_grace_s``: for the reply after the idle; longer, since a
    run without its reply counts as lost. ``interrupt_grace_s``: until an interrupt counts as
    ignored (Q8). ``restart_grace_s``: from the time limit to the restart (Q15).
    """

    def __init__(
        self,
        kernel_id: KernelId,
        *,
        idle_grace_s: float = 1.0,
        reply_grace_s: float = 10.0,
        interrupt_grace_s: float = 10.0,
        restart_grace_s: float = 10.0,
    ) -> None:
        self.kernel_id = kernel_id
        self._graces = Graces(idle_grace_s, reply_grace_s, interrupt_grace_s, restart_grace_s)
        self._live = LiveExecutions()
        self._run: Run | None = None
        self._ready = False
        self._restart_sent = False  # by us; the KernelRestarting that follows is no news
        self._hold_until: float | None = None  # an interrupt is on its way
        self.executions: Mapping[ExecutionId, Execution] = self._live.view
        """A live view of those that are not over: the running one first, then as queued."""

    # --- what can be asked --------------------------------------------------------------------

    @property
    def running(self) -> ExecutionId | None:
        """The execution that the kernel has."""
        return None if self._run is None else self._run.id

    @property
    def upcoming(self) -> ExecutionId | None:
        """What will be sent if the running one ends well, whatever else is submitted (Q2)."""
        run = self._run
        if run is None or run.replied or run.idle or not self._ready or self._hold_until:
            return None
        running, *waiting = islice(self.executions.values(), _LOOK_AHEAD)
        if running.reason is not None:
            return None
        of_request = (e for e in waiting if e.request_id == running.request_id)
        return next((e.id for e in of_request if _has_code(e)), None)

    @property
    def next_wake(self) -> float | None:
        """When to send TimePassed next; None if nothing waits for the time."""
        return earliest(self._hold_until, None if self._run is None else self._run.next_wake)

    def positions(self) -> dict[ExecutionId, int]:
        """Of each that is not over: 0 for the one that runs, 1 for the next."""
        first = 1 if self._run is None else 0
        return {known: position for position, known in enumerate(self.executions, start=first)}

    # --- events -------------------------------------------------------------------------------

    def heard(self, execution_id: ExecutionId, now: float) -> None:
        """Output of the running cell came: its idle is on the way behind it.

        The reply overtakes iopub when there is much to read, so the grace after the reply counts
        from the last that was heard. No effects: called for each batch, not for each message.
        """
        run = self._run
        if run is not None and run.id == execution_id and run.replied and not run.idle:
            run.settle(self._graces, now)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What ``event`` at ``now`` (seconds since the epoch) leads to.

        Raises Conflict, with nothing changed, if an answer comes that nobody waits for.
        """
        match event:
            case Busy() | ExecuteInput() | InputRequested() | Replied() | BecameIdle():
                run = self._run
                if run is not None and run.id == event.execution_id:
                    self._on_message(run, event, now)
            case Submitted():
                self._live.submit(event.request)
            case Resumed():
                self._resume(event.executions)
            case Forwarded():
                self._catch_up(event.execution_id, now)
            case CancelRequested():
                self._cancel(event, now)
            case InterruptRequested():
                self._interrupt(event, now)
            case InterruptSent():
                self._hold_until = None
            case InputAnswered():
                self._answer(event.execution_id)
            case TimePassed():
                self._on_time(now)
            case _:
                self._on_kernel(event, now)
        self._advance(now)
        return self._live.take_effects()

    def _on_message(
        self,
        run: Run,
        event: Busy | ExecuteInput | InputRequested | Replied | BecameIdle,
        now: float,
    ) -> None:
        execution = self.executions[run.id]
        timing = execution.timing
        match event:
            case Busy():
                self._live.update(run.id, timing=replace(timing, busy=event.date))
            case ExecuteInput():
                timing = replace(timing, execute_input=event.date)
                count = execution.execution_count if event.count is None else event.count
                self._live.update(run.id, timing=timing, execution_count=count)
                run.begins(execution, self._graces, now)
            case InputRequested():
                if not run.replied and not run.idle:
                    self._live.update(run.id, _WAITING, prompt=event.prompt)
            case Replied():
                self._on_reply(run, event, now)
            case BecameIdle():
                self._on_idle(run, event.date, now)

    def _on_kernel(
        self,
        event: KernelReady | KernelStartFailed | KernelDied | KernelRestarting | KernelShutDown,
        now: float,
    ) -> None:
        if isinstance(event, KernelReady):
            self._on_ready(now)
            return
        self._ready, self._hold_until = False, None
        ours, self._restart_sent = self._restart_sent, False
        match event:
            case KernelStartFailed():
                error = notices.start_error(event.message, event.log_tail)
                self._break_off(error, Reason.KERNEL_START_FAILED, now)
            case KernelDied():
                error = notices.death_error(event.report, restarting=event.restarting)
                self._break_off(error, Reason.KERNEL_DIED, now)
            case KernelRestarting():
                if not ours:
                    self._wind_up(Reason.KERNEL_RESTARTED, event.by, now)
            case KernelShutDown():
                self._wind_up(Reason.KERNEL_SHUT_DOWN, None, now)

    def _on_ready(self, now: float) -> None:
        if self._ready:
            return
        self._ready, self._restart_sent = True, False
        run = self._run
        if run is not None:  # taken over from the server before
            execution = self.executions[run.id]
            run.set_deadlines(execution, self._graces, now)
            if execution.reason is not None and not run.replied:
                self._send_interrupt(now)  # whether it was sent then is not known

    # --- into the queue, and out of it --------------------------------------------------------

    def _resume(self, executions: Iterable[Execution]) -> None:
        if self.executions:
            raise ValueError("only an empty queue can be resumed")
        for execution in executions:
            self._live.restore(execution)
            if execution.state is not _QUEUED:
                self._run = Run.of(execution)

    def _catch_up(self, execution_id: ExecutionId, now: float) -> None:
        """Go through what the server before went through until it sent this one."""
        if execution_id not in self.executions or execution_id == self.running:
            return
        if self._run is not None:
            self._settle(self._run, now)
        for execution in list(self.executions.values()):
            if execution.id == execution_id:
                break
            if not self._pass_over(execution, now):  # cancelled, what else
                self._live.end(execution.id, _CANCELLED, Reason.CANCELLED, now)
        if execution_id in self.executions:
            self._start(self.executions[execution_id], now, send=False)

    def _advance(self, now: float) -> None:
        """Start what is next, if the kernel is free for it."""
        while self._run is None and self._ready and self._hold_until is None:
            execution = self._live.next_waiting()
            if execution is None:
                return
            if not self._pass_over(execution, now):
                self._start(execution, now)

    def _pass_over(self, execution: Execution, now: float) -> bool:
        """End what has nothing to run (Q9); False if it has."""
        if execution.skip:
            self._live.end(execution.id, _FINISHED, Reason.SKIPPED, now)
        elif not _has_code(execution):
            self._live.end(execution.id, _FINISHED, Reason.BLANK, now, execution_count=None)
            self._live.note(ClearCell(execution.id))
        else:
            return False
        return True

    def _start(self, execution: Execution, now: float, *, send: bool = True) -> None:
        started = self._live.update(execution.id, _RUNNING, started_at=now, execution_count=None)
        self._live.note(ClearCell(execution.id))
        if send:
            self._live.note(SendExecute(execution.id))
        self._run = Run.of(started)
        self._run.set_deadlines(started, self._graces, now)

    # --- how a run ends -----------------------------------------------------------------------

    def _on_reply(self, run: Run, event: Replied, now: float) -> None:
        if run.replied:
            return
        run.replied = True
        run.settle(self._graces, now)
        execution = self.executions[run.id]
        reason, error = verdict(event, execution)
        if event.status == "error":
            self._hold_until = None  # if an interrupt was on its way, this is what it did
        timing = replace(execution.timing, reply_started=event.started, reply=event.date)
        count = execution.execution_count if event.count is None else event.count
        self._live.update(
            run.id,
            _RUNNING,
            prompt=None,
            timing=timing,
            execution_count=count,
            reason=reason,
            error=error,
            ended_by=None if reason is None else execution.ended_by,
        )
        if reason is Reason.INTERRUPTED and execution.reason is None:
            self._live.cancel_waiting(reason, None, now)
        if run.idle:
            self._finish(now)

    def _on_idle(self, run: Run, date: str, now: float) -> None:
        if run.idle:
            return
        run.idle = True
        execution = self.executions[run.id]
        timing = replace(execution.timing, idle=date)
        if run.replied:
            self._finish(now, timing=timing)
        else:
            run.settle(self._graces, now)
            self._live.update(run.id, _RUNNING, prompt=None, timing=timing)

    def _finish(self, now: float, **changes: Any) -> None:
        """The run that was replied to is over, as ``verdict`` said."""
        assert self._run is not None
        self._leave(outcome(self.executions[self._run.id]), now, **changes)

    def _leave(self, state: ExecutionState, now: float, **changes: Any) -> None:
        """The run ends in ``state``; an end that nobody asked for stops what hangs on it (Q6)."""
        assert self._run is not None
        execution = self.executions[self._run.id]
        self._run = None
        self._live.end(execution.id, state, execution.reason, now, **changes)
        if stops_others(execution, state):
            self._live.stop_after(execution, now)

    def _break_off(self, error: ExecutionError, reason: Reason, now: float) -> None:
        """The kernel is gone by itself: told in the cell that ran, or else would have been next."""
        if self._run is not None and self._run.replied:
            self._finish(now)
        elif self._run is not None:
            execution_id, self._run = self._run.id, None
            self._live.note(ShowError(execution_id, error))
            self._live.end(execution_id, _LOST, reason, now, error=error)
        else:
            waiting = self.executions.values()
            first = next(filter(_has_code, waiting), None)
            if first is not None:
                self._live.note(ClearCell(first.id), ShowError(first.id, error))
                self._live.end(first.id, _FAILED, reason, now, error=error)
        self._live.cancel_waiting(reason, None, now)

    def _wind_up(self, reason: Reason, by: User | None, now: float) -> None:
        """Someone takes the kernel away: all that it has and was to get ends (K2)."""
        if self._run is not None and self._run.replied:
            self._finish(now)
        elif self._run is not None:
            self._live.end(self._run.id, _CANCELLED, reason, now, ended_by=by)
            self._run = None
        self._live.cancel_waiting(reason, by, now)

    # --- what people do -----------------------------------------------------------------------

    def _cancel(self, event: CancelRequested, now: float) -> None:
        run = self._run
        for execution_id in event.ids:
            if execution_id in self.executions and execution_id != self.running:
                self._live.end(execution_id, _CANCELLED, event.reason, now, ended_by=event.by)
        if run is None or run.id not in event.ids or run.replied:
            return
        execution = self.executions[run.id]
        if event.reason is not Reason.CELL_DELETED and not was_cancelled(execution):
            self._stop(run, event.reason, event.by, now)
            self._live.stop_after(execution, now)

    def _interrupt(self, event: InterruptRequested, now: float) -> None:
        self._live.cancel_waiting(Reason.INTERRUPTED, event.by, now)
        run = self._run
        if run is not None and not run.replied:
            before = self.executions[run.id]
            if before.reason is None:
                self._stop(run, Reason.INTERRUPTED, event.by, now, send=not event.already_sent)
                return
            if before.prompt is not None:
                self._live.update(run.id, _RUNNING, prompt=None)
        if not event.already_sent:
            self._send_interrupt(now)

    def _stop(
        self, run: Run, reason: Reason, by: User | None, now: float, *, send: bool = True
    ) -> None:
        """Interrupt the run; its prompt goes at once (P4), it ends when the kernel says so."""
        first = self.executions[run.id].reason is None
        self._live.update(run.id, _RUNNING, prompt=None, reason=reason, ended_by=by)
        if first and run.restart_at is None:
            run.notice_at = now + self._graces.interrupt_s
            run.interrupted(self.executions[run.id], self._graces, now)
        if send:
            self._send_interrupt(now)

    def _send_interrupt(self, now: float) -> None:
        if not self._ready:
            return  # it starts, or is not reached yet: ``_on_ready`` makes up for it
        self._live.note(SendInterrupt())
        self._hold_until = now + self._graces.idle_s

    def _answer(self, execution_id: ExecutionId) -> None:
        execution = self.executions.get(execution_id)
        if execution is None or execution.state is not _WAITING:
            raise Conflict("This execution does not wait for an answer.", reason="not_waiting")
        self._live.update(execution_id, _RUNNING, prompt=None)

    # --- what the time does -------------------------------------------------------------------

    def _on_time(self, now: float) -> None:
        if self._hold_until is not None and self._hold_until <= now:
            self._hold_until = None
        run = self._run
        if run is None:
            return
        if run.again_at is not None and run.again_at <= now:
            run.again_at = None
            self._send_interrupt(now)
        if run.notice_at is not None and run.notice_at <= now:
            run.notice_at = None
            self._say(run, notices.interrupt_ignored_text(self._graces.interrupt_s))
        if run.settle_at is not None and run.settle_at <= now:
            self._settle(run, now)
        elif run.limit_at is not None and run.limit_at <= now:
            self._limit(run, now)
        elif run.restart_at is not None and run.restart_at <= now:
            self._restart(run, now)

    def _settle(self, run: Run, now: float) -> None:
        """One of reply and idle is in, the other does not come."""
        if run.replied:
            self._say(run, notices.idle_missing_text(self._graces.idle_s))
            self._finish(now)
            return
        self._say(run, notices.reply_missing_text(self._graces.reply_s))
        asked = was_cancelled(self.executions[run.id])
        self._leave(_CANCELLED if asked else _LOST, now)

    def _limit(self, run: Run, now: float) -> None:
        execution = self.executions[run.id]
        limit_s = execution.time_limit_s or 0.0
        self._say(run, notices.time_limit_text(limit_s, self._graces.restart_s))
        run.limit_at = run.notice_at = None
        run.restart_at = now + self._graces.restart_s
        self._stop(run, execution.reason or Reason.TIME_LIMIT, execution.ended_by, now)

    def _restart(self, run: Run, now: float) -> None:
        execution = self.executions[run.id]
        error = notices.time_limit_error(execution.time_limit_s or 0.0, self._graces.restart_s)
        self._run = None
        self._live.note(ShowError(run.id, error))
        if was_cancelled(execution):
            self._live.end(run.id, _CANCELLED, execution.reason, now)
        else:
            self._live.end(run.id, _FAILED, Reason.TIME_LIMIT, now, error=error)
        self._live.cancel_waiting(Reason.KERNEL_RESTARTED, None, now)
        self._live.note(SendRestart(error.evalue))
        self._ready, self._restart_sent = False, True

    def _say(self, run: Run, text: str) -> None:
        self._live.note(ShowText(run.id, "stderr", text))


def _has_code(execution: Execution) -> bool:
    """Whether there is anything for the kernel to run (Q9)."""
    return not execution.skip and bool(execution.source.strip())
