"""Executions as rows: columns for what is asked for, JSON for the rest."""

from __future__ import annotations

import json
from typing import Any

from notebook_exec.core.model import (
    Execution,
    ExecutionError,
    ExecutionState,
    Json,
    OnError,
    Prompt,
    Reason,
    Timing,
    User,
)

# ASCII alone: what UTF-8 cannot hold (lone surrogates, O14) comes back as it was.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode

COLUMNS = (
    "id, request_id, kernel_id, document_id, cell_id, state, queued_at, ended_at, source, rest"
)


def encode_json(value: Json) -> str:
    """``value`` as JSON text in ASCII."""
    return _encode(value)


def encode_source(source: str) -> str:
    """The value of the column ``source``."""
    return _encode(source)


def encode_rest(execution: Execution) -> str:
    """The value of the column ``rest``: each field that has no column of its own."""
    error, prompt, timing = execution.error, execution.prompt, execution.timing
    user, ended_by = execution.requested_by, execution.ended_by
    rest = {
        "user": [user.username, user.display_name],
        "client_id": execution.client_id,
        "reason": execution.reason and execution.reason.value,
        "started_at": execution.started_at,
        "execution_count": execution.execution_count,
        "error": error and [error.ename, error.evalue, list(error.traceback)],
        "prompt": prompt and [prompt.prompt, prompt.password],
        "timing": [
            timing.busy,
            timing.execute_input,
            timing.reply_started,
            timing.reply,
            timing.idle,
        ],
        "on_error": execution.on_error.value,
        "raises_exception": execution.raises_exception,
        "skip": execution.skip,
        "allow_stdin": execution.allow_stdin,
        "record_timing": execution.record_timing,
        "store_history": execution.store_history,
        "time_limit_s": execution.time_limit_s,
        "ended_by": ended_by and [ended_by.username, ended_by.display_name],
    }
    return _encode(rest)


def decode_execution(row: tuple[Any, ...]) -> Execution:
    """The execution of a row of ``COLUMNS``."""
    (id_, request_id, kernel_id, document_id, cell_id, state, queued_at, ended_at) = row[:8]
    rest = json.loads(row[9])
    error, prompt, reason = rest["error"], rest["prompt"], rest["reason"]
    ended_by = rest["ended_by"]
    return Execution(
        id=id_,
        request_id=request_id,
        kernel_id=kernel_id,
        document_id=document_id,
        cell_id=cell_id,
        source=json.loads(row[8]),
        requested_by=User(*rest["user"]),
        queued_at=queued_at,
        client_id=rest["client_id"],
        state=ExecutionState(state),
        reason=reason and Reason(reason),
        started_at=rest["started_at"],
        ended_at=ended_at,
        execution_count=rest["execution_count"],
        error=error and ExecutionError(error[0], error[1], tuple(error[2])),
        prompt=prompt and Prompt(*prompt),
        timing=Timing(*rest["timing"]),
        on_error=OnError(rest["on_error"]),
        raises_exception=rest["raises_exception"],
        skip=rest["skip"],
        allow_stdin=rest["allow_stdin"],
        record_timing=rest["record_timing"],
        store_history=rest["store_history"],
        time_limit_s=rest["time_limit_s"],
        ended_by=ended_by and User(*ended_by),
    )
