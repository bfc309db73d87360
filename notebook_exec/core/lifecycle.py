"""The lifecycle of an execution: the table of its legal moves (SPEC Q1), and its diagram.

``python -m notebook_exec.core.lifecycle`` prints ``docs/lifecycle.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from .model import Execution, ExecutionState, Reason

_QUEUED = ExecutionState.QUEUED
_RUNNING = ExecutionState.RUNNING
_WAITING = ExecutionState.WAITING_INPUT
_FINISHED = ExecutionState.FINISHED
_FAILED = ExecutionState.FAILED
_CANCELLED = ExecutionState.CANCELLED
_LOST = ExecutionState.LOST

INITIAL = _QUEUED

MOVES: Mapping[tuple[ExecutionState, ExecutionState], str] = MappingProxyType(
    {
        (_QUEUED, _RUNNING): "its turn, sent to the kernel",
        (_QUEUED, _FINISHED): "skipped or blank, nothing to send",
        (_QUEUED, _FAILED): "the kernel did not start",
        (_QUEUED, _CANCELLED): "cancelled, or something before it stopped the queue",
        (_QUEUED, _LOST): "the server and its kernel died as it was being sent",
        (_RUNNING, _WAITING): "the kernel asks for input",
        (_WAITING, _RUNNING): "answered, or no longer asked",
        (_RUNNING, _FINISHED): "reply ok, and idle",
        (_RUNNING, _FAILED): "reply error, and idle, or restarted at its time limit",
        (_RUNNING, _CANCELLED): "cancelled, aborted, or its kernel was restarted or shut down",
        (_RUNNING, _LOST): "the kernel died, or its reply never came",
        (_WAITING, _FAILED): "restarted at its time limit",
        (_WAITING, _CANCELLED): "its kernel was restarted or shut down",
        (_WAITING, _LOST): "the kernel died",
    }
)
"""Every legal move, and when it is made."""


ENDS: Mapping[Reason | None, tuple[tuple[ExecutionState, ...], str]] = MappingProxyType(
    {
        None: (
            (_FINISHED, _FAILED, _LOST),
            "the kernel said ok; it said error; it became idle and never said",
        ),
        Reason.SKIPPED: ((_FINISHED,), "tagged skip-execution"),
        Reason.BLANK: ((_FINISHED,), "nothing to run"),
        Reason.CANCELLED: (
            (_CANCELLED,),
            "someone cancelled it, before it began or while it ran, whatever the kernel said then",
        ),
        Reason.EARLIER_ERROR: ((_CANCELLED,), "an error, or a cancel, before it stopped it"),
        Reason.INTERRUPTED: (
            (_FAILED, _CANCELLED, _LOST),
            "someone interrupted the kernel: it ran; it was queued; it ran and never replied",
        ),
        Reason.CELL_DELETED: ((_CANCELLED,), "its cell was deleted while it was queued"),
        Reason.KERNEL_DIED: (
            (_LOST, _FAILED, _CANCELLED),
            "it ran; nothing ran yet and it was the first in the queue; it was queued",
        ),
        Reason.KERNEL_RESTARTED: ((_CANCELLED,), "someone, or a time limit, restarted the kernel"),
        Reason.KERNEL_SHUT_DOWN: ((_CANCELLED,), "someone shut the kernel down"),
        Reason.KERNEL_START_FAILED: (
            (_FAILED, _CANCELLED, _LOST),
            "it was the first in the queue; it was queued; it ran and its kernel is out of reach",
        ),
        Reason.TIME_LIMIT: (
            (_FAILED, _CANCELLED, _LOST),
            "interrupted, or else restarted, at its limit; aborted then; never replied then",
        ),
        Reason.SERVER_STOPPED: (
            (_LOST, _CANCELLED),
            "its kernel did not outlive the server: it ran, or perhaps; it was queued",
        ),
    }
)
"""The final states that go with each reason, in the order of the text that says when."""


class IllegalMove(Exception):
    """A move that the table does not have: a bug of the caller, never the user's doing."""

    def __init__(self, execution: Execution, state: ExecutionState) -> None:
        super().__init__(f"{execution.id}: {execution.state.value} → {state.value}")


def move(execution: Execution, state: ExecutionState, **changes: Any) -> Execution:
    """``execution`` in ``state``, with other fields changed too.

    To stay in a state that is not final is no move, and legal. Raises IllegalMove.
    """
    stays = state is execution.state and not state.is_final
    if not stays and (execution.state, state) not in MOVES:
        raise IllegalMove(execution, state)
    return replace(execution, state=state, **changes)


def diagram() -> str:
    """The table as a mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {INITIAL.value}: accepted"]
    lines += [
        f"    {before.value} --> {after.value}: {why}" for (before, after), why in MOVES.items()
    ]
    lines += [f"    {state.value} --> [*]" for state in ExecutionState if state.is_final]
    return "\n".join(lines)


def document() -> str:
    """The text of ``docs/lifecycle.md``."""
    rows = [
        f"| `{before.value}` | `{after.value}` | {why} |" for (before, after), why in MOVES.items()
    ]
    return "\n".join(
        [
            "# The lifecycle of an execution",
            "",
            "An execution is one run of one cell. These are its states and all its legal moves;",
            "anything else raises. Made from the table in `notebook_exec/core/lifecycle.py` by",
            "`python -m notebook_exec.core.lifecycle`; a test holds this file against the table.",
            "",
            "```mermaid",
            diagram(),
            "```",
            "",
            "| from | to | when |",
            "| --- | --- | --- |",
            *rows,
            "",
            "## How it ended",
            "",
            "| reason | state | when |",
            "| --- | --- | --- |",
            *_ends(),
            "",
        ]
    )


def _ends() -> list[str]:
    return [
        f"| {f'`{reason.value}`' if reason else 'none'} "
        f"| {', '.join(f'`{state.value}`' for state in states)} | {when} |"
        for reason, (states, when) in ENDS.items()
    ]


if __name__ == "__main__":
    print(document(), end="")
