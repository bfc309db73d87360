"""An execution as the notebook's root map ``execution`` shows it to every client."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from notebook_exec.core.model import Execution, ExecutionState, Json


def iso(time_s: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(time_s, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def entry(execution: Execution) -> dict[str, Json]:
    """The value that the map ``execution`` holds for the cell of ``execution``."""
    shown: dict[str, Json] = {
        "id": execution.id,
        "request_id": execution.request_id,
        "state": execution.state.value,
        "kernel_id": execution.kernel_id,
        "queued_at": iso(execution.queued_at),
        "started_at": None if execution.started_at is None else iso(execution.started_at),
        "ended_at": None if execution.ended_at is None else iso(execution.ended_at),
        "requested_by": {
            "username": execution.requested_by.username,
            "display_name": execution.requested_by.display_name,
        },
    }
    if execution.reason is not None:
        shown["reason"] = execution.reason.value
    if execution.ended_by is not None:
        shown["ended_by"] = {
            "username": execution.ended_by.username,
            "display_name": execution.ended_by.display_name,
        }
    if execution.error is not None:
        shown["error"] = {"ename": execution.error.ename, "evalue": execution.error.evalue}
    if execution.prompt is not None:
        shown["prompt"] = {
            "prompt": execution.prompt.prompt,
            "password": execution.prompt.password,
        }
    return shown


def cell_state(execution: Execution) -> str:
    """``execution_state`` of the cell, as jupyter_ydoc defines it."""
    return "idle" if execution.state.is_final else "running"


def shown_of(executions: Iterable[Execution]) -> Execution:
    """Which of a cell's executions its entry shows: what runs, else the next, else the last.

    ``executions``: not empty, in the order of submission.
    """
    every = list(executions)
    active = (ExecutionState.RUNNING, ExecutionState.WAITING_INPUT)
    for wanted in (active, (ExecutionState.QUEUED,)):
        for execution in every:
            if execution.state in wanted:
                return execution
    return every[-1]
