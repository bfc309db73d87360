"""The results as a table, and its place in README.md."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cases import PLAIN, TARGETS, Case, Target

Results = dict[str, dict[str, list[dict[str, Any]]]]
"""Case → system → the result of each round."""

BEGIN, END = "<!-- begin of the table -->", "<!-- end of the table -->"
_NUMBERS = ("seconds", "cpu_ms_per_line", "status_p95_ms", "doc_bytes")


def medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The median of each number, over the rounds that came to the end."""
    whole = [result for result in rounds if _is_whole(result)]
    return {
        name: statistics.median(values)
        for name in _NUMBERS
        if (values := [result[name] for result in whole if result.get(name) is not None])
    }


def _is_whole(result: Mapping[str, Any]) -> bool:
    return "seconds" in result and bool(result["is_right"])


def shown(rounds: Sequence[Mapping[str, Any]]) -> str:
    """One cell of the table: the median time, or what went wrong."""
    if not rounds:
        return ""
    failed = [result for result in rounds if not _is_whole(result)]
    if failed:
        problem = min(failed, key=lambda result: float(result.get("fraction", 0)))
        if "error" in problem:
            text = "fails"
        elif "seconds" in problem:
            text = "wrong text"
        else:
            text = f"stops at {problem['fraction'] * 100:.0f} %"
        return text if len(failed) == len(rounds) else f"{text} ({len(failed)} of {len(rounds)})"
    times = sorted(result["seconds"] for result in rounds)
    span = f" ({_time(times[0])} to {_time(times[-1])})" if len(times) > 1 else ""
    return _time(statistics.median(times)) + span


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"


def table(results: Results, chosen: Mapping[str, Case], systems: Sequence[str]) -> str:
    """Two tables: the times of all systems, and our numbers against what they have to be."""
    head = f"| | {' | '.join(systems)} |"
    rows = [head, "|---" * (len(systems) + 1) + "|"]
    for name, case in chosen.items():
        cells = [shown(results.get(name, {}).get(system, [])) for system in systems]
        rows.append(f"| {case.title} | {' | '.join(cells)} |")
    ours = [system for system in systems if system in (PLAIN, "ours")]
    rows += ["", f"| |{''.join(f' {system} | has to be | |' for system in ours)}"]
    rows += ["|---" * (3 * len(ours) + 1) + "|"]
    for target in TARGETS:
        if target.case in chosen:
            cells = "".join(_target_cells(target, results[target.case], system) for system in ours)
            rows.append(f"| {chosen[target.case].title}: {target.title} |{cells}")
    rows += ["", *_other_numbers(results, chosen, systems)]
    return "\n".join(rows)


def _target_cells(
    target: Target, of_case: Mapping[str, Sequence[Mapping[str, Any]]], system: str
) -> str:
    limit = f"{'≥' if target.at_least else '≤'} {target.limit_of(system):.3g}{target.unit}"
    rounds = of_case.get(system, [])
    if any(not _is_whole(result) for result in rounds):
        return f" {shown(rounds)} | {limit} | ✗ |"
    try:
        value = target.value(medians(rounds), medians(of_case.get("raw", [])))
    except KeyError:
        return f" not measured | {limit} | |"
    mark = "✓" if target.is_met(value, system) else "✗"
    return f" {value:.3g}{target.unit} | {limit} | {mark} |"


def _other_numbers(
    results: Results, chosen: Mapping[str, Case], systems: Sequence[str]
) -> list[str]:
    """What was measured beside the time, for every server, where it got to the end."""
    rows = ["| | server CPU a line | `GET /api/status` p95 | document |", "|---|---|---|---|"]
    for name in chosen:
        for system in systems:
            found = medians(results.get(name, {}).get(system, []))
            numbers = (
                _number(found.get("cpu_ms_per_line"), 1, "ms", 3),
                _number(found.get("status_p95_ms"), 1, "ms", 1),
                _number(found.get("doc_bytes"), 1000, "kB", 1),
            )
            if any(numbers):
                rows.append(f"| {chosen[name].title}, {system} | {' | '.join(numbers)} |")
    return rows


def _number(value: float | None, divisor: float, unit: str, digits: int) -> str:
    return "" if value is None else f"{value / divisor:.{digits}f} {unit}"


def machine(found: Mapping[str, Mapping[str, str]], rounds: int) -> str:
    """On what it was measured, and with which versions."""
    lines = [
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; "
        f"{rounds} rounds in turns; median (fastest to slowest).",
        "",
    ]
    for name, packages in found.items():
        lines.append(f"- {name}: {', '.join(f'{p} {v}' for p, v in packages.items())}")
    return "\n".join(lines)


def write_readme(path: Path, text: str) -> None:
    """Put ``text`` between the marks in the file."""
    before, rest = path.read_text().split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
