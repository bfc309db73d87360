"""Kernel messages as the scheduler's events; pure."""

from __future__ import annotations

from notebook_exec.core.model import ExecutionError, ExecutionId, Json, KernelMessage, Prompt
from notebook_exec.core.sanitize import clean_text
from notebook_exec.core.scheduler_events import (
    BecameIdle,
    Busy,
    Event,
    ExecuteInput,
    InputAnswered,
    InputRequested,
    Replied,
)


def to_event(message: KernelMessage) -> Event | None:
    """What a message means for the execution it belongs to; None if nothing.

    Kernels are not trusted to keep to the protocol: fields of a wrong type count as missing, and
    what no encoding holds is replaced (O14).
    """
    execution_id = ExecutionId(message.parent_id)
    content = message.content
    if message.channel == "iopub":
        if message.msg_type == "status":
            return _status(execution_id, message)
        if message.msg_type == "execute_input":
            return ExecuteInput(execution_id, _count(content), clean_text(message.date))
    elif message.channel == "shell" and message.msg_type == "execute_reply":
        started = message.metadata.get("started")
        return Replied(
            execution_id,
            status=_text(content.get("status"), "ok"),
            count=_count(content),
            error=error_of(content) if content.get("status") == "error" else None,
            date=clean_text(message.date),
            started=clean_text(started) if isinstance(started, str) else None,
        )
    elif message.channel == "stdin" and message.msg_type == "input_request":
        prompt = Prompt(_text(content.get("prompt"), ""), content.get("password") is True)
        return InputRequested(execution_id, prompt)
    elif message.channel == "stdin" and message.msg_type == "input_reply":
        return InputAnswered(execution_id)
    return None


def error_of(content: dict[str, Json]) -> ExecutionError:
    """The error that an ``error`` message or a failed reply tells of."""
    traceback = content.get("traceback")
    lines = traceback if isinstance(traceback, list) else []
    return ExecutionError(
        ename=_text(content.get("ename"), "Error"),
        evalue=_text(content.get("evalue"), ""),
        traceback=tuple(clean_text(line) for line in lines if isinstance(line, str)),
    )


def _status(execution_id: ExecutionId, message: KernelMessage) -> Event | None:
    state = message.content.get("execution_state")
    if state == "busy":
        return Busy(execution_id, clean_text(message.date))
    if state == "idle":
        return BecameIdle(execution_id, clean_text(message.date))
    return None


def _count(content: dict[str, Json]) -> int | None:
    count = content.get("execution_count")
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def _text(value: Json, otherwise: str) -> str:
    return clean_text(value) if isinstance(value, str) else otherwise
