"""The executions of one kernel that are not over, each change of them noted as an effect."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .lifecycle import move
from .model import Execution, ExecutionId, ExecutionState, OnError, Reason, Request, User
from .scheduler_events import Changed, Effect


class LiveExecutions:
    """Executions in the order in which they run: the one that runs first, then the queue.

    The only place where executions change, so that no change goes without its Changed.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[ExecutionId, Execution] = OrderedDict()
        self._effects: list[Effect] = []
        self.view: Mapping[ExecutionId, Execution] = MappingProxyType(self._entries)

    def note(self, *effects: Effect) -> None:
        """Have ``effects`` performed, after those that were noted before."""
        self._effects += effects

    def take_effects(self) -> list[Effect]:
        """What was noted since the last call."""
        effects, self._effects = self._effects, []
        return effects

    def next_waiting(self) -> Execution | None:
        """The first in the queue. Only while nothing runs."""
        return next(iter(self._entries.values()), None)

    def submit(self, request: Request) -> None:
        """Queue a request as one, behind all others (Q2). ValueError if an id is there already."""
        for execution in request.executions:
            if execution.id in self._entries:
                raise ValueError(f"execution {execution.id} is queued already")
        for execution in request.executions:
            self._entries[execution.id] = execution
            self.note(Changed(execution, None))

    def restore(self, execution: Execution) -> None:
        """Put in what is stored and shown already."""
        self._entries[execution.id] = execution

    def update(
        self, execution_id: ExecutionId, state: ExecutionState | None = None, **changes: Any
    ) -> Execution:
        """Change fields, and the state where one is given. Raises IllegalMove."""
        before = self._entries[execution_id]
        after = move(before, state or before.state, **changes)
        self._entries[execution_id] = after
        self.note(Changed(after, before.state))
        return after

    def end(
        self,
        execution_id: ExecutionId,
        state: ExecutionState,
        reason: Reason | None,
        now: float,
        **changes: Any,
    ) -> None:
        """It is over, and known no longer. A prompt goes with it (P4)."""
        self.update(execution_id, state, reason=reason, ended_at=now, prompt=None, **changes)
        del self._entries[execution_id]

    def cancel_waiting(self, reason: Reason, by: User | None, now: float) -> None:
        """Cancel the whole queue; what runs is left alone."""
        for execution in self._waiting():
            self.end(execution.id, ExecutionState.CANCELLED, reason, now, ended_by=by)

    def stop_after(self, failed: Execution, now: float) -> None:
        """Cancel what the end of ``failed`` stops (Q6)."""
        if failed.on_error is OnError.CONTINUE or failed.raises_exception:
            return
        for execution in self._waiting():
            if _hangs_on(execution, failed):
                self.end(execution.id, ExecutionState.CANCELLED, Reason.EARLIER_ERROR, now)

    def _waiting(self) -> list[Execution]:
        return [e for e in self._entries.values() if e.state is ExecutionState.QUEUED]


def _hangs_on(other: Execution, failed: Execution) -> bool:
    """Whether ``other``, queued after ``failed``, is not to run without it (Q6)."""
    if other.request_id == failed.request_id:
        return True
    return (
        failed.client_id is not None
        and failed.document_id is not None
        and (other.client_id, other.document_id) == (failed.client_id, failed.document_id)
    )
