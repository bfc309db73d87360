"""How the cells of one request may have ended, given what was done to their kernel meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from programs import Program, Seen, follows, seen

End = tuple[str, str, str]
"""State, reason, and the name of the error output, each "" if there is none."""

_LOST: frozenset[End] = frozenset({("lost", "kernel_died", "KernelDied")})
_ABANDONED: frozenset[End] = frozenset({("lost", "server_stopped", "ServerStopped")})
_RESTARTED: frozenset[End] = frozenset({("cancelled", "kernel_restarted", "")})
# Who takes a kernel away interrupts it first, and may not live to say what for.
_INTERRUPTED: frozenset[End] = frozenset({("failed", "interrupted", "KeyboardInterrupt")})
_SHUT_DOWN: frozenset[End] = frozenset({("cancelled", "kernel_shut_down", "")})

RAN: dict[str, frozenset[End]] = {
    "kernel killed": _LOST,
    "nanny killed": _LOST | _ABANDONED,
    "restarted": _RESTARTED,
    "restarted, server killed": _RESTARTED | _LOST | _INTERRUPTED,
    "hard-restarted, server killed": _RESTARTED | _SHUT_DOWN | _LOST | _ABANDONED | _INTERRUPTED,
    "server stopped": _SHUT_DOWN,
}
"""By what was done: how what ran then may end."""

WAITED: dict[str, frozenset[str]] = {
    "kernel killed": frozenset({"kernel_died"}),
    "nanny killed": frozenset({"kernel_died", "server_stopped"}),
    "restarted": frozenset({"kernel_restarted"}),
    "restarted, server killed": frozenset({"kernel_restarted", "kernel_died", "interrupted"}),
    "hard-restarted, server killed": frozenset(
        {"kernel_restarted", "kernel_shut_down", "kernel_died", "server_stopped", "interrupted"}
    ),
    "server stopped": frozenset({"kernel_shut_down"}),
}
"""By what was done: the reason for which what was queued then is cancelled."""


@dataclass
class Run:
    """One execution of a request."""

    program: Program
    tag: str
    """What the kernel notes when it comes to run it."""
    cell_id: str
    execution_id: str
    looks: list[list[Seen]] = field(default_factory=list)
    """What each page saw of it."""
    body: dict[str, Any] = field(default_factory=dict)
    """The execution as the API gives it in the end."""


def judge(runs: list[Run], done: set[str], times_run: dict[str, int]) -> list[str]:
    """What is wrong with a request that is over; ``done`` to its kernel while it was not."""
    wrong: list[str] = []
    stopped_by: set[str] | None = None  # what is queued after that is cancelled for this reason
    for run in runs:
        state, reason = run.body["state"], run.body.get("reason") or ""
        times = times_run.get(run.tag, 0)
        if stopped_by is not None:
            if (state, times) != ("cancelled", 0) or reason not in stopped_by:
                wrong.append(f"{run.tag}: was queued: {state} {reason}, ran {times} times")
        elif state == "finished" or (state == "failed" and not reason):
            wrong += _complete(run, state)
            if times != 1:
                wrong.append(f"{run.tag}: {state}, ran {times} times")
            if state == "failed":
                stopped_by = {"earlier_error"} | {r for what in done for r in WAITED[what]}
        else:
            wrong += _broken_off(run, done, times)
            stopped_by = {r for what in done for r in WAITED[what]}
    return wrong


def _complete(run: Run, state: str) -> list[str]:
    wrong = []
    found, wanted = seen(run.body["outputs"] or []), run.program.outputs
    if found != wanted:
        wrong.append(f"{run.tag}: {state}, but {difference(found, wanted)}\n{run.program.source}")
    if (state == "failed") != bool(run.program.error):
        wrong.append(f"{run.tag}: {state}: {run.body.get('error')}")
    return wrong + _backwards(run, found)


def _broken_off(run: Run, done: set[str], times: int) -> list[str]:
    body = run.body
    outputs = list(body["outputs"] or [])
    error = ""
    if outputs and outputs[-1]["output_type"] == "error" and body["state"] != "cancelled":
        error = outputs.pop()["ename"]
    end: End = (body["state"], body.get("reason") or "", error)
    found = _bar_open(run.program, _without_notice(seen(outputs)))
    if end[0] == "cancelled" and times == 0 and any(end[1] in WAITED[what] for what in done):
        return []  # it had been queued: its cell shows an earlier run's outputs
    allowed = {e for what in done for e in RAN[what]}
    if end == ("failed", "kernel_died", "KernelDied") and times == 0 and not outputs and done:
        return []  # nothing ran, and it would have been the next
    wrong = []
    if end not in allowed or times > 1:
        wrong.append(f"{run.tag}: {end}, ran {times} times, after {done}: {body.get('error')}")
    if not follows(run.program, [found]):
        wrong.append(f"{run.tag}: {end}: {difference(found, run.program.outputs)}")
    return wrong + _backwards(run, found)


def _backwards(run: Run, found: Seen) -> list[str]:
    """Whether something that a page was shown was taken back."""
    wrong = []
    for looks in run.looks:
        without = [_bar_open(run.program, _without_notice(look)) for look in looks]
        if not follows(run.program, [*without, found]):
            wrong.append(
                f"{run.tag}: a page saw what is not so in the end: {run.body['state']}: "
                f"{[shorten(look) for look in without]}, in the end {shorten(found)}"
            )
    return wrong


def _without_notice(look: Seen) -> Seen:
    """Without the errors that say how it was broken off: the kernel's last word, then ours."""
    said = {("error", "KernelDied"), ("error", "ServerStopped"), ("error", "KeyboardInterrupt")}
    while look and look[-1] in said:
        look = look[:-1]
    return look


def _bar_open(program: Program, look: Seen) -> Seen:
    """Without the end of the line that tqdm writes when it is interrupted."""
    if program.has_bar and look and look[-1][1].endswith("\n"):
        return (*look[:-1], (look[-1][0], look[-1][1][:-1]))
    return look


def difference(found: Seen, wanted: Seen) -> str:
    """Where two differ first."""
    for index, (one, other) in enumerate(zip(found, wanted, strict=False)):
        if one != other:
            if one[0] != other[0]:
                return f"output {index}: {one[0]} for {other[0]}: {shorten(found)}"
            at = next(
                (i for i, (a, b) in enumerate(zip(one[1], other[1], strict=False)) if a != b),
                min(len(one[1]), len(other[1])),
            )
            around = slice(max(0, at - 30), at + 60)
            return f"output {index}, {at}: {one[1][around]!r} for {other[1][around]!r}"
    return f"{len(found)} outputs for {len(wanted)}: {shorten(found)}"


def shorten(look: Seen) -> str:
    """For a person to read."""
    return str([(name, len(text), text[-30:]) for name, text in look])
