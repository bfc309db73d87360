"""Nobody but the server says what runs (SPEC S2), and what it said before a crash is taken back."""

from __future__ import annotations

from typing import Any

import pytest
from jupyter_ydoc import YNotebook
from pycrdt import Array, Map
from room_harness import HeldJournal, Page, cell, room_of, settle

from notebook_exec.core.model import CellId, ClearOutputs, Frame, InsertOutputs, SpliceText
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.documents.room import Room

A, B = CellId("a"), CellId("b")
STREAM = {"output_type": "stream", "name": "stdout"}
ENTRY = {"id": "1", "state": "running", "queued_at": 5, "prompt": {"prompt": "?", "password": True}}


async def running_a() -> tuple[Room, LiveNotebook, Page, Page]:
    room = room_of(cell("a"), cell("b"))
    live = LiveNotebook(room)
    frame = Frame(entries={A: ENTRY})
    frame.cell(A).execution_state = "running"
    live.apply(frame)
    forger, witness = Page(), Page()
    for page in (forger, witness):
        page.connect(room)
    await settle(forger, witness)
    return room, live, forger, witness


def states(page: Page) -> list[Any]:
    return [y.get("execution_state") for y in page.notebook.ycells]


def entries(page: Page) -> Any:
    return page.doc.get("execution", type=Map).to_py()


def add_running_cell(page: Page) -> None:
    forged = page.notebook.create_ycell(cell("f"))
    page.notebook.ycells.append(forged)
    forged["execution_state"] = "running"


def rename_running_cell(page: Page) -> None:
    page.notebook.ycells[0]["id"] = "renamed"


