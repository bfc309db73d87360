"""One document and its file: saving, and taking over what others write (D3 to D6)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from files_harness import (
    FAST,
    Folder,
    ListJournal,
    html,
    markdown,
    notebook,
    open_file,
    stream,
    until,
)
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from pycrdt import Map
from tornado.web import HTTPError

from notebook_exec.core.model import NotFound
from notebook_exec.documents.files import SaveFailed
from notebook_exec.documents.filesync import SyncSettings

SLOW = SyncSettings(save_delay_s=3600, poll_s=3600)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path, is_async=request.param)
    yield made
    made.close()


def saved(folder: Folder, path: str = "a.ipynb") -> list[str]:
    try:
        return [cell["source"] for cell in folder.read(path)["cells"]]
    except ValueError:
        return []  # in the middle of being written


# --- saving ---


async def test_a_change_is_saved_by_itself(folder: Folder) -> None:
    """D3, D4: complete and valid."""
    folder.write("a.ipynb", notebook("1", "2"))
    opened = await open_file(folder, "a.ipynb")
    opened.type_in(1, "!")
    await until(lambda: saved(folder) == ["1", "2!"])
    await until(lambda: not opened.sync.is_dirty)
    assert opened.notebook.dirty is False
    stat = await folder.files.get("a.ipynb", format="json", type="notebook")
    assert opened.notebook.hash == stat.hash
    await opened.close()


async def test_endless_change_does_not_keep_a_save_off(folder: Folder) -> None:
    """D3: the delay counts from the first unsaved change, not the last. [starved by debounce]"""
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb")

    async def write() -> None:
        while True:
            opened.type_in(0, "x")
            await asyncio.sleep(FAST.save_delay_s / 10)

    writer = asyncio.create_task(write())
    for length in (5, 20, 50):
        await until(lambda length=length: len("".join(saved(folder))) > length, "a save")  # type: ignore[misc]
    writer.cancel()
    await opened.close()


async def test_what_changed_during_a_save_is_still_unsaved(tmp_path: Path) -> None:
    """D3: "dirty" is cleared only for the version that was written."""
    entered, leave = threading.Event(), threading.Event()

    class Slow(AsyncLargeFileManager):
        async def save(self, model: Any, path: str = "") -> Any:
            entered.set()
            leave.wait(20)
            return await super().save(model, path)

    folder = Folder(tmp_path, manager_class=Slow)
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    opened.type_in(0, "2")
    saving = asyncio.create_task(opened.sync.save())
    await until(entered.is_set)
    opened.type_in(0, "3")
    leave.set()
    await saving
    assert saved(folder) == ["12"]
    assert opened.sync.is_dirty
    await opened.close()
    assert saved(folder) == ["123"]
    folder.close()


async def test_close_saves_what_is_unsaved(folder: Folder) -> None:
    """R5: an orderly stop."""
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    opened.type_in(0, "!")
    await opened.close()
    await opened.close()
    assert saved(folder) == ["1!"]


async def test_nothing_transient_is_saved_and_states_alone_save_nothing(folder: Folder) -> None:
    """D4, P4"""
    folder.write("a.ipynb", notebook("1"))
    before = folder.text("a.ipynb")
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    with opened.room.transact():
        opened.notebook.ycells[0]["execution_state"] = "running"
        opened.room.doc.get("execution", type=Map)["c0"] = {"prompt": {"prompt": "who?"}}
    assert not opened.sync.is_dirty
    await opened.sync.save()
    assert folder.text("a.ipynb") == before
    opened.type_in(0, "!")
    await opened.sync.save()
    for word in ("execution_state", "running", "who?"):
        assert word not in folder.text("a.ipynb")
    await opened.close()


async def test_a_change_and_its_undoing_leave_the_file_alone(folder: Folder) -> None:
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    stat = (folder.root / "a.ipynb").stat()
    opened.type_in(0, "!")
    del opened.notebook.ycells[0]["source"][1:2]
    await opened.sync.save()
    assert (folder.root / "a.ipynb").stat().st_mtime_ns == stat.st_mtime_ns
    assert not opened.sync.is_dirty
    await opened.close()


async def test_our_own_saves_are_no_outside_changes(folder: Folder) -> None:
    """D5"""
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb")
    for number in range(5):
        opened.type_in(0, str(number))
        await opened.sync.save()
        (folder.root / "a.ipynb").touch()
    await until(lambda: not opened.sync.is_dirty)
    assert opened.sources() == ["101234"]
    assert opened.host.notices == []
    await opened.close()


async def test_a_save_whose_server_was_killed_is_no_outside_change(folder: Folder) -> None:
    """D5, R2: between the file's writing and the note of it; what came since is not given up."""
    folder.write("a.ipynb", notebook("1"))
    journal = ListJournal()
    killed = await open_file(folder, "a.ipynb", settings=SLOW, journal=journal)
    killed.type_in(0, " saved")
    await killed.sync.save()
    assert saved(folder) == ["1 saved"]
    (announced,) = journal.announced
    killed.type_in(0, ", and more")
    opened = await open_file(folder, "a.ipynb", journal=journal, agreed=announced)
    assert opened.sources() == ["1 saved, and more"]
    await opened.sync.save()
    assert saved(folder) == ["1 saved, and more"]
    assert opened.host.notices == []
    assert folder.names() == {"a.ipynb"}
    await opened.close()
    await killed.close()


