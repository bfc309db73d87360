"""The queue of one kernel: one cell at a time, requests in turn (SPEC Q, the queue's side of P, K).

Pure: ``handle(event, now)`` returns what is to be done, in order. The effects of one call belong
into one transaction. All that a run needs to go on after a restart of the server is in its
``Execution``: the reply is in once ``timing.reply`` is set, and from then on ``reason`` and
``error`` say how it will end. While a run goes on, ``reason`` says that it is being stopped, and
why.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from . import notices
from .lifecycle import move
from .model import (
    Conflict,
    Execution,
    ExecutionError,
    ExecutionId,
    ExecutionState,
    KernelId,
    NotFound,
    OnError,
    Reason,
    Request,
    User,
)
from .scheduler_events import (
    BecameIdle,
    Busy,
    CancelRequested,
    Changed,
    ClearCell,
    Effect,
    Event,
    ExecuteInput,
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

# With these, a run that is being stopped ends as the kernel says, and not cancelled in any case.
_KERNEL_DECIDES = (None, Reason.INTERRUPTED, Reason.TIME_LIMIT)
# Where a person stopped the run, what hung on it was stopped then: later submissions may run (Q8).
_STOPS_AT_END = (None, Reason.EARLIER_ERROR, Reason.TIME_LIMIT)


@dataclass(slots=True)
class _Run:
    """The execution that the kernel has, and until when to wait for what."""

    id: ExecutionId
    replied: bool = False
    idle: bool = False
    limit_at: float | None = None  # Q15: interrupt
    restart_at: float | None = None  # Q15: the interrupt had no effect
    notice_at: float | None = None  # Q8: likewise, tell so
    settle_at: float | None = None  # one of reply and idle is in: do without the other

    @property
    def next_wake(self) -> float | None:
        return _earliest(self.limit_at, self.restart_at, self.notice_at, self.settle_at)


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
        self._idle_grace_s = idle_grace_s
        self._reply_grace_s = reply_grace_s
        self._interrupt_grace_s = interrupt_grace_s
        self._restart_grace_s = restart_grace_s
        self._live: OrderedDict[ExecutionId, Execution] = OrderedDict()  # the running one first
        self._run: _Run | None = None
        self._ready = False
        self._restart_sent = False  # by us; the KernelRestarting that follows is no news
        self._hold_until: float | None = None  # an interrupt is on its way
        self._effects: list[Effect] = []
        self.executions: Mapping[ExecutionId, Execution] = MappingProxyType(self._live)
        """A live view of those that are not over: the running one first, then as queued."""

    # --- what can be asked --------------------------------------------------------------------

    @property
    def running(self) -> ExecutionId | None:
        """The execution that the kernel has."""
        return None if self._run is None else self._run.id

    @property
    def next_wake(self) -> float | None:
        """When to send TimePassed next; None if nothing waits for the time."""
        return _earliest(self._hold_until, None if self._run is None else self._run.next_wake)

    def position(self, execution_id: ExecutionId) -> int:
        """0 for the one that runs, 1 for the next. Raises NotFound if it is over or unknown."""
        first = 1 if self._run is None else 0
        for position, known in enumerate(self._live, start=first):
            if known == execution_id:
                return position
        raise NotFound("This execution is not in the queue.", field="execution_id")

    # --- events -------------------------------------------------------------------------------

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
                self._submit(event.request)
            case Resumed():
                self._resume(event.executions, now)
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
        effects, self._effects = self._effects, []
        return effects

    def _on_message(
        self,
        run: _Run,
        event: Busy | ExecuteInput | InputRequested | Replied | BecameIdle,
        now: float,
    ) -> None:
        timing = self._live[run.id].timing
        match event:
            case Busy():
                self._update(run.id, timing=replace(timing, busy=event.date))
            case ExecuteInput():
                timing = replace(timing, execute_input=event.date)
                self._update(run.id, timing=timing, execution_count=event.count)
            case InputRequested():
                if not run.replied:
                    self._update(run.id, _WAITING, prompt=event.prompt)
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
            self._ready, self._restart_sent, self._hold_until = True, False, None
            return
        self._ready, self._hold_until = False, None
        match event:
            case KernelStartFailed():
                error = notices.start_error(event.message, event.log_tail)
                self._break_off(error, Reason.KERNEL_START_FAILED, now)
            case KernelDied():
                error = notices.death_error(event.report, restarting=event.restarting)
                self._break_off(error, Reason.KERNEL_DIED, now)
            case KernelRestarting():
                ours, self._restart_sent = self._restart_sent, False
                if not ours:
                    self._wind_up(Reason.KERNEL_RESTARTED, event.by, now)
            case KernelShutDown():
                self._wind_up(Reason.KERNEL_SHUT_DOWN, None, now)

    # --- into the queue, and out of it --------------------------------------------------------

    def _submit(self, request: Request) -> None:
        for execution in request.executions:
            if execution.id in self._live:
                raise ValueError(f"execution {execution.id} is queued already")
        for execution in request.executions:
            self._live[execution.id] = execution
            self._effects.append(Changed(execution, None))

    def _resume(self, executions: Iterable[Execution], now: float) -> None:
        if self._live:
            raise ValueError("only an empty queue can be resumed")
        for execution in executions:
            self._live[execution.id] = execution
            if execution.state is not _QUEUED:
                self._run = self._run_of(execution, now)

    def _run_of(self, execution: Execution, now: float) -> _Run:
        timing = execution.timing
        run = _Run(execution.id, replied=timing.reply is not None, idle=timing.idle is not None)
        if run.replied:
            run.settle_at = now + self._idle_grace_s
            return run
        if run.idle:
            run.settle_at = now + self._reply_grace_s
        if execution.reason is Reason.TIME_LIMIT:
            run.restart_at = now + self._restart_grace_s
            return run
        if execution.reason is not None:
            run.notice_at = now + self._interrupt_grace_s
        if execution.time_limit_s is not None:
            started_at = now if execution.started_at is None else execution.started_at
            run.limit_at = started_at + execution.time_limit_s
        return run

    def _advance(self, now: float) -> None:
        """Start what is next, if the kernel is free for it."""
        while self._run is None and self._ready and self._hold_until is None and self._live:
            execution = next(iter(self._live.values()))
            if execution.skip:
                self._end(execution.id, _FINISHED, Reason.SKIPPED, now)
            elif not execution.source.strip():
                self._end(execution.id, _FINISHED, Reason.BLANK, now, execution_count=None)
                self._effects.append(ClearCell(execution.id))
            else:
                self._start(execution, now)

    def _start(self, execution: Execution, now: float) -> None:
        started = self._update(execution.id, _RUNNING, started_at=now, execution_count=None)
        self._effects += [ClearCell(execution.id), SendExecute(execution.id)]
        self._run = self._run_of(started, now)

    # --- how a run ends -----------------------------------------------------------------------

    def _on_reply(self, run: _Run, event: Replied, now: float) -> None:
        if run.replied:
            return
        run.replied = True
        run.limit_at = run.restart_at = run.notice_at = None
        run.settle_at = now + self._idle_grace_s
        execution = self._live[run.id]
        reason, error = _verdict(event, execution)
        if event.status == "error":
            self._hold_until = None  # if an interrupt was on its way, this is what it did
        timing = replace(execution.timing, reply_started=event.started, reply=event.date)
        count = execution.execution_count if event.count is None else event.count
        self._update(
            run.id,
            _RUNNING,
            prompt=None,
            timing=timing,
            execution_count=count,
            reason=reason,
            error=error,
        )
        if reason is Reason.INTERRUPTED and execution.reason is None:
            self._cancel_all(reason, None, now)
        if run.idle:
            self._finish(now)

    def _on_idle(self, run: _Run, date: str, now: float) -> None:
        if run.idle:
            return
        run.idle = True
        execution = self._live[run.id]
        timing = replace(execution.timing, idle=date)
        if run.replied:
            self._finish(now, timing=timing)
        else:
            run.settle_at = now + self._reply_grace_s
            self._update(run.id, _RUNNING, prompt=None, timing=timing)

    def _finish(self, now: float, **changes: Any) -> None:
        """The run that was replied to is over, as ``_verdict`` said."""
        assert self._run is not None
        execution = self._live[self._run.id]
        if execution.error is not None:
            state = _FAILED
        else:
            state = _FINISHED if execution.reason is None else _CANCELLED
        self._leave(state, now, **changes)

    def _leave(self, state: ExecutionState, now: float, **changes: Any) -> None:
        """The run ends in ``state``; an end that nobody asked for stops what hangs on it (Q6)."""
        assert self._run is not None
        execution = self._live[self._run.id]
        self._run = None
        self._end(execution.id, state, execution.reason, now, **changes)
        if state is not _FINISHED and execution.reason in _STOPS_AT_END:
            self._stop_after(execution, now)

    def _stop_after(self, execution: Execution, now: float) -> None:
        if execution.on_error is OnError.CONTINUE or execution.raises_exception:
            return
        for other in list(self._live.values()):
            if other.id != self.running and _hangs_on(other, execution):
                self._end(other.id, _CANCELLED, Reason.EARLIER_ERROR, now)

    def _break_off(self, error: ExecutionError, reason: Reason, now: float) -> None:
        """The kernel is gone by itself: told in the cell that ran, or else would have been next."""
        if self._run is not None and self._run.replied:
            self._finish(now)
        elif self._run is not None:
            execution_id, self._run = self._run.id, None
            self._effects.append(ShowError(execution_id, error))
            self._end(execution_id, _LOST, reason, now, error=error)
        else:
            waiting = self._live.values()
            first = next((e for e in waiting if not e.skip and e.source.strip()), None)
            if first is not None:
                self._effects += [ClearCell(first.id), ShowError(first.id, error)]
                self._end(first.id, _FAILED, reason, now, error=error)
        self._cancel_all(reason, None, now)

    def _wind_up(self, reason: Reason, by: User | None, now: float) -> None:
        """Someone takes the kernel away: all that it has and was to get ends (K2)."""
        if self._run is not None and self._run.replied:
            self._finish(now)
        self._run = None
        self._cancel_all(reason, by, now)

    def _cancel_all(self, reason: Reason, by: User | None, now: float) -> None:
        for execution_id in [i for i in self._live if i != self.running]:
            self._end(execution_id, _CANCELLED, reason, now, ended_by=by)

    # --- what people do -----------------------------------------------------------------------

    def _cancel(self, event: CancelRequested, now: float) -> None:
        run = self._run
        for execution_id in event.ids:
            if execution_id in self._live and execution_id != self.running:
                self._end(execution_id, _CANCELLED, event.reason, now, ended_by=event.by)
        if run is None or run.id not in event.ids or run.replied:
            return
        execution = self._live[run.id]
        if event.reason is not Reason.CELL_DELETED and execution.reason in _KERNEL_DECIDES:
            self._stop(run, event.reason, event.by, now)
            self._stop_after(execution, now)

    def _interrupt(self, event: InterruptRequested, now: float) -> None:
        self._cancel_all(Reason.INTERRUPTED, event.by, now)
        run = self._run
        if run is not None and not run.replied:
            before = self._live[run.id]
            if before.reason is None:
                self._stop(run, Reason.INTERRUPTED, event.by, now, send=not event.already_sent)
                return
            self._update(run.id, _RUNNING, prompt=None)
        if not event.already_sent and (run is not None or self._ready):
            self._send_interrupt(now)

    def _stop(
        self, run: _Run, reason: Reason, by: User | None, now: float, *, send: bool = True
    ) -> None:
        """Interrupt the run; its prompt goes at once (P4), it ends when the kernel says so."""
        first = self._live[run.id].reason is None
        self._update(run.id, _RUNNING, prompt=None, reason=reason, ended_by=by)
        if first and run.restart_at is None:
            run.notice_at = now + self._interrupt_grace_s
        if send:
            self._send_interrupt(now)

    def _send_interrupt(self, now: float) -> None:
        self._effects.append(SendInterrupt())
        self._hold_until = now + self._idle_grace_s

    def _answer(self, execution_id: ExecutionId) -> None:
        execution = self._live.get(execution_id)
        if execution is None or execution.state is not _WAITING:
            raise Conflict("This execution does not wait for an answer.", reason="not_waiting")
        self._update(execution_id, _RUNNING, prompt=None)

    # --- what the time does -------------------------------------------------------------------

    def _on_time(self, now: float) -> None:
        if self._hold_until is not None and self._hold_until <= now:
            self._hold_until = None
        run = self._run
        if run is None:
            return
        if run.notice_at is not None and run.notice_at <= now:
            run.notice_at = None
            self._say(run, notices.interrupt_ignored_text(self._interrupt_grace_s))
        if run.settle_at is not None and run.settle_at <= now:
            self._settle(run, now)
        elif run.limit_at is not None and run.limit_at <= now:
            self._limit(run, now)
        elif run.restart_at is not None and run.restart_at <= now:
            self._restart(run, now)

    def _settle(self, run: _Run, now: float) -> None:
        """One of reply and idle is in, the other does not come."""
        if run.replied:
            self._say(run, notices.idle_missing_text(self._idle_grace_s))
            self._finish(now)
            return
        self._say(run, notices.reply_missing_text(self._reply_grace_s))
        asked = self._live[run.id].reason not in _KERNEL_DECIDES
        self._leave(_CANCELLED if asked else _LOST, now)

    def _limit(self, run: _Run, now: float) -> None:
        limit_s = self._live[run.id].time_limit_s or 0.0
        self._say(run, notices.time_limit_text(limit_s, self._restart_grace_s))
        run.limit_at = run.notice_at = None
        run.restart_at = now + self._restart_grace_s
        reason = self._live[run.id].reason
        self._stop(run, reason or Reason.TIME_LIMIT, self._live[run.id].ended_by, now)

    def _restart(self, run: _Run, now: float) -> None:
        limit_s = self._live[run.id].time_limit_s or 0.0
        error = notices.time_limit_error(limit_s, self._restart_grace_s)
        self._run = None
        self._effects.append(ShowError(run.id, error))
        self._end(run.id, _FAILED, Reason.TIME_LIMIT, now, error=error)
        self._cancel_all(Reason.KERNEL_RESTARTED, None, now)
        self._effects.append(SendRestart(error.evalue))
        self._ready, self._restart_sent, self._hold_until = False, True, None

    # --- the one place where executions change ------------------------------------------------

    def _update(
        self, execution_id: ExecutionId, state: ExecutionState | None = None, **changes: Any
    ) -> Execution:
        before = self._live[execution_id]
        after = move(before, state or before.state, **changes)
        self._live[execution_id] = after
        self._effects.append(Changed(after, before.state))
        return after

    def _end(
        self,
        execution_id: ExecutionId,
        state: ExecutionState,
        reason: Reason | None,
        now: float,
        **changes: Any,
    ) -> None:
        self._update(execution_id, state, reason=reason, ended_at=now, prompt=None, **changes)
        del self._live[execution_id]

    def _say(self, run: _Run, text: str) -> None:
        self._effects.append(ShowText(run.id, "stderr", text))


def _verdict(event: Replied, execution: Execution) -> tuple[Reason | None, ExecutionError | None]:
    """The reason and the error with which a run ends that the kernel replied to."""
    reason = execution.reason
    if reason not in _KERNEL_DECIDES:
        return reason, None
    if event.status == "ok":
        return None, None
    if event.status != "error":  # "aborted": never run, for an error in what came before
        return reason or Reason.EARLIER_ERROR, None
    error = event.error or notices.UNEXPLAINED
    if error.ename == "KeyboardInterrupt" and not execution.raises_exception:
        reason = reason or Reason.INTERRUPTED  # by a client that went past us
    return reason, error


def _hangs_on(other: Execution, failed: Execution) -> bool:
    """Whether the end of ``failed`` stops ``other``, which was queued after it (Q6)."""
    if other.request_id == failed.request_id:
        return True
    return (
        failed.client_id is not None
        and failed.document_id is not None
        and (other.client_id, other.document_id) == (failed.client_id, failed.document_id)
    )


def _earliest(*times: float | None) -> float | None:
    known = [time for time in times if time is not None]
    return min(known) if known else None
