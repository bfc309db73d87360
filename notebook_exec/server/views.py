"""Executions as JSON (SPEC A2)."""

from __future__ import annotations

from datetime import datetime, timezone

from notebook_exec.core.model import Json, User
from notebook_exec.engine.api import Accepted, ExecutionView


def iso_utc(seconds: float) -> str:
    """ISO 8601 in UTC with milliseconds, ending in Z."""
    return (
        datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"
    )


_EXCERPT_CHARACTERS = 120


def excerpt(source: str) -> str:
    """The first line of ``source`` that is not blank, cut: what people know a cell by."""
    head = source[: 20 * _EXCERPT_CHARACTERS].lstrip()
    line = head.partition("\n")[0].rstrip()
    return line if len(line) <= _EXCERPT_CHARACTERS else line[: _EXCERPT_CHARACTERS - 1] + "…"


def execution_json(view: ExecutionView) -> dict[str, Json]:
    """One execution without its outputs; what is not known is left out."""
    execution = view.execution
    body: dict[str, Json] = {
        "id": execution.id,
        "request_id": execution.request_id,
        "path": view.path,
        "document_id": execution.document_id,
        "cell_id": execution.cell_id,
        "source_excerpt": excerpt(execution.source),
        "kernel_id": execution.kernel_id,
        "state": execution.state.value,
    }
    if execution.reason is not None:
        body["reason"] = execution.reason.value
    if view.position is not None:
        body["position"] = view.position
    body["queued_at"] = iso_utc(execution.queued_at)
    if execution.started_at is not None:
        body["started_at"] = iso_utc(execution.started_at)
    if execution.ended_at is not None:
        body["ended_at"] = iso_utc(execution.ended_at)
    if execution.execution_count is not None:
        body["execution_count"] = execution.execution_count
    if execution.error is not None:
        body["error"] = {
            "ename": execution.error.ename,
            "evalue": execution.error.evalue,
            "traceback": list(execution.error.traceback),
        }
    body["requested_by"] = _user_json(execution.requested_by)
    if execution.ended_by is not None:
        body["ended_by"] = _user_json(execution.ended_by)
    if execution.client_id is not None:
        body["client_id"] = execution.client_id
    if execution.prompt is not None:
        body["prompt"] = {
            "prompt": execution.prompt.prompt,
            "password": execution.prompt.password,
        }
    return body


def _user_json(user: User) -> dict[str, Json]:
    return {"username": user.username, "display_name": user.display_name}


def accepted_json(accepted: Accepted) -> dict[str, Json]:
    """What an accepted request is answered with (A1)."""
    return {
        "request_id": accepted.request_id,
        "executions": [execution_json(view) for view in accepted.executions],
    }
