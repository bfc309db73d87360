"""Documents as a whole: opened once, kept while needed, saved, and loaded again (D1, D2, D7, R)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from files_harness import Folder, ListJournal, markdown, notebook, stream, until
from jupyter_ydoc import YNotebook
from pycrdt import Doc, Map

from notebook_exec.core.model import CellId, DocumentId, Frame, InvalidInput, NotFound, User
from notebook_exec.documents.files import Files
from notebook_exec.documents.registry import (
    Documents,
    DocumentSettings,
    Hooks,
    LiveDocument,
    StoredState,
)

SOMEONE = User("someone", "Someone")
QUIET = DocumentSettings(save_delay_s=3600, poll_s=3600, unload_delay_s=3600)
QUICK = DocumentSettings(save_delay_s=0.03, poll_s=0.02, unload_delay_s=0.05)


class Socket:
    """A websocket whose other end only listens."""

    def __init__(self) -> None:
        self.closed_with: int | None = None

    async def send(self, data: bytes) -> None:
        return None

    def close(self, code: int, reason: str) -> None:
        self.closed_with = code


class World:
    """A folder and a store that outlive servers; ``start`` makes a server's documents."""

    def __init__(self, base: Path) -> None:
        self.folder = Folder(base)
        self.journal = ListJournal()
        self.started: list[Documents] = []
        self.notices: list[str] = []

    async def stored(self, document_id: DocumentId) -> StoredState | None:
        updates = self.journal.updates.get(document_id)
        if updates is None:
            return None
        return StoredState(list(updates), self.journal.agreements.get(document_id))

    def start(self, settings: DocumentSettings = QUIET) -> Documents:
        hooks = Hooks(
            store=lambda agreement: [agreement],
            on_notice=lambda _document_id, notice: self.notices.append(notice.text),
        )
        made = Documents(
            files=Files(self.folder.manager, self.folder.ids),
            journal=self.journal,
            stored=self.stored,
            settings=settings,
            hooks=hooks,
        )
        self.started.append(made)
        return made

    async def crash(self, documents: Documents) -> None:
        """What the store has is what is left. Nothing of ``documents`` reaches a file any more."""
        for live in documents:
            assert live.sync._task is not None
            live.sync._task.cancel()
            await live.room.close()
        self.started.remove(documents)

    async def close(self) -> None:
        for documents in self.started:
            await documents.close()
        self.folder.close()


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.close()


async def opened(documents: Documents, path: str = "a.ipynb") -> LiveDocument:
    return await documents.open(await documents.document_id(path))


def sources(live: LiveDocument | YNotebook) -> list[str]:
    notebook = live if isinstance(live, YNotebook) else live.room.ydocument
    assert isinstance(notebook, YNotebook)
    return [str(cell["source"]) for cell in notebook.ycells]


def type_in(live: LiveDocument, index: int, text: str) -> None:
    assert isinstance(live.room.ydocument, YNotebook)
    ytext = live.room.ydocument.ycells[index]["source"]
    ytext += text


def saved(world: World) -> list[str]:
    try:
        return [cell["source"] for cell in world.folder.read("a.ipynb")["cells"]]
    except ValueError:
        return []  # in the middle of being written


def client_of(live: LiveDocument) -> YNotebook:
    """A page that has loaded the document and then went away."""
    doc: Doc[Any] = Doc()
    doc.apply_update(live.room.doc.get_update())
    return YNotebook(doc)


def sync(client: YNotebook, live: LiveDocument) -> None:
    """A page that comes back: both sides get what they have not."""
    server = live.room.doc
    from_server = server.get_update(client.ydoc.get_state())
    server.apply_update(client.ydoc.get_update(server.get_state()))
    client.ydoc.apply_update(from_server)


# --- opening ---


async def test_all_who_open_share_one_document(world: World) -> None:
    world.folder.write("a.ipynb", notebook("1"))
    documents = world.start()
    document_id = await documents.document_id("a.ipynb")
    assert document_id.startswith("json:notebook:")
    assert documents.path_of(document_id) == "a.ipynb"
    one, two = await asyncio.gather(documents.open(document_id), documents.open(document_id))
    assert one is two is documents.get(document_id)
    assert one.notebook is not None and one.notebook.code_cells() == ["c0"]
    assert one.path == "a.ipynb"
    state = one.room.ydocument.ystate
    assert state["path"] == "a.ipynb" and state["document_id"] == document_id


