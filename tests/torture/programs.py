"""Cells of all kinds, and what each of them leaves behind when it has run once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SETUP = "import sys, time\nfrom IPython.display import HTML, clear_output, display"


@dataclass(frozen=True)
class Program:
    """``outputs``: what is to be seen in the end, as ``seen`` puts it."""

    source: str
    outputs: list[tuple[str, str]]


def seen(outputs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Outputs without what does not matter: names and texts."""
    return [
        (o["name"], o["text"])
        if o["output_type"] == "stream"
        else (o["output_type"], str(o.get("data", {}).get("text/html", o.get("ename"))))
        for o in outputs
    ]


def random_program(rng: random.Random) -> Program:
    """Any of them, at any rate."""
    return rng.choice(_KINDS)(rng)


def _pace(rng: random.Random) -> str:
    # In bursts: ipykernel loses output if a busy machine does not let its sending thread run.
    burst, pause_s = rng.choice([(1, 0.002), (20, 0.005), (200, 0.02)])
    return f"i % {burst} or time.sleep({pause_s})"


def _lines(rng: random.Random) -> Program:
    count = rng.randrange(10, 3000)
    source = f"for i in range({count}):\n    print('line', i, flush=True)\n    {_pace(rng)}"
    return Program(source, [("stdout", "".join(f"line {i}\n" for i in range(count)))])


def _progress(rng: random.Random) -> Program:
    count = rng.randrange(10, 1000)
    source = (
        f"for i in range({count}):\n"
        "    sys.stderr.write(f'\\r{i:5} █')\n"
        "    sys.stderr.flush()\n"
        f"    {_pace(rng)}\n"
        "print(file=sys.stderr)"
    )
    return Program(source, [("stderr", f"{count - 1:5} █\n")])


def _both(rng: random.Random) -> Program:
    count = rng.randrange(5, 200)
    source = (
        f"for i in range({count}):\n"
        "    print('out', i, flush=True)\n"
        "    print('err', i, file=sys.stderr, flush=True)\n"
        f"    {_pace(rng)}"
    )
    pairs = [[("stdout", f"out {i}\n"), ("stderr", f"err {i}\n")] for i in range(count)]
    return Program(source, [output for pair in pairs for output in pair])


def _cleared(rng: random.Random) -> Program:
    count = rng.randrange(5, 300)
    wait = rng.random() < 0.5
    source = (
        f"for i in range({count}):\n"
        f"    clear_output(wait={wait})\n"
        "    print('now', i, flush=True)\n"
        "    display(HTML(str(i)))\n"
        f"    {_pace(rng)}"
    )
    last = count - 1
    return Program(source, [("stdout", f"now {last}\n"), ("display_data", str(last))])


def _updated(rng: random.Random) -> Program:
    count = rng.randrange(5, 500)
    source = (
        "handle = display(HTML('start'), display_id=True)\n"
        "print('between', flush=True)\n"
        f"for i in range({count}):\n"
        "    handle.update(HTML(str(i)))\n"
        f"    {_pace(rng)}"
    )
    return Program(source, [("display_data", str(count - 1)), ("stdout", "between\n")])


def _asking(rng: random.Random) -> Program:
    source = "print('before', flush=True)\nprint('got', input('what? '), flush=True)"
    return Program(source, [("stdout", "before\nwhat? it\ngot it\n")])


_KINDS: list[Callable[[random.Random], Program]] = [
    _lines,
    _lines,
    _progress,
    _both,
    _cleared,
    _updated,
    _asking,
]