FORGERIES = {
    "an entry changed": lambda p: p.doc.get("execution", type=Map).__setitem__("a", {"id": "2"}),
    "an entry removed": lambda p: p.doc.get("execution", type=Map).__delitem__("a"),
    "an entry made": lambda p: p.doc.get("execution", type=Map).__setitem__("b", ENTRY),
    "an entry of a type": lambda p: p.doc.get("execution", type=Map).__setitem__("a", Map(ENTRY)),
    "all removed": lambda p: p.doc.get("execution", type=Map).clear(),
    "idle": lambda p: p.notebook.ycells[0].__setitem__("execution_state", "idle"),
    "no state": lambda p: p.notebook.ycells[0].__delitem__("execution_state"),
    "running": lambda p: p.notebook.ycells[1].__setitem__("execution_state", "running"),
    "a state of no kind": lambda p: p.notebook.ycells[1].__setitem__("execution_state", Array([1])),
    "a cell that says it runs": add_running_cell,
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_the_truth_is_put_back_at_once(name: str) -> None:
    """S2: at everyone's page, the forger's too."""
    room, _, forger, witness = await running_a()
    FORGERIES[name](forger)
    await settle(forger, witness)
    for page in (forger, witness):
        assert states(page)[:2] == ["running", "idle"]
        assert set(states(page)[2:]) <= {"idle"}
        assert entries(page) == {"a": ENTRY}
    await room.close()


async def test_a_stubborn_forger_changes_nothing() -> None:
    """S2: forging again and again costs a transaction each time, and ends with the truth."""
    room, _, forger, witness = await running_a()
    for i in range(20):
        forger.doc.get("execution", type=Map)["a"] = {"state": f"forged {i}"}
        forger.notebook.ycells[1]["execution_state"] = "running"
        if i % 3 == 0:
            await settle(forger, witness)
    await settle(forger, witness)
    assert entries(witness) == entries(forger) == {"a": ENTRY}
    assert states(witness) == states(forger) == ["running", "idle"]
    await room.close()


@pytest.mark.parametrize("how", ["deleted", "renamed"])
async def test_the_second_of_two_cells_with_one_id_becomes_the_first(how: str) -> None:
    """S2, O10: as after two pages moved a cell at once; it shows the state, and no foreign output
    is taken for the server's."""
    room, live, forger, witness = await running_a()
    moved = cell("a", outputs=[{**STREAM, "text": "same"}])
    forger.notebook.ycells.append(forger.notebook.create_ycell(moved))
    await settle(forger, witness)
    frame = Frame()  # written whole, so that from now on it is known to be the server's
    frame.cell(A).edits = [ClearOutputs(), InsertOutputs(0, ({**STREAM, "text": "ours"},))]
    assert not live.apply(frame).foreign
    if how == "deleted":
        del forger.notebook.ycells[0]
    else:
        forger.notebook.ycells[0]["id"] = "other"
    await settle(forger, witness)
    assert states(witness)[-1] == "running"
    frame = Frame()
    patch = frame.cell(A)
    patch.edits, patch.expected_count = [SpliceText(0, 4, 4, 0, "!")], 1
    assert live.apply(frame).foreign == {A}
    await room.close()


async def test_a_renamed_cell_does_not_run() -> None:
    """S2, Q14: the running cell is gone, and the one of the new name is idle."""
    room, live, forger, witness = await running_a()
    told: list[set[CellId]] = []
    live.on_cells_deleted = told.append
    rename_running_cell(forger)
    await settle(forger, witness)
    assert told == [{A}] and states(witness) == ["idle", "idle"]
    assert live.code_cells() == ["renamed", "b"]
    await room.close()


async def test_an_end_is_the_end() -> None:
    """S2: after the server says idle and takes its entry out, that is the truth."""
    room, live, forger, witness = await running_a()
    frame = Frame(entries={A: None})
    frame.cell(A).execution_state = "idle"
    live.apply(frame)
    forger.doc.get("execution", type=Map)["a"] = ENTRY
    forger.notebook.ycells[0]["execution_state"] = "running"
    await settle(forger, witness)
    assert entries(witness) == {} and states(witness) == ["idle", "idle"]
    await room.close()


async def test_what_a_dead_server_said_is_taken_back() -> None:
    """P4, R6: stale entries, prompts and busy cells; what does run is shown."""
    dead, _, forger, witness = await running_a()
    await dead.close()
    room = Room(
        dead.document_id,
        YNotebook(dead.doc),
        HeldJournal(),
        max_message_bytes=10**6,
        max_backlog_bytes=10**6,
    )
    live = LiveNotebook(room)
    for page in (forger, witness):
        page.connect(room)
    fresh = {"id": "9", "state": "running"}
    live.reset_projection({B: fresh}, running={B})
    await settle(forger, witness)
    assert entries(witness) == {"b": fresh} and states(witness) == ["idle", "running"]
    forger.notebook.ycells[0]["execution_state"] = "running"
    await settle(forger, witness)
    live.reset_projection({})
    await settle(forger, witness)
    assert entries(witness) == {} and states(witness) == ["idle", "idle"]
    await room.close()


async def test_cells_of_no_shape_harm_nobody() -> None:
    """S2, D8: a writer can put anything into the list of cells; the rest goes on."""
    room, live, forger, witness = await running_a()
    forger.notebook.ycells.insert(0, "no cell")
    forger.notebook.ycells.insert(1, Map({"id": 5}))
    forger.notebook.ycells.append(Map({"id": "x", "cell_type": "code", "metadata": "none"}))
    await settle(forger, witness)
    frame = Frame()
    frame.cell(A).execution_count = 4
    frame.cell(CellId("x")).trusted = True
    assert not live.apply(frame).missing
    await settle(forger, witness)
    assert witness.notebook.ycells[2]["execution_count"] == 4
    assert live.code_cells() == ["a", "b", "x"]
    view = live.cell(CellId("x"))
    assert view is not None and view.tags == ()
    assert live.outputs(CellId("x")) is None and len(live.cells()) == 4
    assert live.cells()[3]["metadata"] == {"trusted": True}
    await room.close()