async def test_what_cannot_be_opened_is_said_and_left_alone(world: World) -> None:
    world.folder.write("bad.ipynb", "{")
    documents = world.start()
    for bad in ("no colons", "json:notebook:unknown", "json::x"):
        with pytest.raises((NotFound, InvalidInput)):
            await documents.open(DocumentId(bad))
    document_id = await documents.document_id("bad.ipynb")
    for _ in range(2):
        with pytest.raises(InvalidInput, match=r"bad\.ipynb"):
            await documents.open(document_id)
    assert documents.get(document_id) is None
    assert world.folder.text("bad.ipynb") == "{"
    with pytest.raises(NotFound):
        await documents.document_id("missing.ipynb")
    with pytest.raises(NotFound):
        await documents.save(document_id)


@pytest.mark.parametrize(
    ("format", "type", "changed"),
    [
        ("text", "file", "é"),
        ("text", "unicode", "é"),
        ("base64", "blob", b"\xff"),
        ("text", "x", "é"),
    ],
)
async def test_every_type_of_document_works(
    world: World, format: str, type: str, changed: Any
) -> None:
    """D1: text files, other registered types, and unknown ones as text."""
    world.folder.write("a.txt", "one")
    documents = world.start()
    live = await documents.open(await documents.document_id("a.txt", format, type))
    assert live.notebook is None
    assert live.room.ydocument.get() == (b"one" if type == "blob" else "one")
    live.room.ydocument.set(changed)
    await live.save()
    expected = changed if isinstance(changed, bytes) else changed.encode()
    assert (world.folder.root / "a.txt").read_bytes() == expected


async def test_pages_that_ask_to_save_hear_how_it_went(world: World) -> None:
    """D1: the save button."""
    world.folder.write("a.ipynb", notebook("1"))
    live = await opened(world.start())
    type_in(live, 0, "!")
    assert await live.room.save() == "success"
    assert saved(world) == ["1!"]
    (world.folder.root / "a.ipynb").unlink()
    assert await live.room.save() == "failed"
    assert world.folder.names() == set()
    assert any("deleted" in text for text in world.notices)


# --- keeping ---


async def until_another_was_unloaded(world: World, documents: Documents) -> None:
    """The delay is over for all that were not needed before this."""
    world.folder.write("another.ipynb", notebook("1"))
    live = await opened(documents, "another.ipynb")
    await until(lambda: documents.get(live.document_id) is None)


async def test_a_document_that_nobody_needs_is_unloaded_after_the_delay(world: World) -> None:
    """D2"""
    world.folder.write("a.ipynb", notebook("1"))
    documents = world.start(QUICK)
    live = await opened(documents)
    await until(lambda: documents.get(live.document_id) is None)
    again = await documents.open(live.document_id)
    assert again is not live
    assert sources(again) == ["1"]


async def test_a_document_that_is_held_stays(world: World) -> None:
    """D2: whoever leaves."""
    world.folder.write("a.ipynb", notebook("1"))
    documents = world.start(QUICK)
    live = await opened(documents)
    documents.hold(live.document_id, "one")
    documents.hold(live.document_id, "two")
    client = live.room.connect(Socket(), can_write=True, user=SOMEONE)
    client.closed()
    documents.release(live.document_id, "one")
    documents.release(live.document_id, "never held")
    await until_another_was_unloaded(world, documents)
    assert documents.get(live.document_id) is live
    documents.release(live.document_id, "two")
    await until(lambda: documents.get(live.document_id) is None)


async def test_a_document_with_clients_stays(world: World) -> None:
    """D2"""
    world.folder.write("a.ipynb", notebook("1"))
    documents = world.start(QUICK)
    live = await opened(documents)
    client = live.room.connect(Socket(), can_write=True, user=SOMEONE)
    await until_another_was_unloaded(world, documents)
    assert documents.get(live.document_id) is live
    client.closed()
    await until(lambda: documents.get(live.document_id) is None)


