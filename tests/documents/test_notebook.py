"""Frames on live notebooks: what the server writes is what every page shows."""

from __future__ import annotations

import json
import time
from typing import Any

import nbformat
import pytest
from pycrdt import Array, Map, UndoManager
from room_harness import HeldJournal, Page, cell, notebook, room_of, settle

from notebook_exec.core.model import (
    CellId,
    ClearOutputs,
    DeleteOutputs,
    Frame,
    FrameResult,
    InsertCell,
    InsertOutputs,
    Output,
    OutputEdit,
    ReplaceData,
    SpliceText,
    Timing,
)
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.documents.room import Room

A, B, C = CellId("a"), CellId("b"), CellId("c")
OK = FrameResult()


def stream(text: str, name: str = "stdout") -> Output:
    return {"output_type": "stream", "name": name, "text": text}


def display(**data: Any) -> Output:
    return {"output_type": "display_data", "data": data, "metadata": {}}


def edit(cell_id: CellId, *edits: OutputEdit, count: int | None = None) -> Frame:
    frame = Frame()
    patch = frame.cell(cell_id)
    patch.edits.extend(edits)
    patch.expected_count = count
    return frame


def begin(*outputs: Output) -> tuple[OutputEdit, ...]:
    return (ClearOutputs(), InsertOutputs(0, outputs))


def append(old: str, new: str, index: int = 0) -> SpliceText:
    size = len(old.encode())
    return SpliceText(index, size, size, 0, new)


def move(page: Page, source: int, target: int) -> None:
    """As JupyterLab's shared model moves a cell: a copy, in one transaction."""
    with page.doc.transaction():
        moved = page.notebook.get_cell(source)
        del page.notebook.ycells[source]
        page.notebook.ycells.insert(target, page.notebook.create_ycell(moved))


async def open_with_page(*cells: dict[str, Any]) -> tuple[Room, LiveNotebook, Page]:
    room = room_of(*cells)
    live = LiveNotebook(room)
    page = Page()
    page.connect(room)
    await settle(page)
    return room, live, page


# --- edits ---


async def test_edits_apply_in_order() -> None:
    """O1, O4, O5, O7: every kind of edit, alone and after each other in one frame."""
    room, live, page = await open_with_page(cell("a"))
    assert live.apply(edit(A, *begin(stream("one\n"), display(x="1")))) == OK
    frame = edit(
        A,
        append("one\n", "zwei█\n"),
        InsertOutputs(1, (stream("err", "stderr"), display(y="2"))),
        append("err", "!", index=1),
        append("err!", "?", index=1),
        ReplaceData(3, {"x": "new"}, {"m": 1}),
        DeleteOutputs(2, 1),
        append("one\nzwei█\n", "end", index=0),
        count=2,
    )
    assert live.apply(frame) == OK
    expected = [
        stream("one\nzwei█\nend"),
        stream("err!?", "stderr"),
        {"output_type": "display_data", "data": {"x": "new"}, "metadata": {"m": 1}},
    ]
    assert live.outputs(A) == expected
    await settle(page)
    assert page.notebook.get()["cells"][0]["outputs"] == expected
    await room.close()


async def test_a_frame_is_one_update_with_what_goes_alongside() -> None:
    """Q16, R4: last output, count, state and entry are seen together or not at all."""
    journal = HeldJournal()
    room = room_of(cell("a"), cell("b"), journal=journal)
    live = LiveNotebook(room)
    said: list[bool] = []
    frame = edit(A, *begin(stream("x")))
    frame.cell(A).execution_count = 3
    frame.cell(A).execution_state = "running"
    frame.cell(B).execution_state = "running"
    frame.entries[A] = {"state": "running"}
    live.apply(frame, ["operation"], said.append)
    assert (len(journal.stored), journal.alongside, said) == (1, ["operation"], [True])
    live.apply(Frame(), ["more"])
    assert (len(journal.stored), journal.alongside) == (1, ["operation", "more"])
    await room.close()