async def test_old_notebooks_get_ids_and_stay_valid(folder: Folder) -> None:
    """D4: a file without cell ids gets the same ones at each reading."""
    old = notebook("1", "2")
    for cell in old["cells"]:
        del cell["id"]
    old["nbformat_minor"] = 4
    folder.write("a.ipynb", old)
    one = await open_file(folder, "a.ipynb", settings=SLOW)
    two = await open_file(folder, "a.ipynb", settings=SLOW)
    ids = [cell["id"] for cell in one.notebook.ycells]
    assert ids == [cell["id"] for cell in two.notebook.ycells]
    assert len(set(ids)) == 2
    one.type_in(0, "!")
    await one.close()
    assert [cell["id"] for cell in folder.read("a.ipynb")["cells"]] == ids
    await two.close()


async def test_what_ran_here_is_trusted_after_reopening(folder: Folder) -> None:
    """O18"""
    folder.write("a.ipynb", notebook("1", c0=[html("<b>")]))
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    assert opened.notebook.ycells[0]["metadata"]["trusted"] is False
    opened.notebook.ycells[0]["metadata"]["trusted"] = True
    await opened.close()
    again = await open_file(folder, "a.ipynb", settings=SLOW)
    assert again.notebook.ycells[0]["metadata"]["trusted"] is True
    await again.close()


async def test_a_file_that_may_not_be_written_is_told_and_tried_again(tmp_path: Path) -> None:
    allowed = threading.Event()

    class Guarded(AsyncLargeFileManager):
        async def save(self, model: Any, path: str = "") -> Any:
            if not allowed.is_set():
                raise HTTPError(403, f"Permission denied: {path}")
            return await super().save(model, path)

    folder = Folder(tmp_path, manager_class=Guarded)
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb")
    opened.type_in(0, "!")
    with pytest.raises(SaveFailed, match="Permission denied"):
        await opened.sync.save()
    await until(lambda: opened.host.notices)
    assert opened.sync.is_dirty and opened.sources() == ["1!"]
    allowed.set()
    await until(lambda: saved(folder) == ["1!"])
    await until(lambda: len(opened.host.notices) == 2)
    assert "Permission denied" in opened.host.notices[0]
    await opened.close()
    folder.close()


async def test_texts_keep_their_line_ends(folder: Folder) -> None:
    """D1: text files."""
    for name, ends in (("dos.txt", "\r\n"), ("unix.txt", "\n")):
        folder.write(name, f"one{ends}two{ends}")
        opened = await open_file(folder, name, type="file", format="text", settings=SLOW)
        assert opened.room.ydocument.get() == "one\ntwo\n"
        opened.room.ydocument.set("one\ntwo\nthree\n")
        await opened.close()
        assert folder.text(name) == f"one{ends}two{ends}three{ends}"