async def test_a_document_with_unsaved_changes_stays_until_they_are_saved(world: World) -> None:
    """D2"""
    world.folder.write("a.ipynb", notebook("1"))
    documents = world.start(DocumentSettings(save_delay_s=0.5, poll_s=0.02, unload_delay_s=0.02))
    live = await opened(documents)
    type_in(live, 0, "!")
    await until_another_was_unloaded(world, documents)
    assert documents.get(live.document_id) is live
    await until(lambda: documents.get(live.document_id) is None)
    assert saved(world) == ["1!"]


async def test_opening_while_it_is_unloaded_waits_for_the_end_of_that(world: World) -> None:
    world.folder.write("a.ipynb", notebook("1"))
    documents = world.start(QUICK)
    live = await opened(documents)
    document_id = live.document_id
    type_in(live, 0, "!")
    for _ in range(3):
        await until(lambda: documents.get(document_id) is None)
        assert sources(await documents.open(document_id)) == ["1!"]


async def test_close_saves_everything_and_can_be_called_twice(world: World) -> None:
    """R5"""
    world.folder.write("a.ipynb", notebook("1"))
    world.folder.write("b.ipynb", notebook("2"))
    documents = world.start()
    socket = Socket()
    for path in ("a.ipynb", "b.ipynb"):
        live = await opened(documents, path)
        live.room.connect(socket, can_write=True, user=SOMEONE)
        type_in(live, 0, "!")
    await asyncio.gather(documents.close(), documents.close())
    await documents.close()
    assert saved(world) == ["1!"]
    assert world.folder.read("b.ipynb")["cells"][0]["source"] == "2!"
    assert socket.closed_with is not None
    with pytest.raises(NotFound):
        await documents.open(live.document_id)


# --- loading again ---


async def test_after_a_crash_nothing_is_lost_that_was_committed(world: World) -> None:
    """R6, D7: the file is as it was agreed on, so the store is ahead and wins."""
    world.folder.write("a.ipynb", notebook("1", "2"))
    documents = world.start()
    live = await opened(documents)
    page = client_of(live)
    type_in(live, 1, " unsaved")
    await world.crash(documents)
    assert saved(world) == ["1", "2"]
    again = await opened(world.start(QUICK))
    assert sources(again) == ["1", "2 unsaved"]
    assert again.session == live.session
    await until(lambda: saved(world) == ["1", "2 unsaved"])
    sync(page, again)
    assert sources(page) == sources(again) == ["1", "2 unsaved"]


async def test_a_page_that_was_away_merges_without_a_duplicate(world: World) -> None:
    """D7: across a restart, while the file was changed by another program."""
    world.folder.write("a.ipynb", notebook("1", "2"))
    documents = world.start()
    live = await opened(documents)
    page = client_of(live)
    ytext = page.ycells[0]["source"]
    ytext += " typed offline"
    await documents.close()
    changed = notebook("1", "2 changed")
    changed["cells"].append(markdown("new", "m"))
    world.folder.write("a.ipynb", changed)
    again = await opened(world.start())
    assert sources(again) == ["1", "2 changed", "new"]
    assert again.session == live.session
    sync(page, again)
    assert sources(page) == sources(again) == ["1 typed offline", "2 changed", "new"]
    await again.save()
    assert saved(world) == ["1 typed offline", "2 changed", "new"]
    assert world.notices == []


async def test_both_changed_while_nothing_ran(world: World) -> None:
    """D5, R6: unsaved at the crash, and the file changed before the start."""
    world.folder.write("a.ipynb", notebook("1", "2"))
    documents = world.start()
    live = await opened(documents)
    type_in(live, 0, " ours")
    type_in(live, 1, " ours too")
    await world.crash(documents)
    world.folder.write("a.ipynb", notebook("1 theirs", "2"))
    again = await opened(world.start())
    assert sources(again) == ["1 theirs", "2 ours too"]
    [beside] = world.folder.names() - {"a.ipynb"}
    kept = world.folder.read(beside)["cells"]
    assert [cell["source"] for cell in kept] == ["1 ours", "2 ours too"]
    assert beside in world.notices[0]


async def test_equal_files_make_equal_documents(world: World) -> None:
    """D7: with an empty store, a page that comes back does not double the content."""
    content = notebook("1", "2", c1=[stream("x")])
    for cell in content["cells"]:
        del cell["id"]
    content["nbformat_minor"] = 4
    world.folder.write("a.ipynb", content)
    documents = world.start()
    live = await opened(documents)
    page = client_of(live)
    await documents.close()
    world.journal.updates.clear()
    world.journal.agreements.clear()
    again = await opened(world.start())
    assert again.session == live.session
    sync(page, again)
    assert sources(page) == sources(again) == ["1", "2"]


