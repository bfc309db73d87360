"""Whatever pages do, and whenever they come and go: in the end all show the same (SPEC D7)."""

from __future__ import annotations

import random
from typing import Any

import nbformat
import pytest
from jupyter_ydoc import YNotebook
from pycrdt import Doc
from room_harness import HeldJournal, Page, cell, room_of, settle

from notebook_exec.core.model import (
    CellId,
    ClearOutputs,
    Frame,
    InsertCell,
    InsertOutputs,
    Output,
    SpliceText,
)
from notebook_exec.documents.cell_index import CellIndex
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.documents.room import Room

TEXTS = ("a", "bc\n", "█", "é\r", "🐍 uv")


class Server:
    """The one writer of outputs: what it means to show is in ``truth``."""

    def __init__(self, room: Room, choose: random.Random) -> None:
        self.live = LiveNotebook(room)
        self.truth: dict[CellId, str] = {}
        self.running: set[CellId] = set()
        self._choose = choose

    def step(self) -> None:
        ids = self.live.code_cells()
        if not ids or self._choose.random() < 0.05:
            self.live.apply(Frame(inserts=[InsertCell(None, {"source": "new"})]))
            return
        cell_id = self._choose.choice(ids)
        old = self.truth.get(cell_id)
        frame = Frame()
        patch = frame.cell(cell_id)
        state = self._choose.choice(["running", "idle"])
        patch.execution_state = state
        (self.running.add if state == "running" else self.running.discard)(cell_id)
        frame.entries[cell_id] = {"state": state}
        new = self._choose.choice(TEXTS)
        if old is None:
            self.truth[cell_id] = new
            patch.edits = self._whole(cell_id)
        else:
            size = len(old.encode())
            keep = old[: self._choose.randrange(len(old) + 1)]
            start = len(keep.encode())
            self.truth[cell_id] = keep + new
            patch.edits = [SpliceText(0, size, start, size - start, new)]
            patch.expected_count = 1
        result = self.live.apply(frame)
        if result.foreign or result.cleared:
            again = Frame()
            again.cell(cell_id).edits = self._whole(cell_id)
            result = self.live.apply(again)
        assert not (result.foreign or result.cleared or result.missing)

    def _whole(self, cell_id: CellId) -> list[Any]:
        return [ClearOutputs(), InsertOutputs(0, (self.output(cell_id),))]

    def output(self, cell_id: CellId) -> Output:
        return {"output_type": "stream", "name": "stdout", "text": self.truth[cell_id]}


def act(page: Page, choose: random.Random, number: int) -> None:
    """One thing that a user, or a forger, does."""
    ycells = page.notebook.ycells
    count = len(ycells)
    what = choose.randrange(8) if count > 2 else 0
    at = choose.randrange(count) if count else 0
    if what == 0:
        ycells.insert(at, page.notebook.create_ycell(cell(f"n{number}", "fresh")))
    elif what == 1:
        del ycells[at]
    elif what == 2:
        with page.doc.transaction():
            moved = page.notebook.get_cell(at)
            del ycells[at]
            ycells.insert(choose.randrange(count), page.notebook.create_ycell(moved))
    elif what == 3:
        ycells[at]["outputs"].clear()
    elif what == 4:
        ycells[at]["execution_state"] = choose.choice(["running", "idle"])
    elif what == 5:
        page.doc.get("execution", type=type(ycells[at]))[f"c{at}"] = {"state": "forged"}
    else:
        source = ycells[at]["source"]
        source.insert(0, choose.choice(TEXTS))


async def go_wild(room: Room, journal: HeldJournal, server: Server, choose: random.Random) -> None:
    pages = [Page() for _ in range(4)]
    for number in range(150):
        page = choose.choice(pages)
        chance = choose.random()
        assert page.closed is None
        if chance < 0.08:
            page.disconnect()
        elif chance < 0.2 and page.client is None:
            page.connect(room)
        elif chance < 0.5:
            act(page, choose, number)
        elif chance < 0.75:
            server.step()
        elif chance < 0.85 and journal.waiting:
            journal.commit(choose.randrange(journal.waiting) + 1)
        elif chance < 0.9 and page.socket.inbox:
            page.flush(1)
        elif chance < 0.95:
            page.show({"n": number})
        else:
            await settle(*(p for p in pages if p is not page))
    journal.is_held = False
    journal.commit()
    for page in pages:
        if page.client is None:
            page.connect(room)
    await settle(*pages)
    for page in pages:
        assert page.closed is None
        document = room.ydocument
        assert isinstance(document, YNotebook)
        assert page.notebook.get(deduplicate=False) == document.get(deduplicate=False)


FOUND = (54, 250, 282, 283, 371, 429, 991, 1913)  # panics, twice the same id, lost messages


@pytest.mark.parametrize("seed", (*range(40), *FOUND))
async def test_all_pages_converge(seed: int) -> None:
    """D7, O10, S2, R1: pages that come, go, lag and forge, and a server that writes meanwhile."""
    choose = random.Random(seed)
    journal = HeldJournal(is_held=True)
    room = room_of(*(cell(f"c{i}", "x") for i in range(4)), journal=journal)
    start = room.doc.get_update()
    server = Server(room, choose)
    deleted: set[CellId] = set()
    server.live.on_cells_deleted = deleted.update
    await go_wild(room, journal, server, choose)

    document = room.ydocument
    assert isinstance(document, YNotebook)
    fresh = CellIndex(document.ycells)
    ids = [fresh.id_at(i) for i in range(len(fresh))]
    assert [server.live._index.id_at(i) for i in range(len(fresh))] == ids
    assert set(server.live.code_cells()) == set(ids)
    for i, ycell in enumerate(document.ycells):
        if ids.index(ids[i]) == i:
            is_running = ids[i] in server.running
            assert (ycell.get("execution_state") == "running") == is_running
    shown = room.doc.get("execution", type=type(document.ystate)).to_py()
    assert shown is not None and all(e != {"state": "forged"} for e in shown.values())
    assert deleted >= {CellId(f"c{i}") for i in range(4)} - set(ids)
    if len(set(ids)) == len(ids):
        nbformat.validate(document.get())

    stored: Doc[Any] = Doc()
    for update in (start, *journal.stored):
        stored.apply_update(update)
    assert YNotebook(stored).get(deduplicate=False) == document.get(deduplicate=False)
    await room.close()