# --- what others write ---


async def test_cells_changed_on_disk_are_taken_over(folder: Folder) -> None:
    """D5"""
    folder.write("a.ipynb", notebook("1", "2"))
    journal = ListJournal()
    opened = await open_file(folder, "a.ipynb", journal=journal)
    changed = notebook("1", "2 theirs")
    changed["cells"].append(markdown("new", "m"))
    folder.write("a.ipynb", changed)
    await until(lambda: opened.sources() == ["1", "2 theirs", "new"])
    assert opened.host.notices == []
    await until(lambda: not opened.sync.is_dirty)
    assert folder.read("a.ipynb") == changed
    assert journal.agreements[opened.room.document_id].hash == opened.notebook.hash
    await opened.close()


async def test_unsaved_edits_are_merged_with_the_file(folder: Folder) -> None:
    """D5: checked before a save too, whatever the watching says."""
    folder.write("a.ipynb", notebook("1", "2"))
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    opened.type_in(0, " ours")
    folder.write("a.ipynb", notebook("1", "2 theirs"))
    await opened.sync.save()
    assert saved(folder) == opened.sources() == ["1 ours", "2 theirs"]
    assert opened.host.notices == []
    await opened.close()


async def test_where_both_changed_the_file_wins_and_ours_is_kept_beside(folder: Folder) -> None:
    """D5: nothing that a user wrote disappears silently."""
    folder.write("a.ipynb", notebook("1", "2"))
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    opened.type_in(0, " ours")
    folder.write("a.ipynb", notebook("1 theirs", "2"))
    await opened.sync.save()
    assert saved(folder) == opened.sources() == ["1 theirs", "2"]
    [beside] = folder.names() - {"a.ipynb"}
    assert beside.startswith("a.conflict-") and beside.endswith(".ipynb")
    assert saved(folder, beside) == ["1 ours", "2"]
    [notice] = opened.host.notices
    assert beside in notice
    await opened.close()


async def test_texts_changed_on_both_sides(folder: Folder) -> None:
    """D5"""
    folder.write("a.txt", "one")
    opened = await open_file(folder, "a.txt", type="file", format="text", settings=SLOW)
    folder.write("a.txt", "theirs")
    await opened.sync.save()
    assert opened.room.ydocument.get() == "theirs"
    assert folder.names() == {"a.txt"}
    opened.room.ydocument.set("ours")
    folder.write("a.txt", "theirs again")
    await opened.sync.save()
    assert opened.room.ydocument.get() == folder.text("a.txt") == "theirs again"
    [beside] = folder.names() - {"a.txt"}
    assert folder.text(beside) == "ours"
    await opened.close()


async def test_a_cell_that_runs_keeps_its_outputs(folder: Folder) -> None:
    """D5, O10"""
    folder.write("a.ipynb", notebook("1", "2", c0=[stream("old")]))
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    opened.host.running = {"c0"}
    ytext = opened.notebook.ycells[0]["outputs"][0]["text"]
    ytext += " and new"
    folder.write("a.ipynb", notebook("1 theirs", "2", c0=[stream("other")]))
    await opened.sync.save()
    cell = folder.read("a.ipynb")["cells"][0]
    assert cell["source"] == "1 theirs"
    assert "".join(cell["outputs"][0]["text"]) == "old and new"
    assert folder.names() == {"a.ipynb"}
    await opened.close()


async def test_a_document_that_never_rests_is_merged_too(folder: Folder) -> None:
    """D5 under endless output."""
    folder.write("a.ipynb", notebook("1", "2", c0=[stream("")]))
    opened = await open_file(folder, "a.ipynb")
    opened.host.running = {"c0"}

    async def write() -> None:
        while True:
            ytext = opened.notebook.ycells[0]["outputs"][0]["text"]
            with opened.room.transact():
                ytext += "x"
            await asyncio.sleep(0.001)  # less than any plan takes, and leaves threads their time

    writer = asyncio.create_task(write())
    folder.write("a.ipynb", notebook("1", "2 theirs", c0=[stream("")]))
    await until(lambda: opened.sources()[1] == "2 theirs")
    writer.cancel()
    await opened.close()
    assert saved(folder) == ["1", "2 theirs"]