async def test_another_content_is_another_session(world: World) -> None:
    """D7: the store was lost and the file changed; a page must load anew, not merge."""
    world.folder.write("a.ipynb", notebook("1"))
    documents = world.start()
    live = await opened(documents)
    await documents.close()
    world.journal.updates.clear()
    world.journal.agreements.clear()
    world.folder.write("a.ipynb", notebook("2"))
    again = await opened(world.start())
    assert again.session != live.session


async def test_a_crash_in_the_middle_of_the_first_load(world: World) -> None:
    """R6: what no one has seen is no one's version."""
    world.folder.write("a.ipynb", notebook("1", "2", "3"))
    documents = world.start()
    live = await opened(documents)
    await world.crash(documents)
    del world.journal.agreements[live.document_id]
    del world.journal.updates[live.document_id][2:]
    world.folder.write("a.ipynb", notebook("1 changed", "2", "3"))
    again = await opened(world.start())
    assert sources(again) == ["1 changed", "2", "3"]
    assert world.folder.names() == {"a.ipynb"}
    assert world.notices == []


async def test_no_cell_seems_to_run_after_a_crash(world: World) -> None:
    """R5, R6: but those that do, as the engine says, and the last runs that are over."""
    world.folder.write("a.ipynb", notebook("1", "2", "3"))
    documents = world.start()
    live = await opened(documents)
    frame = Frame()
    for index, state in enumerate(["running", "waiting_input", "finished"]):
        frame.entries[CellId(f"c{index}")] = {"id": f"e{index}", "state": state}
        frame.cell(CellId(f"c{index}")).execution_state = "running"
    assert live.notebook is not None
    live.notebook.apply(frame)
    await world.crash(documents)
    documents = world.start()
    documents.hooks.is_running = lambda _document_id, cell_id: cell_id == CellId("c0")
    again = await opened(documents)
    assert {key: e["state"] for key, e in entries_of(again).items()} == {
        "c0": "running",
        "c2": "finished",
    }
    states = [cell["execution_state"] for cell in again.room.ydocument.ycells]
    assert states == ["running", "idle", "idle"]


def entries_of(live: LiveDocument) -> dict[str, Any]:
    return live.room.doc.get("execution", type=Map).to_py() or {}


async def test_a_document_without_its_file_does_not_open_and_comes_back_with_it(
    world: World,
) -> None:
    """D6"""
    world.folder.write("a.ipynb", notebook("1"))
    documents = world.start()
    live = await opened(documents)
    type_in(live, 0, " unsaved")
    await world.crash(documents)
    (world.folder.root / "a.ipynb").unlink()
    documents = world.start()
    with pytest.raises(NotFound):
        await documents.open(live.document_id)
    assert world.folder.names() == set()
    world.folder.write("a.ipynb", notebook("1"))
    assert sources(await documents.open(live.document_id)) == ["1 unsaved"]


async def test_what_is_shown_is_stored_before(world: World) -> None:
    """R4: also the first state."""
    world.folder.write("a.ipynb", notebook("1", "2"))
    live = await opened(world.start())
    doc: Doc[Any] = Doc()
    for update in world.journal.updates[live.document_id]:
        doc.apply_update(update)
    assert sources(YNotebook(doc)) == ["1", "2"]


async def test_the_whole_state_of_a_document_can_be_had_at_any_moment(world: World) -> None:
    """D9: the journal asks while a change is being told."""
    world.folder.write("a.ipynb", notebook("1"))
    documents = world.start()
    live = await opened(documents)
    asked: list[bytes | None] = []
    live.room.doc.observe(lambda _event: asked.append(documents.state_of(live.document_id)))
    type_in(live, 0, "!")
    assert asked == [None]
    doc: Doc[Any] = Doc()
    state = documents.state_of(live.document_id)
    assert state is not None
    doc.apply_update(state)
    assert sources(YNotebook(doc)) == ["1!"]
    assert documents.state_of(DocumentId("json:notebook:other")) is None