async def test_cell_fields() -> None:
    """Q11, O18, O13: count, state, timing, trust and source, whatever happens to the outputs."""
    room, live, page = await open_with_page(cell("a", "old █ text", metadata={"tags": ["t"]}))
    frame = Frame()
    patch = frame.cell(A)
    patch.execution_count = 7
    patch.execution_state = "running"
    patch.timing = Timing(busy="1", execute_input="2", reply_started="3", reply="4")
    patch.trusted = True
    patch.source = "new █ text"
    live.apply(frame)
    await settle(page)
    shown = page.notebook.get()["cells"][0]
    assert shown["execution_count"] == 7 and shown["source"] == "new █ text"
    assert page.notebook.ycells[0]["execution_state"] == "running"
    assert shown["metadata"] == {
        "tags": ["t"],
        "trusted": True,
        "execution": {
            "iopub.status.busy": "1",
            "iopub.execute_input": "2",
            "shell.execute_reply.started": "3",
            "shell.execute_reply": "4",
        },
    }
    frame = Frame()
    frame.cell(A).timing = None
    frame.cell(A).execution_count = None
    live.apply(frame)
    view = live.cell(A)
    assert live.cells()[0]["metadata"] == {"tags": ["t"], "trusted": True}
    assert view is not None and view.tags == ("t",)
    assert view.source == "new █ text" and view.cell_type == "code"
    assert room.doc.get("cells", type=Array)[0]["execution_count"] is None
    await room.close()