async def test_a_file_that_became_unreadable_is_not_written_over(folder: Folder) -> None:
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb")
    folder.write("a.ipynb", "half writ")
    opened.type_in(0, "!")
    await until(lambda: opened.host.notices)
    assert folder.text("a.ipynb") == "half writ"
    folder.write("a.ipynb", notebook("1", "2"))
    await until(lambda: saved(folder) == ["1!", "2"])
    await opened.close()


# --- renamed, moved, deleted ---


async def test_a_renamed_file_is_saved_under_its_new_path(folder: Folder) -> None:
    """D6"""
    (folder.root / "sub").mkdir()
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb")
    await folder.call("rename", "a.ipynb", "sub/b.ipynb")
    await until(lambda: opened.notebook.path == "sub/b.ipynb")
    opened.type_in(0, "!")
    await until(lambda: saved(folder, "sub/b.ipynb") == ["1!"])
    assert opened.sync.path == "sub/b.ipynb"
    assert folder.names() == {"sub"}
    await opened.close()


async def test_a_file_moved_by_another_program_is_followed(tmp_path: Path) -> None:
    """D6: where the file id manager follows inodes."""
    folder = Folder(tmp_path, local_ids=True)
    (folder.root / "sub").mkdir()
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb")
    (folder.root / "a.ipynb").rename(folder.root / "sub" / "b.ipynb")
    await until(lambda: opened.sync.path == "sub/b.ipynb")
    opened.type_in(0, "!")
    await until(lambda: saved(folder, "sub/b.ipynb") == ["1!"])
    assert folder.names() == {"sub"}
    await opened.close()
    folder.close()


async def test_a_file_moved_in_the_middle_of_a_save(tmp_path: Path) -> None:
    """D6: what the save made at the old path goes again."""
    folder = Folder(tmp_path)
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    loop = asyncio.get_running_loop()

    async def moved() -> None:
        folder.ids.move("a.ipynb", "b.ipynb")

    def move(model: Any, path: str, contents_manager: Any) -> None:
        if path == "a.ipynb":
            (folder.root / "a.ipynb").rename(folder.root / "b.ipynb")
            asyncio.run_coroutine_threadsafe(moved(), loop).result(20)

    folder.manager.register_pre_save_hook(move)
    opened.type_in(0, "!")
    with pytest.raises(SaveFailed):
        await opened.sync.save()
    await opened.sync.save()
    assert folder.names() == {"b.ipynb"}
    assert saved(folder, "b.ipynb") == ["1!"]
    assert opened.host.notices != []
    await opened.close()
    folder.close()


async def test_a_deleted_file_is_told_and_not_made_again(folder: Folder) -> None:
    """D6"""
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb")
    (folder.root / "a.ipynb").unlink()
    await until(lambda: opened.sync.is_missing)
    opened.type_in(0, "!")
    with pytest.raises(NotFound):
        await opened.sync.save()
    assert opened.notebook.ystate["file_missing"] is True
    assert "deleted" in opened.host.notices[0]
    assert folder.names() == set()
    folder.write("a.ipynb", notebook("1", "2"))
    await until(lambda: saved(folder) == ["1!", "2"])
    assert opened.notebook.ystate["file_missing"] is False
    await opened.close()


async def test_a_file_deleted_by_the_file_browser_stays_deleted(folder: Folder) -> None:
    """D6, R5: closing does not make it again either."""
    folder.write("a.ipynb", notebook("1"))
    opened = await open_file(folder, "a.ipynb", settings=SLOW)
    opened.type_in(0, "!")
    await folder.call("delete", "a.ipynb")
    await opened.close()
    assert folder.names() == set()
