"""A page hands in what a server that died with a full disk had shown it (SPEC R2, R7)."""

from __future__ import annotations

from typing import Any

from room_harness import DOCUMENT, HeldJournal, Page, cell, notebook, settle

from notebook_exec.core.model import CellId, Frame, FrameResult, InsertOutputs, SpliceText
from notebook_exec.documents.load import new_document
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.documents.room import Room

A = CellId("a")


class Server:
    """One server after the other has the document, as far as it was stored."""

    def __init__(self, stored: bytes) -> None:
        ydocument = new_document("notebook")
        ydocument.ydoc.apply_update(stored)
        self.room = Room(
            DOCUMENT,
            ydocument,
            HeldJournal(),
            max_message_bytes=2**20,
            max_backlog_bytes=2**20,
        )
        self.notebook = LiveNotebook(self.room)

    @property
    def state(self) -> bytes:
        return self.room.doc.get_update()

    def print(self, text: str) -> FrameResult:
        frame = Frame()
        outputs = self.notebook.outputs(A) or []
        have = len(outputs[0]["text"]) if outputs else 0
        stream = {"output_type": "stream", "name": "stdout", "text": text}
        frame.cell(A).expected_count = len(outputs)
        frame.cell(A).edits = [
            SpliceText(0, have, have, 0, text) if outputs else InsertOutputs(0, (stream,))
        ]
        return self.notebook.apply(frame)


def texts(page: Page) -> list[Any]:
    return [output["text"] for output in page.notebook.get_cell(0)["outputs"]]


async def test_what_was_shown_and_not_stored_is_not_doubled() -> None:
    """R7, R2: the next server has it from the kernel; the page brings it; it is there once."""
    killed = Server(notebook(cell("a"), cell("b")).ydoc.get_update())
    stayed, witness = Page(), Page()
    stayed.connect(killed.room)
    killed.print("1\n")
    stored = killed.state
    killed.print("2\n")
    await settle(stayed)
    assert texts(stayed) == ["1\n2\n"]
    stayed.disconnect()
    source = stayed.notebook.ycells[1]["source"]
    source += "# typed meanwhile"

    server = Server(stored)
    server.print("2\n")
    witness.connect(server.room)
    stayed.connect(server.room)
    await settle(stayed, witness)
    assert texts(stayed) == texts(witness) == ["1\n2\n"]
    assert str(witness.notebook.ycells[1]["source"]) == "# typed meanwhile"
    after = server.print("3\n")
    assert not after.foreign and not after.cleared
    await settle(stayed, witness)
    assert texts(stayed) == texts(witness) == ["1\n2\n3\n"]
    for room in (killed.room, server.room):
        await room.close()


async def test_an_output_that_no_store_has_is_not_doubled() -> None:
    """R7, R2: the same for the first output of a cell."""
    killed = Server(notebook(cell("a"), cell("b")).ydoc.get_update())
    stored = killed.state
    stayed = Page()
    stayed.connect(killed.room)
    killed.print("1\n")
    await settle(stayed)
    stayed.disconnect()
    server = Server(stored)
    server.print("1\n")
    stayed.connect(server.room)
    await settle(stayed)
    assert texts(stayed) == ["1\n"]
    for room in (killed.room, server.room):
        await room.close()
