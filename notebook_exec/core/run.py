"""The execution that the kernel has: what is waited for until when, and how it will end."""

from __future__ import annotations

from dataclasses import dataclass

from . import notices
from .model import Execution, ExecutionError, ExecutionId, ExecutionState, Reason
from .scheduler_events import Replied

# With these, a run that is being stopped ends as the kernel says, and not cancelled in any case.
_KERNEL_DECIDES = (None, Reason.INTERRUPTED, Reason.TIME_LIMIT)
# Where a person stopped the run, what hung on it was stopped then: later submissions may run (Q8).
_STOPS_AT_END = (None, Reason.EARLIER_ERROR, Reason.TIME_LIMIT)


@dataclass(frozen=True, slots=True)
class Graces:
    """How long the scheduler waits for what, in seconds."""

    idle_s: float  # after the reply, for the idle; also for an interrupt to be sent
    reply_s: float  # after the idle, for the reply
    interrupt_s: float  # until an interrupt counts as ignored (Q8)
    restart_s: float  # after the time limit's interrupt, until the restart (Q15)
    early_s: float = 0.5  # in which a run may be too young to be hit by an interrupt


@dataclass(slots=True)
class Run:
    """Where the run stands, and its deadlines (seconds since the epoch)."""

    id: ExecutionId
    replied: bool = False
    idle: bool = False
    limit_at: float | None = None  # Q15: interrupt
    restart_at: float | None = None  # Q15: the interrupt had no effect
    notice_at: float | None = None  # Q8: likewise, tell so
    settle_at: float | None = None  # one of reply and idle is in: do without the other
    again_at: float | None = None  # Q8: it was too young when it was interrupted

    @classmethod
    def of(cls, execution: Execution) -> Run:
        """The run of an execution as it was stored, without deadlines."""
        timing = execution.timing
        return cls(execution.id, timing.reply is not None, timing.idle is not None)

    @property
    def next_wake(self) -> float | None:
        """The earliest deadline."""
        return earliest(
            self.limit_at, self.restart_at, self.notice_at, self.settle_at, self.again_at
        )

    def set_deadlines(self, execution: Execution, graces: Graces, now: float) -> None:
        """Begin to wait, for a run that begins or that a new server takes over (R2)."""
        if self.replied or self.idle:
            self.settle(graces, now)
        elif execution.reason is Reason.TIME_LIMIT:
            self.restart_at = now + graces.restart_s
        else:
            if execution.reason is not None:
                self.notice_at = now + graces.interrupt_s
            if execution.time_limit_s is not None:
                started_at = now if execution.started_at is None else execution.started_at
                self.limit_at = started_at + execution.time_limit_s

    def settle(self, graces: Graces, now: float) -> None:
        """The kernel is through with it; only the other one of reply and idle is waited for."""
        self.limit_at = self.restart_at = self.notice_at = self.again_at = None
        self.settle_at = now + (graces.idle_s if self.replied else graces.reply_s)

    def interrupted(self, execution: Execution, graces: Graces, now: float) -> None:
        """An interrupt was asked for; if the run has only begun, ask once more.

        ipykernel ignores SIGINT until the cell's own code runs. Later on an interrupt is not
        repeated: code may catch the first to end well, and a second one would break that off.
        """
        if execution.started_at is not None and now - execution.started_at < graces.early_s:
            self.again_at = now + graces.early_s

    def begins(self, execution: Execution, graces: Graces, now: float) -> None:
        """The kernel comes to it only now: an interrupt that was asked for came too early."""
        if execution.reason is not None and self.restart_at is None:
            self.again_at = now + graces.early_s


def verdict(event: Replied, execution: Execution) -> tuple[Reason | None, ExecutionError | None]:
    """The reason and the error with which a run ends that the kernel replied to.

    A run that someone cancelled ends so whatever the reply says: code that catches the
    interrupt and ends well has been stopped nevertheless (Q7).
    """
    reason = execution.reason
    if was_cancelled(execution):
        return reason, None
    if event.status == "ok":
        return None, None
    if event.status != "error":  # "aborted": never run, for an error in what came before
        return reason or Reason.EARLIER_ERROR, None
    error = event.error or notices.UNEXPLAINED
    if error.ename == "KeyboardInterrupt" and not execution.raises_exception:
        reason = reason or Reason.INTERRUPTED  # by a client that went past us
    return reason, error


def outcome(execution: Execution) -> ExecutionState:
    """The state in which a run ends, after ``verdict`` was written into it."""
    if execution.error is not None:
        return ExecutionState.FAILED
    return ExecutionState.FINISHED if execution.reason is None else ExecutionState.CANCELLED


def was_cancelled(execution: Execution) -> bool:
    """Whether someone cancelled the run, rather than interrupted the kernel."""
    return execution.reason not in _KERNEL_DECIDES


def stops_others(execution: Execution, state: ExecutionState) -> bool:
    """Whether what hangs on a run is to be stopped when it ends in ``state`` (Q6)."""
    return state is not ExecutionState.FINISHED and execution.reason in _STOPS_AT_END


def earliest(*times: float | None) -> float | None:
    """The least of those that are known."""
    known = [time for time in times if time is not None]
    return min(known) if known else None
