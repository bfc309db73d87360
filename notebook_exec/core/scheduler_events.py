"""What the scheduler is told (events) and what it wants done (effects)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .model import (
    DeathReport,
    Execution,
    ExecutionError,
    ExecutionId,
    ExecutionState,
    Prompt,
    Reason,
    Request,
    User,
)

# --- events: people and their programs ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request was accepted; its executions are new, and queued."""

    request: Request


@dataclass(frozen=True, slots=True)
class Resumed:
    """The server started again, the kernel went on (R2, P5).

    ``executions`` as stored, none of them final, the running one first. Only for a scheduler
    that has none yet.
    """

    executions: tuple[Execution, ...]


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Someone cancels ``ids`` (Q7), or their cells are gone (Q14). Unknown ids are ignored.

    With CELL_DELETED, one that runs already is left alone (O11).
    """

    ids: tuple[ExecutionId, ...]
    by: User | None = None
    reason: Reason = Reason.CANCELLED


@dataclass(frozen=True, slots=True)
class InterruptRequested:
    """Someone interrupts the kernel (Q8). ``already_sent``: another client did so itself."""

    by: User | None = None
    already_sent: bool = False


@dataclass(frozen=True, slots=True)
class InterruptSent:
    """What SendInterrupt asked for is done, or failed; the next cell cannot be hit by it."""


@dataclass(frozen=True, slots=True)
class InputAnswered:
    """Someone answered a prompt (P2)."""

    execution_id: ExecutionId
    by: User | None = None


# --- events: the kernel's life --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KernelReady:
    """The kernel answers."""


@dataclass(frozen=True, slots=True)
class KernelStartFailed:
    """The kernel could not be started, or not be started again (Q10)."""

    message: str
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class KernelDied:
    """The kernel died by itself (K1). ``restarting``: something starts it again."""

    report: DeathReport
    restarting: bool


@dataclass(frozen=True, slots=True)
class KernelRestarting:
    """Someone restarts the kernel (K2)."""

    by: User | None = None


@dataclass(frozen=True, slots=True)
class KernelShutDown:
    """Someone shut the kernel down."""


# --- events: what the kernel says of an execution -------------------------------------------


@dataclass(frozen=True, slots=True)
class Busy:
    """The kernel began with it."""

    execution_id: ExecutionId
    date: str


@dataclass(frozen=True, slots=True)
class ExecuteInput:
    """The kernel gave it a count."""

    execution_id: ExecutionId
    count: int | None
    date: str


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The kernel has it: the server before sent it, and died before it could store that (R2)."""

    execution_id: ExecutionId


@dataclass(frozen=True, slots=True)
class InputRequested:
    """It waits for input (P1)."""

    execution_id: ExecutionId
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Replied:
    """The execute_reply. ``status``: "ok", "error", "aborted" or what the kernel made up."""

    execution_id: ExecutionId
    status: str
    count: int | None = None
    error: ExecutionError | None = None
    date: str = ""
    started: str | None = None


@dataclass(frozen=True, slots=True)
class BecameIdle:
    """The kernel is through with it."""

    execution_id: ExecutionId
    date: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """``next_wake`` has come."""


KernelMessageEvent = Busy | ExecuteInput | InputRequested | Replied | BecameIdle
KernelLifeEvent = (
    KernelReady | KernelStartFailed | KernelDied | KernelRestarting | KernelShutDown | TimePassed
)
UserEvent = (
    Submitted
    | Resumed
    | Forwarded
    | CancelRequested
    | InterruptRequested
    | InterruptSent
    | InputAnswered
)
Event = KernelMessageEvent | KernelLifeEvent | UserEvent


# --- effects --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """Store ``execution`` and show it. ``before``: the state it was in, None if it is new."""

    execution: Execution
    before: ExecutionState | None


@dataclass(frozen=True, slots=True)
class ClearCell:
    """Its run begins with no outputs and no count (Q5); with the Changed beside it."""

    execution_id: ExecutionId


@dataclass(frozen=True, slots=True)
class SendExecute:
    """Send the execute_request."""

    execution_id: ExecutionId


@dataclass(frozen=True, slots=True)
class SendInterrupt:
    """Interrupt the kernel, then say InterruptSent."""


@dataclass(frozen=True, slots=True)
class SendRestart:
    """Restart the kernel in place, because of ``reason`` (a text for people)."""

    reason: str


@dataclass(frozen=True, slots=True)
class ShowError:
    """Put an error output of ours into the cell."""

    execution_id: ExecutionId
    error: ExecutionError


@dataclass(frozen=True, slots=True)
class ShowText:
    """Put a text of ours into the cell, as stream ``name``."""

    execution_id: ExecutionId
    name: Literal["stdout", "stderr"]
    text: str


Effect = Changed | ClearCell | SendExecute | SendInterrupt | SendRestart | ShowError | ShowText
