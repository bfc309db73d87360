"""A scheduler under test: short names for its events, and what its effects did so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from notebook_exec.core.model import (
    CellId,
    DocumentId,
    Execution,
    ExecutionError,
    ExecutionId,
    ExecutionState,
    KernelId,
    Prompt,
    Reason,
    Request,
    RequestId,
    User,
)
from notebook_exec.core.scheduler import (
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
    KernelReady,
    Replied,
    Scheduler,
    SendExecute,
    SendInterrupt,
    SendRestart,
    ShowError,
    ShowText,
    Submitted,
    TimePassed,
)

ADA = User("ada", "Ada")
BOB = User("bob", "Bob")
KERNEL = KernelId("k")
PROMPT = Prompt("name? ", password=False)
VALUE_ERROR = ExecutionError("ValueError", "no", ("ValueError: no",))
KEYBOARD_INTERRUPT = ExecutionError("KeyboardInterrupt", "", ("KeyboardInterrupt",))


def execution(id_: str, request: str = "r", **fields: Any) -> Execution:
    """A queued execution of cell ``id_`` in notebook "d", by Ada."""
    values: dict[str, Any] = {
        "document_id": DocumentId("d"),
        "cell_id": CellId(id_),
        "source": f"run({id_!r})",
        "requested_by": ADA,
        "queued_at": 0.0,
    }
    return Execution(
        id=ExecutionId(id_),
        request_id=RequestId(request),
        kernel_id=KERNEL,
        **{**values, **fields},
    )


class World:
    """A scheduler, the time, and the executions as its effects left them."""

    def __init__(self, *, ready: bool = True, now: float = 100.0) -> None:
        self.scheduler = Scheduler(KERNEL)
        self.now = now
        self.known: dict[str, Execution] = {}
        self.last: list[Effect] = []
        self.log: list[Effect] = []
        if ready:
            self.do(KernelReady())

    def do(self, event: Event) -> list[Effect]:
        """Handle ``event`` now; the effects are also kept in ``last`` and ``log``."""
        self.last = self.scheduler.handle(event, self.now)
        self.log += self.last
        for effect in self.last:
            if isinstance(effect, Changed):
                self.known[effect.execution.id] = effect.execution
        return self.last

    # --- events by short names

    def submit(self, *executions: Execution, request: str = "r") -> list[Effect]:
        return self.do(Submitted(Request(RequestId(request), executions)))

    def cells(self, ids: str, request: str = "r", **fields: Any) -> list[Effect]:
        """Submit one request of a cell for each letter of ``ids``."""
        return self.submit(*(execution(i, request, **fields) for i in ids), request=request)

    def busy(self, id_: str, count: int = 1) -> list[Effect]:
        first = self.do(Busy(ExecutionId(id_), "t-busy"))
        return first + self.do(ExecuteInput(ExecutionId(id_), count, "t-input"))

    def reply(self, id_: str, status: str = "ok", **fields: Any) -> list[Effect]:
        return self.do(Replied(ExecutionId(id_), status, date="t-reply", **fields))

    def idle(self, id_: str) -> list[Effect]:
        return self.do(BecameIdle(ExecutionId(id_), "t-idle"))

    def end(self, id_: str, status: str = "ok", **fields: Any) -> list[Effect]:
        """Reply and idle; the effects of both."""
        return self.reply(id_, status, **fields) + self.idle(id_)

    def fail(self, id_: str, error: ExecutionError = VALUE_ERROR) -> list[Effect]:
        return self.end(id_, "error", error=error)

    def ask(self, id_: str, prompt: Prompt = PROMPT) -> list[Effect]:
        return self.do(InputRequested(ExecutionId(id_), prompt))

    def answer(self, id_: str) -> list[Effect]:
        return self.do(InputAnswered(ExecutionId(id_), BOB))

    def cancel(self, ids: Sequence[str], reason: Reason = Reason.CANCELLED) -> list[Effect]:
        return self.do(CancelRequested(tuple(ExecutionId(i) for i in ids), BOB, reason))

    def interrupt(self, *, already_sent: bool = False) -> list[Effect]:
        return self.do(InterruptRequested(BOB, already_sent))

    def interrupt_sent(self) -> list[Effect]:
        return self.do(InterruptSent())

    def wait(self, seconds: float) -> list[Effect]:
        """Let time pass, with every TimePassed that is asked for on the way."""
        until = self.now + seconds
        effects: list[Effect] = []
        while (wake := self.scheduler.next_wake) is not None and wake <= until:
            self.now = max(self.now, wake)
            effects += self.do(TimePassed())
        self.now = until
        return effects

    # --- what came of it

    def state(self, id_: str) -> tuple[ExecutionState, Reason | None]:
        return self.known[id_].state, self.known[id_].reason

    def states(self, ids: str) -> str:
        """The states of ``ids``, as in "finished running queued"."""
        return " ".join(self.known[i].state.value for i in ids)


def names(effects: Sequence[Effect]) -> list[str]:
    """Effects in short, as in ["a queued→running", "clear a", "send a", "interrupt"]."""
    return [_name(effect) for effect in effects]


def _name(effect: Effect) -> str:  # noqa: PLR0911 - one line for each effect
    match effect:
        case Changed():
            before = "new" if effect.before is None else effect.before.value
            return f"{effect.execution.id} {before}→{effect.execution.state.value}"
        case ClearCell():
            return f"clear {effect.execution_id}"
        case SendExecute():
            return f"send {effect.execution_id}"
        case SendInterrupt():
            return "interrupt"
        case SendRestart():
            return "restart"
        case ShowError():
            return f"error {effect.execution_id} {effect.error.ename}"
        case ShowText():
            return f"text {effect.execution_id} {effect.name}"