async def test_numbers_stay_what_they_were() -> None:
    """O7: integers in outputs are integers in the file, and nbformat finds it valid."""
    room, live, page = await open_with_page(cell("a"), cell("b"))
    data = {"i": 3, "f": 1.5, "big": 2**60, "l": [1, {"n": -2}], "b": True, "null": None}
    frame = edit(
        A,
        *begin(
            {"output_type": "display_data", "data": {"application/json": data}, "metadata": {}},
            {
                "output_type": "execute_result",
                "data": {"text/plain": "3"},
                "metadata": {"isolated": 1},
                "execution_count": 3,
            },
            {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
            stream("s"),
        ),
    )
    frame.cell(A).execution_count = 3
    live.apply(frame)
    await settle(page)
    for ynotebook in (page.notebook, room.ydocument):
        content = ynotebook.get()
        nbformat.validate(content)
        assert content["cells"][0]["outputs"] == live.outputs(A) == live.cells()[0]["outputs"]
    outputs = live.outputs(A)
    assert outputs is not None
    assert repr(sorted(outputs[0]["data"]["application/json"].items())) == repr(
        sorted(data.items())
    )
    assert live.cells() == content["cells"]
    await room.close()


async def test_progress_bars_leave_nothing_behind() -> None:
    """O3: 5,000 redraws in 60 frames; the document holds little more than the last one."""
    room = room_of(cell("a"))
    live = LiveNotebook(room)
    live.apply(edit(A, *begin(stream("", "stderr"))))
    old = ""
    for i in range(60):
        done = i * 84
        new = f"{done / 50:3.0f}%|{'█' * (i // 2):<30}| {done}/5000 [00:{i:02d}<00:30, 80.1it/s]"
        splice = SpliceText(0, len(old.encode()), 0, len(old.encode()), new)
        assert live.apply(edit(A, splice, count=1)) == OK
        old = new
    assert live.outputs(A) == [stream(old, "stderr")]
    assert len(room.doc.get_update()) <= 1000
    assert not room.ydocument.undo_manager.undo_stack
    await room.close()


async def test_inserted_cells() -> None:
    """O13, A8: after a cell, at an index, at the end; and written to in the same frame."""
    room, live, page = await open_with_page(cell("a"), cell("b"))
    frame = Frame(
        inserts=[
            InsertCell(A, {"id": "n1", "source": "1"}),
            InsertCell(CellId("gone"), {"id": "n2"}),
            InsertCell(None, {"source": "fresh"}, index=0),
            InsertCell(None, {"id": "n3"}, index=99),
        ]
    )
    frame.cell(CellId("n1")).execution_state = "running"
    frame.cell(CellId("n3")).edits.extend(begin(stream("x")))
    assert live.apply(frame) == OK
    ids = live.code_cells()
    assert ids[1:] == ["a", "n1", "b", "n2", "n3"] and len(ids[0]) == 36
    await settle(page)
    cells = page.notebook.get()["cells"]
    assert [c["id"] for c in cells] == ids and cells[0]["source"] == "fresh"
    assert page.notebook.ycells[2]["execution_state"] == "running"
    assert live.outputs(CellId("n3")) == [stream("x")]
    nbformat.validate(page.notebook.get())
    await room.close()


# --- what others do meanwhile ---


async def test_outputs_follow_a_cell_that_moves_and_is_edited() -> None:
    """O10: by its id; the copy that a move makes is written anew, as it may be behind."""
    room, live, page = await open_with_page(cell("a", "x"), cell("b"), cell("c"))
    running = edit(A, *begin(stream("1")))
    running.cell(A).execution_state = "running"
    live.apply(running)
    await settle(page)
    live.apply(edit(A, append("1", "2"), count=1))  # the page has not seen this when it moves
    move(page, 0, 2)
    page.notebook.ycells[2]["source"].insert(0, "edited ")
    frame = edit(A, append("12", "3"), count=1)
    frame.cell(A).execution_count = 5
    assert live.apply(frame) == FrameResult(foreign=frozenset({A}))
    assert live.apply(edit(A, *begin(stream("123")))) == OK
    assert live.apply(edit(A, append("123", "4"), count=1)) == OK
    await settle(page)
    shown = page.notebook.get()["cells"]
    assert [c["id"] for c in shown] == ["b", "c", "a"]
    assert (shown[2]["outputs"], shown[2]["execution_count"]) == ([stream("1234")], 5)
    assert shown[2]["source"] == "edited x"
    assert page.notebook.ycells[2]["execution_state"] == "running"
    await room.close()


async def test_outputs_go_on_after_the_document_was_loaded_anew() -> None:
    """O10: also when the server itself put other cells there."""
    room, live, page = await open_with_page(cell("a"), cell("b"))
    live.apply(edit(A, *begin(stream("1"))))
    with room.transact():
        room.ydocument.set(
            {
                "cells": [cell("n"), cell("a", "new", outputs=[stream("1")])],
                "metadata": {},
                "nbformat": 4,
                "nbformat_minor": 5,
            }
        )
    result = live.apply(edit(A, append("1", "2"), count=1))
    if result.foreign:
        result = live.apply(edit(A, *begin(stream("12"))))
    assert result == OK
    await settle(page)
    assert page.notebook.get()["cells"][1]["outputs"] == [stream("12")]
    await room.close()


async def test_outputs_that_someone_cleared() -> None:
    """O10, D1: "Clear outputs" is anyone's right; the rest of the frame is applied all the same."""
    room, live, page = await open_with_page(cell("a"))
    live.apply(edit(A, *begin(stream("1"))))
    await settle(page)
    page.notebook.ycells[0]["outputs"].clear()
    frame = edit(A, append("1", "2"), count=1)
    frame.cell(A).execution_count = 2
    assert live.apply(frame) == FrameResult(cleared=frozenset({A}))
    assert live.apply(edit(A, InsertOutputs(0, (stream("2"),)), count=0)) == OK
    assert live.apply(edit(A, append("2", "3"), count=1)) == OK
    await settle(page)
    shown = page.notebook.get()["cells"][0]
    assert (shown["outputs"], shown["execution_count"]) == ([stream("23")], 2)
    await room.close()


FOREIGN = {
    "text of the same length": lambda y: y["outputs"].__setitem__(
        0, Map({"output_type": "stream", "name": "stdout", "text": "1"})
    ),
    "more outputs": lambda y: y["outputs"].append(Map(display(x="1"))),
    "not even an output": lambda y: y["outputs"].__setitem__(0, "junk"),
    "another array": lambda y: y.__setitem__("outputs", Array(["junk"])),
    "no array": lambda y: y.__setitem__("outputs", "junk"),
    "an edited text": lambda y: y["outputs"][0]["text"].insert(0, "█"),
}


@pytest.mark.parametrize("name", FOREIGN)
async def test_outputs_that_are_not_ours_are_never_edited(name: str) -> None:
    """S2, O10: nothing of the edits is applied, and writing all of it anew settles it."""
    room, live, page = await open_with_page(cell("a"))
    live.apply(edit(A, *begin(stream("1"))))
    await settle(page)
    FOREIGN[name](page.notebook.ycells[0])
    result = live.apply(edit(A, append("1", "2"), count=1))
    assert result in (FrameResult(foreign=frozenset({A})), FrameResult(cleared=frozenset({A})))
    assert live.apply(edit(A, *begin(stream("12")))) == OK
    assert live.apply(edit(A, append("12", "3"), count=1)) == OK
    assert live.outputs(A) == [stream("123")]
    await room.close()


@pytest.mark.parametrize(
    "wrong",
    [
        SpliceText(1, 3, 0, 0, "x"),
        SpliceText(0, 2, 0, 0, "x"),
        SpliceText(0, 3, 2, 2, "x"),
        InsertOutputs(2, (stream("x"),)),
        DeleteOutputs(0, 2),
        ReplaceData(1, {}, {}),
    ],
)
async def test_edits_beyond_what_is_there_change_nothing(wrong: OutputEdit) -> None:
    """O10: also where the edits before them would fit."""
    room = room_of(cell("a"))
    live = LiveNotebook(room)
    live.apply(edit(A, *begin(stream("old"))))
    assert live.apply(edit(A, wrong, count=1)).foreign == {A}
    good = SpliceText(0, 3, 3, 0, "!")
    shifted = edit(A, good, InsertOutputs(1, (stream("y"),)), DeleteOutputs(1, 1), wrong, count=1)
    if not (isinstance(wrong, SpliceText) and wrong.index == 0):
        assert live.apply(shifted).foreign == {A}
    assert live.apply(edit(A, good, count=2)).foreign == {A}
    assert live.outputs(A) == [stream("old")]
    await room.close()


async def test_a_deleted_cell_is_missing() -> None:
    """O11: the other cells of the frame are written, and nothing raises."""
    room, live, page = await open_with_page(cell("a"), cell("b"))
    told: list[set[CellId]] = []
    live.on_cells_deleted = told.append
    del page.notebook.ycells[0]
    frame = edit(A, *begin(stream("1")))
    frame.cell(B).execution_count = 1
    frame.entries[A] = {"state": "running"}
    assert live.apply(frame) == FrameResult(missing=frozenset({A}))
    await settle(page)
    assert page.notebook.get()["cells"][0]["execution_count"] == 1
    assert (live.cell(A), live.outputs(A), live.code_cells(), told) == (None, None, ["b"], [{A}])
    await room.close()


async def test_moves_and_undone_deletions_are_no_deletions() -> None:
    """Q14: only what is gone for good is told, whatever way cells take."""
    room, live, page = await open_with_page(cell("a"), cell("b"), cell("c"))
    told: list[set[CellId]] = []
    live.on_cells_deleted = told.append
    move(page, 0, 2)
    move(page, 1, 0)
    await settle(page)
    saved = page.notebook.get_cell(0)
    del page.notebook.ycells[0]
    page.notebook.ycells.insert(1, page.notebook.create_ycell(saved))  # before the loop turns
    await settle(page)
    assert told == []
    with page.doc.transaction():  # as a change of the cell's type
        saved = {**page.notebook.get_cell(2), "cell_type": "markdown"}
        del page.notebook.ycells[2]
        page.notebook.ycells.insert(2, page.notebook.create_ycell(saved))
    await settle(page)
    assert told == [] and len(live.code_cells()) == 2
    del page.notebook.ycells[0:2]
    await settle(page)
    assert len(told) == 1 and len(told[0]) == 2
    await room.close()


async def test_undo_takes_back_what_the_user_did_and_nothing_else() -> None:
    """O16: outputs, counts and states are the server's, in another history."""
    room, live, page = await open_with_page(cell("a", "x"))
    undo = UndoManager(scopes=[page.notebook.ycells], capture_timeout_millis=0)
    page.notebook.ycells[0]["source"].insert(1, "y")
    frame = edit(A, *begin(stream("1")))
    frame.cell(A).execution_count = 1
    frame.cell(A).execution_state = "running"
    live.apply(frame)
    await settle(page)
    undo.undo()
    await settle(page)
    shown = page.notebook.get()["cells"][0]
    assert (shown["source"], shown["outputs"]) == ("x", [stream("1")])
    assert (shown["execution_count"], live.outputs(A)) == (1, [stream("1")])
    assert page.notebook.ycells[0]["execution_state"] == "running"
    await room.close()


async def test_revisions() -> None:
    """A8: another one after each edit of sources and structure, none after what runs do."""
    room, live, page = await open_with_page(cell("a", "x"), cell("b"))
    seen = [live.revision]

    def changed() -> bool:
        seen.append(live.revision)
        return seen[-1] not in seen[:-1]

    frame = edit(A, *begin(stream("1")))
    frame.cell(A).execution_count = 1
    frame.cell(A).execution_state = "running"
    frame.cell(A).timing = Timing(busy="1")
    frame.entries[A] = {"state": "running"}
    live.apply(frame)
    page.notebook.ycells[0]["outputs"].clear()
    page.notebook.ycells[1]["metadata"]["collapsed"] = True
    page.show({"cursor": 1})
    assert not changed()
    page.notebook.ycells[0]["source"].insert(0, "y")
    assert changed()
    page.notebook.append_cell(cell("n"))
    assert changed()
    move(page, 0, 1)
    assert changed()
    page.notebook.ycells[0]["cell_type"] = "raw"
    assert changed()
    live.apply(Frame(inserts=[InsertCell(None, {})]))
    assert changed()
    frame = Frame()
    frame.cell(A).source = "other"
    live.apply(frame)
    assert changed()
    live.apply(frame)
    assert not changed()
    with room.transact():
        room.doc.get("cells", type=Array)[0]["source"].insert(0, "from disk")
    assert changed()
    assert LiveNotebook(room).revision not in seen
    await room.close()


async def test_a_frame_costs_the_same_in_every_notebook() -> None:
    """D10: no work per cell, and well below a millisecond."""
    best = {}
    for count in (5, 500):
        room = room_of(*(cell(f"c{i}") for i in range(count)))
        live = LiveNotebook(room)
        cell_id = CellId(f"c{count // 2}")
        live.apply(edit(cell_id, *begin(stream(""))))
        text, times = "", []
        for _ in range(200):
            frame = edit(cell_id, append(text, "line\n"), count=1)
            start = time.perf_counter()
            live.apply(frame)
            times.append(time.perf_counter() - start)
            text += "line\n"
        best[count] = min(times)
        await room.close()
    assert best[500] < 2 * best[5] + 20e-6 and best[500] < 400e-6


def test_plain_notebooks_are_untouched() -> None:
    """D4: the root map is never in what is saved."""
    ynotebook = notebook(cell("a"))
    ynotebook.ydoc.get("execution", type=Map)["a"] = {"state": "running"}
    assert "running" not in json.dumps(ynotebook.get())
