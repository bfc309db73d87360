"""Documents that are done with leave no undo manager to the garbage collector; see ``undo.py``."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from files_harness import Folder, ListJournal, notebook
from pycrdt import UndoManager
from room_harness import cell, room_of

from notebook_exec.core.model import DocumentId
from notebook_exec.documents.files import Files
from notebook_exec.documents.registry import Documents, DocumentSettings, StoredState
from notebook_exec.documents.transient import TransientRooms


@pytest.fixture
def left() -> Iterator[Callable[[], int]]:
    """How many undo managers there are that were not there when the test began.

    No garbage is collected meanwhile: it must not need that.
    """

    def alive() -> int:
        return sum(isinstance(thing, UndoManager) for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    before = alive()
    yield lambda: alive() - before
    gc.enable()


async def test_a_room_that_is_closed(left: Callable[[], int]) -> None:
    room = room_of(cell("a"))
    assert left() == 1
    await room.close()
    await room.close()
    assert left() == 0
    assert len(room.doc.get_update()) > 2


async def test_a_transient_room(left: Callable[[], int]) -> None:
    rooms = TransientRooms(max_message_bytes=1000, max_backlog_bytes=1000)
    rooms.open("JupyterLab:globalAwareness")
    assert left() == 1
    await rooms.close()
    assert left() == 0


@pytest.mark.parametrize("update", [None, b"\xff\xff"], ids=["file", "broken store"])
async def test_documents_that_are_loaded_or_fail_to(
    tmp_path: Path, left: Callable[[], int], update: bytes | None
) -> None:
    folder = Folder(tmp_path)
    folder.write("a.ipynb", notebook("1", "2"))

    async def stored(_document_id: DocumentId) -> StoredState | None:
        return None if update is None else StoredState([update])

    documents = Documents(
        files=Files(folder.manager, folder.ids),
        journal=ListJournal(),
        stored=stored,
        settings=DocumentSettings(save_delay_s=3600, poll_s=3600),
    )
    document_id = await documents.document_id("a.ipynb")
    if update is None:
        await documents.open(document_id)
        assert left() == 1  # none of the document that was filled from the file
    else:
        with pytest.raises(ValueError):
            await documents.open(document_id)
    await documents.close()
    assert left() == 0
    folder.close()
