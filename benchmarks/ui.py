"""``python -m benchmarks.ui``: what a person at the page waits for, beside JupyterLab alone.

A real Chromium, two servers from the same environment: one as installed, one with the extension and
the parts of jupyter-collaboration switched off. The table goes into README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- begin of the page's table -->", "<!-- end of the page's table -->"
PRESS_LIMIT = 1.1
LETTER_LIMIT_MS = 50.0


def measure(part: str, presses: int) -> dict[str, Any]:
    """The timings of both systems, in milliseconds: of key presses, or of letters in a flood."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "NOTEBOOK_EXEC_BENCH_FOLDER": folder,
            "NOTEBOOK_EXEC_BENCH_PRESSES": str(presses),
        }
        command = ["npx", "playwright", "test", "-c", "bench.config.ts", "-g", part]
        subprocess.run(command, check=True, cwd=ROOT / "ui-tests", env=environment)
        measured: dict[str, Any] = json.loads((Path(folder) / f"{part}.json").read_text())
        return measured


def p95(values: Sequence[float]) -> float:
    """What 95 of 100 are not above."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def press_rows(results: dict[str, Any]) -> list[str]:
    """From Shift+Enter to an output."""
    ours, plain = results["ours"], results["plain"]
    press = [statistics.median(system["press_ms"]) for system in (ours, plain)]
    ratio = press[0] / press[1]
    return [
        f"| Shift+Enter → output visible, median of {len(ours['press_ms'])} | {press[0]:.0f} ms "
        f"| {press[1]:.0f} ms | ratio ≤ {PRESS_LIMIT}, is {ratio:.2f} "
        f"| {_mark(ratio <= PRESS_LIMIT)} |"
    ]


def flood_rows(results: dict[str, Any], cells: str = "500 cells") -> list[str]:
    """From a key to its letter, while a cell prints."""
    ours, plain = results["ours"], results["plain"]
    quiet = [p95(system["quiet_ms"]) for system in (ours, plain)]
    letter = [p95(system["letter_ms"]) for system in (ours, plain)]
    return [
        f"| {cells}, nothing runs: keystroke → glyph, p95 | "
        f"{quiet[0]:.0f} ms | {quiet[1]:.0f} ms | | |",
        f"| {cells}, one prints 2,000 lines/s: keystroke → glyph, p95 | "
        f"{letter[0]:.0f} ms | {letter[1]:.0f} ms | < {LETTER_LIMIT_MS:.0f} ms "
        f"| {_mark(letter[0] < LETTER_LIMIT_MS)} |",
        f"| lines that were shown meanwhile | {ours['lines_per_s']:.0f} a second "
        f"| {plain['lines_per_s']:.0f} a second | | |",
    ]


PARTS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "press": press_rows,
    "flood": flood_rows,
    "windowed": lambda results: flood_rows(results, "500 cells, windowing mode full"),
}


def _mark(reached: bool) -> str:
    return "✓" if reached else "✗"


def write(readme: Path, text: str) -> None:
    """Put the table where the last one was."""
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}")


def main() -> None:
    """Measure, print, and keep it unless asked not to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presses", type=int, default=60)
    parser.add_argument("--no-write", action="store_true", help="leave README.md as it is")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    rows = ["| | ours | JupyterLab alone | has to be | |", "|---|---|---|---|---|"]
    for part in options.parts:
        rows += PARTS[part](measure(part, options.presses))
    text = "\n".join(rows)
    print(text)
    if not options.no_write and options.parts == list(PARTS):
        write(ROOT / "benchmarks" / "README.md", text)


if __name__ == "__main__":
    main()
