"""Runaway cells: head, notice and moving tail in the cell, the whole for the log (SPEC O15)."""

from __future__ import annotations

import random

import pytest
from outputs_world import (
    A,
    World,
    clear,
    display,
    display_output,
    stream,
    stream_output,
    update,
)

from notebook_exec.core.model import InsertOutputs, Output, SpliceText

LIMIT = 10_000


def size(outputs: list[Output]) -> int:
    return sum(len(str(output.get("text", output.get("data"))).encode()) for output in outputs)


def written_bytes(world: World) -> int:
    """Take, and count what goes into the document."""
    total = 0
    for edit in world.take():
        if isinstance(edit, SpliceText):
            total += len(edit.insert.encode())
        elif isinstance(edit, InsertOutputs):
            total += size(list(edit.outputs))
    return total


def test_o15_head_notice_tail() -> None:
    """O15: first half, how much is missing and where it is, and the last lines."""
    world = World(LIMIT)
    lines = [f"line {i:05}\n" for i in range(20_000)]
    written, notices = 0, set()
    for i, line in enumerate(lines):
        world.say(stream(line))
        if i % 10 == 0:
            written += written_bytes(world)
            assert size(world.cells[A]) <= LIMIT + 200
            if len(world.cells[A]) > 1:
                notices.add(world.cells[A][1]["data"]["text/plain"])
    head, notice, tail = world.shows()
    text = "".join(lines)
    assert text.startswith(head["text"])
    assert text.endswith(tail["text"])
    assert LIMIT / 2 - 11 <= len(head["text"]) <= LIMIT / 2
    assert LIMIT / 4 - 11 <= len(tail["text"]) <= LIMIT / 2
    assert head["text"].endswith("\n")
    assert tail["text"].startswith("line ")
    omitted = len(text) - len(head["text"]) - len(tail["text"])
    assert f"{omitted:,} bytes" in notice["data"]["text/plain"]
    assert "log" in notice["data"]["text/plain"]
    assert len(notices) <= len(text) / (LIMIT / 4 - 200) + 1, "the notice changes only with a cut"
    assert written < 3 * len(text), "a cut writes the tail anew; not more than that"


def test_o15_spill_is_the_whole() -> None:
    """O15: nothing for the log before the limit; then everything from the first byte on."""
    world = World(LIMIT)
    rng = random.Random(1)
    printed, spilled = "", ""
    for i in range(4_000):
        text = rng.choice(["x" * rng.randrange(20), "é█\n", f"\rbar {i}", "\n"])
        world.say(stream(text))
        printed += text
        if world.outputs.outputs(A)[0]["text"] != "" and len(world.outputs.outputs(A)) == 1:
            assert world.outputs.take_spill(A) == []
        for output in world.outputs.take_spill(A):
            assert output["output_type"] == "stream"
            spilled += output["text"]
    unbounded = [World(10**9), World(10**9)]
    unbounded[0].say(stream(printed))
    unbounded[1].say(stream(spilled))
    assert unbounded[0].shows() == unbounded[1].shows()
    assert spilled.endswith(printed[-1000:]), "since the limit it is what was printed, not redrawn"


def test_o15_spill_holds_other_outputs_too() -> None:
    """O15: displays and the change of streams are in the log in their order."""
    world = World(100)
    world.say(stream("a" * 60), display("d"), stream("b" * 60, "stderr"), stream("c"), display("e"))
    assert world.outputs.take_spill(A) == [
        stream_output("a" * 60),
        display_output("d"),
        stream_output("b" * 60, "stderr"),
        stream_output("c"),
        display_output("e"),
    ]
    assert world.outputs.take_spill(A) == []
    world.say(stream("more"), stream(" and more"))
    assert world.outputs.take_spill(A) == [stream_output("more and more")]


def test_o15_clear_starts_over() -> None:
    """O15: after a clear the cell has room again; the log goes on."""
    world = World(LIMIT)
    world.say(stream("x\n" * LIMIT))
    assert len(world.shows()) == 3
    world.outputs.take_spill(A)
    world.say(clear(), stream("y"))
    assert world.shows() == [stream_output("y")]
    assert world.outputs.take_spill(A) == [stream_output("y")]


def test_o15_displays_count() -> None:
    """O15: many displays are bounded as well; what was left out is updated no more."""
    world = World(LIMIT)
    for i in range(100):
        world.say(display(f"{i} " + "x" * 500, f"d{i}"))
    shown = world.shows()
    assert size(shown) < LIMIT + 200
    assert shown[0]["data"]["text/plain"].startswith("0 ")
    assert shown[-1]["data"]["text/plain"].startswith("99 ")
    world.say(update("new", "d50"))
    assert world.take() == []
    world.say(update("first", "d0"), update("last", "d99"))
    shown = world.shows()
    assert (shown[0], shown[-1]) == (display_output("first"), display_output("last"))


def test_o15_a_display_that_is_too_large() -> None:
    """O15: one output larger than the limit is left out, and the notice says so."""
    world = World(LIMIT)
    world.say(stream("before\n"), display("x" * 2 * LIMIT), stream("after\n"))
    before, notice, after = world.shows()
    assert (before, after) == (stream_output("before\n"), stream_output("after\n"))
    assert "left out" in notice["data"]["text/plain"]
    assert notice["metadata"]["notebook_exec"]["execution_id"] == A


def test_o15_a_display_that_grows() -> None:
    """O15: an update can be what passes the limit; the cell goes on afterwards."""
    world = World(LIMIT)
    world.say(display("small", "d"), stream("x\n" * 10), update("y" * 2 * LIMIT, "d"))
    assert size(world.shows()) < LIMIT
    world.say(stream("z\n" * LIMIT), update("again", "d"))
    assert size(world.shows()) < LIMIT + 200


def test_o15_one_endless_line() -> None:
    """O15: a line without end is bounded too, and cut on characters."""
    world = World(LIMIT)
    for _ in range(2000):
        world.say(stream("█" * 37))
        world.take()
    head, _notice, tail = world.shows()
    assert set(head["text"] + tail["text"]) == {"█"}
    assert size(world.cells[A]) <= LIMIT + 200


def test_o15_tqdm_in_the_tail() -> None:
    """O15, O3: a redrawn line stays one line in the tail, and does not use up the limit."""
    world = World(LIMIT)
    world.say(stream("x\n" * LIMIT))
    world.take()
    for i in range(3000):
        world.say(stream(f"\r{i}%"))
        if i % 50 == 0:
            assert len(world.take()) == 1
    assert world.shows()[-1]["text"].endswith("x\n2999%")


@pytest.mark.parametrize("seed", range(60))
def test_o15_anything(seed: int) -> None:
    """O15: bounded, valid and consistent whatever comes."""
    rng = random.Random(seed)
    world = World(2_000)
    for i in range(300):
        world.say(
            rng.choice(
                [
                    stream("abc\n" * rng.randrange(100)),
                    stream("x" * rng.randrange(900), rng.choice(["stdout", "stderr"])),
                    stream(f"\r{i}"),
                    display("d" * rng.randrange(1500), f"d{rng.randrange(3)}"),
                    update("u" * rng.randrange(1500), f"d{rng.randrange(3)}"),
                ]
            )
        )
        if rng.random() < 0.2:
            world.take()
            assert size(world.cells[A]) < 2_000 + 300
