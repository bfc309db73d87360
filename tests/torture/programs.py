"""Cells of all kinds, and step by step what each of them says: the model they are held against."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

SETUP = (
    "import getpass, sys, time\n"
    "from IPython.display import HTML, clear_output, display\n"
    "from tqdm import tqdm"
)

Seen = tuple[tuple[str, str], ...]
Step = tuple[str, ...]
"""``(what, …)``: "out", name, text | "bar", name, line | "clear" | "clear_wait" |
"display", text | "update", text | "echo", text, which the server shows."""


@dataclass(frozen=True)
class Program:
    """``steps`` are all that it says, in order; it ends with an error named ``error``, or well."""

    source: str
    steps: tuple[Step, ...] = ()
    error: str = ""

    @property
    def has_bar(self) -> bool:
        """Whether it draws a progress bar."""
        return any(step[0] == "bar" for step in self.steps)

    @property
    def outputs(self) -> Seen:
        """What is to be seen when it has ended."""
        seen: Seen = ()
        for seen in states(self):  # noqa: B007 - the last one is wanted
            pass
        return seen


def seen(outputs: list[dict[str, Any]]) -> Seen:
    """Outputs without what does not matter: names and texts."""
    return tuple(
        (o["name"], str(o["text"]))
        if o["output_type"] == "stream"
        else (o["output_type"], str(o.get("data", {}).get("text/html", o.get("ename"))))
        for o in outputs
    )


def states(program: Program) -> Iterator[Seen]:
    """What is to be seen after each step, from nothing on."""
    outputs: list[tuple[str, str]] = []
    clears = False
    yield ()
    for what, *rest in program.steps:
        if what == "clear_wait":
            clears = True
            continue
        if what == "clear":
            outputs, clears = [], False
        elif what == "update":
            index = next(i for i, (name, _) in enumerate(outputs) if name == "display_data")
            outputs[index] = ("display_data", rest[0])
        else:
            if clears:
                outputs, clears = [], False
            _add(outputs, what, rest)
        yield tuple(outputs)
    if program.error:
        yield (*outputs, ("error", program.error))


def _add(outputs: list[tuple[str, str]], what: str, rest: list[str]) -> None:
    if what == "display":
        outputs.append(("display_data", rest[0]))
        return
    name, text = rest if what != "echo" else ("stdout", rest[0])
    before = outputs.pop()[1] if outputs and outputs[-1][0] == name else ""
    if what == "bar":
        before = before[: before.rfind("\n") + 1]
    outputs.append((name, before + text))


class Follower:
    """Whether what is seen, look by look, is what a program shows as it goes on, and never back."""

    def __init__(self, program: Program) -> None:
        self._states = states(program)
        self.state = next(self._states)

    def reach(self, look: Seen) -> bool:
        """Go on to where this is seen; False if it never is from here on."""
        while self.state != look:
            following = next(self._states, None)
            if following is None:
                return False
            self.state = following
        return True


def follows(program: Program, looks: list[Seen]) -> bool:
    """Whether ``looks`` can be seen one after the other while the program runs."""
    follower = Follower(program)
    return all(follower.reach(look) for look in looks)


def random_program(rng: random.Random) -> Program:
    """Any of them, at any rate."""
    return rng.choice(_KINDS)(rng)


def _printed(name: str, line: str) -> tuple[Step, Step]:
    """By ``print``, which writes the line and its end apart."""
    return ("out", name, line), ("out", name, "\n")


def _pace(rng: random.Random) -> str:
    # In bursts: ipykernel loses output if a busy machine does not let its sending thread run.
    burst, pause_s = rng.choice([(1, 0.002), (20, 0.005), (200, 0.02)])
    return f"i % {burst} or time.sleep({pause_s})"


def _lines(rng: random.Random) -> Program:
    count = rng.randrange(10, 3000)
    source = f"for i in range({count}):\n    print(f'line {{i}}', flush=True)\n    {_pace(rng)}"
    steps = [step for i in range(count) for step in _printed("stdout", f"line {i}")]
    return Program(source, tuple(steps))


def _failing(rng: random.Random) -> Program:
    lines = _lines(rng)
    return Program(f"{lines.source}\nraise LookupError('meant')", lines.steps, "LookupError")


def _progress(rng: random.Random) -> Program:
    count = rng.randrange(10, 1000)
    source = (
        f"for i in range({count}):\n"
        "    sys.stderr.write(f'\\r{i:5} █')\n"
        "    sys.stderr.flush()\n"
        f"    {_pace(rng)}\n"
        "sys.stderr.write('\\n');"
    )
    steps = [("bar", "stderr", f"{i:5} █") for i in range(count)]
    return Program(source, (*steps, ("out", "stderr", "\n")))


def _tqdm(rng: random.Random) -> Program:
    count = rng.randrange(10, 600)
    source = (
        f"for i in tqdm(range({count}), bar_format='{{n_fmt}} of {{total_fmt}}', mininterval=0):\n"
        f"    {_pace(rng)}"
    )
    steps = [("bar", "stderr", f"{i} of {count}") for i in range(count + 1)]
    return Program(source, (*steps, ("out", "stderr", "\n")))


def _both(rng: random.Random) -> Program:
    count = rng.randrange(5, 200)
    source = (
        f"for i in range({count}):\n"
        "    print(f'out {i}', flush=True)\n"
        "    print(f'err {i}', file=sys.stderr, flush=True)\n"
        f"    {_pace(rng)}"
    )
    pairs = [
        step
        for i in range(count)
        for step in (*_printed("stdout", f"out {i}"), *_printed("stderr", f"err {i}"))
    ]
    return Program(source, tuple(pairs))


def _cleared(rng: random.Random) -> Program:
    count = rng.randrange(5, 300)
    wait = rng.random() < 0.5
    source = (
        f"for i in range({count}):\n"
        f"    clear_output(wait={wait})\n"
        "    print(f'now {i}', flush=True)\n"
        "    display(HTML(str(i)))\n"
        f"    {_pace(rng)}"
    )
    steps: list[Step] = []
    for i in range(count):
        steps.append(("clear_wait",) if wait else ("clear",))
        steps += [*_printed("stdout", f"now {i}"), ("display", str(i))]
    return Program(source, tuple(steps))


def _updated(rng: random.Random) -> Program:
    count = rng.randrange(5, 500)
    source = (
        "handle = display(HTML('start'), display_id=True)\n"
        "print('between', flush=True)\n"
        f"for i in range({count}):\n"
        "    handle.update(HTML(str(i)))\n"
        f"    {_pace(rng)}"
    )
    updates = [("update", str(i)) for i in range(count)]
    return Program(source, (("display", "start"), *_printed("stdout", "between"), *updates))


def _asking(rng: random.Random) -> Program:
    ask, shown = rng.choice([("input", ANSWER), ("getpass.getpass", "········")])
    source = f"print('before', flush=True)\nanswer = {ask}('what? ')\nprint('got', flush=True)"
    echo = ("echo", f"what? {shown}\n")
    return Program(source, (*_printed("stdout", "before"), echo, *_printed("stdout", "got")))


ANSWER = "it"
"""What is answered to whoever asks."""

_KINDS: list[Callable[[random.Random], Program]] = [
    _lines,
    _lines,
    _progress,
    _tqdm,
    _both,
    _cleared,
    _updated,
    _asking,
    _failing,
]
