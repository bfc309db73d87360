"""What cells show of what a kernel says (SPEC O)."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from outputs_world import (
    A,
    B,
    World,
    check_valid,
    clear,
    display,
    display_output,
    message,
    stream,
    stream_output,
    update,
)

from notebook_exec.core.model import (
    ClearOutputs,
    DeleteOutputs,
    ExecutionError,
    InsertOutputs,
    KernelMessage,
    ReplaceData,
    SpliceText,
)
from notebook_exec.core.outputs import KernelOutputs, SetNextInput


def test_o1_chunks_of_one_name_are_one_output() -> None:
    """O1: a thousand chunks are one output, and one splice."""
    world = World()
    world.say(stream("start\n"))
    world.take()
    world.say(*(stream(f"{i}\n") for i in range(1000)))
    text = "".join(f"{i}\n" for i in range(1000))
    assert world.take() == [SpliceText(0, 6, 6, 0, text)]
    assert world.cells[A] == [stream_output("start\n" + text)]


def test_o1_offsets_are_bytes() -> None:
    """O1: a splice counts UTF-8 bytes."""
    world = World()
    world.say(stream("é\n█ 1"))
    world.take()
    world.say(stream("\r█ 2"))
    assert world.take() == [SpliceText(0, 8, 3, 5, "█ 2")]


def test_o2_a_change_of_name_starts_an_output() -> None:
    """O2: stdout and stderr stay in order."""
    world = World()
    world.say(stream("a"), stream("b", "stderr"), stream("c"), stream("d"))
    assert world.shows() == [
        stream_output("a"),
        stream_output("b", "stderr"),
        stream_output("cd"),
    ]


def test_o3_tqdm_is_one_line_and_small_edits() -> None:
    """O3: 10,000 updates in 50 takes are 50 edits of one line."""
    world = World()
    for i in range(10_000):
        world.say(stream(f"\r{i / 100:3.0f}%|{'█' * (i // 1000):10}| {i}/10000", "stderr"))
        if i % 200 == 0:
            assert sum(len(getattr(edit, "insert", "")) for edit in world.take()) < 100
    assert world.shows() == [stream_output("100%|█████████ | 9999/10000", "stderr")]


def test_o4_clear_output() -> None:
    """O4: without wait the outputs go at once."""
    world = World()
    world.say(stream("a"), display("b"))
    world.take()
    world.say(clear())
    assert world.take() == [ClearOutputs()]
    assert world.cells[A] == []


@pytest.mark.parametrize("following", [stream("x"), display("x"), message("error", ename="x")])
def test_o4_clear_output_wait(following: KernelMessage) -> None:
    """O4: with wait the old ones stay till the next comes, of any kind, and both are one take."""
    world = World()
    world.say(stream("old"), display("old"))
    world.take()
    world.say(clear(wait=True))
    assert world.take() == []
    world.say(stream(""), message("status", execution_state="idle"))
    assert world.take() == []
    world.say(following)
    assert [type(edit) for edit in world.take()] == [ClearOutputs, InsertOutputs]
    assert len(world.cells[A]) == 1


def test_o4_text_animation_keeps_its_output() -> None:
    """O4: a text in place of another is a splice, so that the page does not flicker."""
    world = World()
    world.say(stream("frame 1"))
    world.take()
    world.say(clear(wait=True), stream("frame"), stream(" 2"))
    assert world.take() == [SpliceText(0, 7, 0, 7, "frame 2")]


def test_o5_update_in_every_cell() -> None:
    """O5: an update changes all outputs of that id, in other cells and of whatever request."""
    world = World()
    world.say(display("1", "d"), display("1", "d"), display("1", "d", B), display("2", "e", B))
    world.take(), world.take(B)
    world.say(update("new", "d", "someone-else"))
    assert set(world.outputs.dirty) == {A, B}
    assert world.shows() == [display_output("new")] * 2
    assert world.shows(B) == [display_output("new"), display_output("2")]
    world.say(update("x", "unknown"))
    assert not world.outputs.dirty


def test_o5_an_update_ends_no_wait() -> None:
    """O5: an update is no output: what waits to be cleared is updated, and goes later."""
    world = World()
    world.say(display("1", "d"), clear(wait=True), update("2", "d"))
    assert world.shows() == [display_output("2")]
    world.say(stream("x"))
    assert world.shows() == [stream_output("x")]
    world.say(update("3", "d"))
    assert world.shows() == [stream_output("x")]


def test_o5_how_updates_are_written() -> None:
    """O5: anew with the little text behind it; in place where more is behind it."""
    world = World()
    world.say(display("1", "d"), stream("log\n"))
    world.take()
    world.say(update("2", "d"), update("3", "d"))
    assert [type(edit) for edit in world.take()] == [ClearOutputs, InsertOutputs]
    world.say(display("script"))
    world.take()
    world.say(update("4", "d"), update("5", "d"))
    assert world.take() == [ReplaceData(0, {"text/plain": "5"}, {"m": 1})]


def test_o5_the_last_display_goes_out_and_in() -> None:
    """O5: JupyterLab shows that, and does not show a change in place."""
    world = World()
    world.say(stream("x"), display("1", "d"))
    world.take()
    world.say(update("2", "d"))
    assert world.take() == [DeleteOutputs(1, 1), InsertOutputs(1, (display_output("2"),))]


def test_o5_ends_with_the_run() -> None:
    """O5: the next run of the cell has nothing to do with the displays of the one before."""
    world = World()
    world.say(display("1", "d"))
    world.outputs.begin(B, replaces=A)
    world.say(update("2", "d"))
    assert not world.outputs.dirty
    assert world.outputs.outputs(A) == []


def test_l2_old_display_ids_are_forgotten() -> None:
    """L2: a cell that clears and displays for days does not fill the memory."""
    world = World()
    world.say(display("kept", "kept", B))
    for i in range(5_000):
        world.say(clear(), display("x", f"d{i}"))
    assert len(world.outputs._displays) <= 1_100
    world.say(update("new", "kept"))
    assert world.shows(B) == [display_output("new")]


def test_o6_equal_displays() -> None:
    """O6: two equal ones are two."""
    world = World()
    world.say(display("x"), display("x"))
    assert world.shows() == [display_output("x")] * 2


def test_o7_what_a_result_keeps() -> None:
    """O7: metadata and count are kept, transient is not."""
    world = World()
    content = {"data": {"text/plain": "4"}, "metadata": {"a": [1, None]}, "transient": {"t": 1}}
    world.say(message("execute_result", execution_count=3, **content))
    assert world.shows() == [
        {
            "output_type": "execute_result",
            "execution_count": 3,
            "data": {"text/plain": "4"},
            "metadata": {"a": [1, None]},
        }
    ]


def test_o4_an_error_of_ours_does_not_clear() -> None:
    """O4, K1: a kernel that dies after ``clear_output(wait=True)`` leaves what it showed."""
    world = World()
    world.say(message("stream", name="stdout", text="epoch 7\n"))
    world.say(message("clear_output", wait=True))
    world.outputs.show_error(A, ExecutionError("Died", "killed", ("t",)))
    assert [o.get("text") or o["ename"] for o in world.shows()] == ["epoch 7\n", "Died"]


def test_o8_errors() -> None:
    """O8: ename, evalue and traceback; ours look the same."""
    world = World()
    world.say(message("error", ename="E", evalue="v", traceback=["\x1b[31ma\x1b[0m", "b"]))
    world.outputs.show_error(A, ExecutionError("Died", "killed", ("t",)))
    assert world.shows() == [
        {
            "output_type": "error",
            "ename": "E",
            "evalue": "v",
            "traceback": ["\x1b[31ma\x1b[0m", "b"],
        },
        {"output_type": "error", "ename": "Died", "evalue": "killed", "traceback": ["t"]},
    ]


def test_o9_late_messages() -> None:
    """O9: after the reply and idle messages still reach the cell of their parent."""
    world = World()
    world.say(stream("a"), message("execute_reply", channel="shell", status="ok"))
    world.say(message("status", execution_state="idle"), stream("b", parent=B), stream(" late"))
    assert world.shows() == [stream_output("a late")]
    assert world.shows(B) == [stream_output("b")]
    world.say(stream("x", parent="unknown"), stream("x", parent=""))
    assert not world.outputs.dirty


def test_o13_page() -> None:
    """O13: the first page of a reply shows as a display."""
    pages = [{"source": "page", "start": 0, "data": {"text/plain": f"help {i}"}} for i in (1, 2)]
    world = World()
    assert world.say(message("execute_reply", channel="shell", status="ok", payload=pages)) == []
    assert world.shows() == [
        {"output_type": "display_data", "data": {"text/plain": "help 1"}, "metadata": {}}
    ]


def test_o13_set_next_input() -> None:
    """O13: the next input is handed on, not of a reply that failed."""
    payload = [{"source": "set_next_input", "text": "x = 1", "replace": True}, {"source": "x"}, 3]
    world = World()
    effects = world.say(message("execute_reply", channel="shell", status="ok", payload=payload))
    assert effects == [SetNextInput(A, "x = 1", True)]
    assert not world.say(message("execute_reply", channel="shell", status="error", payload=payload))


@pytest.mark.parametrize(
    ("broken", "output"),
    [
        (stream("a\ud800b"), stream_output("a\N{REPLACEMENT CHARACTER}b")),
        (stream(["a", "b"]), stream_output("ab")),
        (stream({"a": math.nan}), stream_output('{"a": "NaN"}')),
        (stream(b"a\xff"), stream_output("a\N{REPLACEMENT CHARACTER}")),
        (stream("a\x00b"), stream_output("a\x00b")),
        (stream("a", name=7), stream_output("a")),
        (stream("a", name="stderr"), stream_output("a", "stderr")),
        (display(5), display_output("5")),
        (display(["a\n", "b"]), display_output("a\nb")),
        (display(None), display_output("")),
        (display({"x": "\udfff"}), display_output('{"x": "\N{REPLACEMENT CHARACTER}"}')),
    ],
)
def test_o14_replaced_visibly(broken: KernelMessage, output: dict[str, Any]) -> None:
    """O14: what cannot be held is replaced, the rest arrives."""
    world = World()
    world.say(broken)
    assert world.shows() == [output]


def test_o14_json_mime_types() -> None:
    """O14: JSON stays JSON, but for what it cannot hold."""
    data = {
        "application/json": [1, math.nan, -math.inf, 2**63, -(2**63), 10**5000, b"ab", (1, None)],
        "application/vnd.x+json": {"k\ud800": True, 5: 1.5},
        "image/png": b"\x89PNG",
        7: "seven",
    }
    world = World()
    world.say(message("display_data", data=data, metadata=None))
    (output,) = world.shows()
    values = output["data"].pop("application/json")
    assert values[:5] == [1, "NaN", "-Infinity", str(2**63), -(2**63)]
    assert values[5].startswith("0x")
    assert values[6:] == ["YWI=", [1, None]]
    assert output["data"] == {
        "application/vnd.x+json": {"k\N{REPLACEMENT CHARACTER}": True, "5": 1.5},
        "image/png": "iVBORw==",
        "7": "seven",
    }


def test_o14_deep_nesting() -> None:
    """O14: what is nested too deeply is cut, not what is around it."""
    deep: Any = "bottom"
    for _ in range(900):
        deep = [deep]
    world = World()
    world.say(message("display_data", data={"application/json": {"deep": deep, "x": 1}}))
    (output,) = world.shows()
    assert output["data"]["application/json"]["x"] == 1
    assert "nested too deeply" in json.dumps(output)


BROKEN: list[Any] = [
    None,
    True,
    -1,
    2**70,
    1.5,
    math.nan,
    "",
    "\udc00",
    "text",
    b"\xff",
    [],
    ["a", 1],
    {},
    {"text/plain": 1},
    {"display_id": ["x"]},
    object(),
]
TYPES = [
    "stream",
    "display_data",
    "execute_result",
    "error",
    "clear_output",
    "update_display_data",
    "execute_reply",
    "comm_open",
    "comm_msg",
    "comm_close",
    "status",
    "nonsense",
]
FIELDS = "name text data metadata transient execution_count ename evalue traceback wait comm_id"


@pytest.mark.parametrize("seed", range(300))
def test_o14_any_message(seed: int) -> None:
    """O14, O7: whatever the messages hold, nothing raises and the outputs are valid."""
    rng = random.Random(seed)
    world = World()
    for _ in range(10):
        content: Any = {f: rng.choice(BROKEN) for f in FIELDS.split() if rng.random() < 0.7}
        if rng.random() < 0.1:
            content = rng.choice(BROKEN)
        parent: Any = A if rng.random() < 0.9 else rng.choice(BROKEN)
        kind: Any = rng.choice(TYPES) if rng.random() < 0.95 else rng.choice(BROKEN)
        world.say(KernelMessage("iopub", kind, parent, content))
        world.take()
    json.dumps(world.cells[A], allow_nan=False).encode()


def test_o14_what_raises_is_said() -> None:
    """O14: a message that our own code fails on is named in the cell."""

    class Hostile(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("no")

    world = World()
    world.say(message("display_data", data=Hostile(a=1)), stream("after\n", "stderr"))
    (output,) = world.shows()
    assert "'display_data' message" in output["text"]
    assert output["text"].endswith("after\n")


SCRIPT = [
    *(stream(text, name) for text in ("a", "\n", "\rb", "cc\b") for name in ("stdout", "stderr")),
    display("1", "d"),
    display("1", "e"),
    display("2"),
    update("3", "d"),
    update("4", "e"),
    clear(),
    clear(wait=True),
    message("error", ename="E"),
]


@pytest.mark.parametrize("limit_bytes", [10 * 2**20, 250])
@pytest.mark.parametrize("seed", range(150))
def test_takes_anywhere(seed: int, limit_bytes: int) -> None:
    """O1-O8: whenever edits are taken, they lead to what is there without them."""
    rng = random.Random(seed)
    said = rng.choices(SCRIPT, k=60)
    taken, untaken = World(limit_bytes), World(limit_bytes)
    for part in said:
        taken.say(part)
        untaken.say(part)
        if rng.random() < 0.3:
            taken.take()
        if rng.random() < 0.03:
            taken.cells[A] = [stream_output("what someone else wrote")]
            taken.cells[A].clear()
            edits = taken.outputs.rewrite(A)
            assert isinstance(edits[0], ClearOutputs)
            taken.cells[A] = [out for edit in edits[1:] for out in edit.outputs]  # type: ignore[union-attr]
    assert taken.shows() == untaken.shows() == untaken.outputs.outputs(A)


def test_cleared_goes_on_with_what_was_not_applied() -> None:
    """O11, R1: someone emptied the cell: what came since shows, the line can be redrawn."""
    world = World()
    world.say(stream("old\n10%"))
    world.take()
    world.say(stream("\r20%\rx"), display("d", "d"))
    world.outputs.take(A)  # finds the cell emptied
    world.cells[A].clear()
    world.outputs.cleared(A)
    assert world.shows() == [stream_output("x0%"), display_output("d")]
    world.say(update("new", "d"), stream("more"))
    assert world.shows() == [stream_output("x0%"), display_output("new"), stream_output("more")]


def test_cleared_text_goes_on() -> None:
    """O3: after someone emptied the cell, a progress bar is one line again."""
    world = World()
    world.say(stream("old\n\r10%"))
    world.take()
    world.say(stream("\r20%"))
    world.outputs.take(A)
    world.cells[A].clear()
    world.outputs.cleared(A)
    world.take()
    world.say(stream("\r30%"))
    assert world.shows() == [stream_output("30%")]


@pytest.mark.parametrize("limit_bytes", [10 * 2**20, 250])
@pytest.mark.parametrize("seed", range(100))
def test_r2_resume(seed: int, limit_bytes: int) -> None:
    """R2, O5: with the stored outputs and memory a new server goes on as the old one would have."""
    rng = random.Random(seed)
    world = World(limit_bytes)
    world.say(*rng.choices(SCRIPT, k=30))
    resumed = World(limit_bytes)
    memory = json.loads(json.dumps(world.outputs.memory(A)))
    resumed.cells[A] = [dict(output) for output in world.shows()]
    resumed.outputs.resume(A, resumed.cells[A], memory)
    assert resumed.take() == []
    rest = rng.choices(SCRIPT, k=30)
    world.say(*rest)
    resumed.say(*rest)
    assert resumed.shows() == world.shows()


def test_unknown_executions() -> None:
    """Asking for what is not there is no error."""
    outputs = KernelOutputs()
    assert outputs.take(A) == (None, [])
    assert outputs.outputs(A) == []
    assert outputs.take_spill(A) == []
    assert outputs.memory(A) == {}
    outputs.cleared(A)
    outputs.show_text(A, "stdout", "x")
    outputs.show_error(A, ExecutionError("E", "v"))
    assert not outputs.dirty
    check_valid([])
