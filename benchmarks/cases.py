"""What is measured: the cells, when they are done, and what is to be reached."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

PLAIN = "ours, no nanny"
"""Ours with ``NotebookExecApp.nanny = False``: the link goes straight to the kernel."""
NANNY_FACTOR = 1.2
"""What the way through a nanny may cost."""
_BAR = 20
_PROGRESS = r"""
import sys
for i in range(STEPS + 1):
    done = i * 20 // STEPS
    line = f"\r{i * 100 // STEPS:3d}%|{'█' * done}{' ' * (20 - done)}| {i}/STEPS"
    print(line, end="", file=sys.stderr, flush=True)
"""


@dataclass(frozen=True)
class Case:
    """One measurement.

    ``meter`` says what is counted: "latency" (each cell alone), "finished" (cells run),
    "stream" (bytes of streams), "progress" (steps, by what is shown) or "displays" (outputs).
    ``by_post``: the request is an HTTP request of its own, where a page has a better way.
    ``expected``: what the meter shows when all is there. ``text``: what the stream says then.
    """

    name: str
    title: str
    cells: tuple[str, ...]
    meter: str
    expected: int
    text: str | None = None
    lines: int = 0
    clients: int = 1
    notebooks: int = 1
    has_raw: bool = True
    by_post: bool = False
    timeout_s: float = 60.0


def cases(scale: float) -> dict[str, Case]:
    """All cases by name; ``scale`` below 1 makes them smaller, for trying things out."""

    def count(full: int) -> int:
        return max(5, round(full * scale))

    latency = Case(
        "latency", "request sent → `print(1)` visible", ("print(1)",) * count(20), "latency", 2
    )
    made = [
        latency,
        replace(latency, name="post", title="the same, the request a POST", by_post=True),
        Case(
            "cells",
            f"{count(200)} trivial cells in one request",
            ("x = 1",) * count(200),
            "finished",
            count(200),
        ),
        _lines("lines", "one cell, {} flushed lines", count(20_000)),
        _progress(count(5_000)),
        Case(
            "displays",
            f"one cell, {count(1_000)} displays",
            (f"for i in range({count(1_000)}): display(i)",),
            "displays",
            count(1_000),
        ),
        _lines("clients", "{} lines with 20 clients", count(5_000), clients=20),
        _lines("notebooks", "10 notebooks at once, {} lines each", count(2_000), notebooks=10),
    ]
    return {case.name: case for case in made}


def _lines(name: str, title: str, lines: int, *, clients: int = 1, notebooks: int = 1) -> Case:
    text = "".join(f"line {number}\n" for number in range(lines))
    code = f"for i in range({lines}): print('line', i, flush=True)"
    return Case(
        name,
        title.format(f"{lines:,}"),
        (code,),
        "stream",
        len(text),
        text=text,
        lines=lines,
        clients=clients,
        notebooks=notebooks,
        has_raw=notebooks == 1,  # which is one client, and so what many cannot be faster than
    )


def _progress(steps: int) -> Case:
    code = _PROGRESS.replace("STEPS", str(steps))
    final = f"100%|{'█' * _BAR}| {steps}/{steps}"
    title = f"{steps:,} updates of a tqdm line"
    return Case("progress", title, (code,), "progress", steps, text=final)


def progress_shown(text: str, steps: int) -> float:
    """How far a progress line went, from 0 to 1."""
    for pattern, whole in ((rf"(\d+)/{steps}\b", steps), (r"(\d+)%\|", 101)):
        shown = re.findall(pattern, text[-400:])
        if shown:
            return int(shown[-1]) / whole  # 100 % alone is not yet the last step
    return 0.0


@dataclass(frozen=True)
class Target:
    """What one of our numbers has to be. ``value`` takes ours and the raw kernel's result.

    ``is_time``: with a nanny it may be longer by ``NANNY_FACTOR``.
    """

    case: str
    title: str
    limit: float
    unit: str
    at_least: bool
    value: Callable[[dict[str, float], dict[str, float]], float]
    is_time: bool = True

    def limit_of(self, system: str) -> float:
        """What it has to be for ``system``, one of ours."""
        if system == PLAIN or not self.is_time:
            return self.limit
        return self.limit / NANNY_FACTOR if self.at_least else self.limit * NANNY_FACTOR

    def is_met(self, value: float, system: str) -> bool:
        """Whether ``value`` is good enough."""
        limit = self.limit_of(system)
        return value >= limit if self.at_least else value <= limit


def _ratio(ours: dict[str, float], raw: dict[str, float]) -> float:
    return ours["seconds"] / raw["seconds"]


def _rate(ours: dict[str, float], raw: dict[str, float]) -> float:
    return raw["seconds"] / ours["seconds"]


TARGETS = (
    Target("latency", "time ÷ raw", 1.6, "", False, _ratio),
    Target("post", "time ÷ raw", 1.6, "", False, _ratio),
    Target("cells", "rate ÷ raw", 0.95, "", True, _rate),
    Target("lines", "time ÷ raw", 1.15, "", False, _ratio),
    Target(
        "lines", "server CPU a line", 0.2, " ms", False, lambda o, _: o["cpu_ms_per_line"], False
    ),
    Target(
        "lines", "`GET /api/status` p95", 10.0, " ms", False, lambda o, _: o["status_p95_ms"], False
    ),
    Target("progress", "time ÷ raw", 1.15, "", False, _ratio),
    Target("progress", "document", 2.0, " kB", False, lambda o, _: o["doc_bytes"] / 1000, False),
    Target("displays", "time ÷ raw", 1.1, "", False, _ratio),
    Target("clients", "time", 1.5, " s", False, lambda o, _: o["seconds"]),
    Target("notebooks", "time", 6.0, " s", False, lambda o, _: o["seconds"]),
)
