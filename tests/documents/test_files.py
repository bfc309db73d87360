"""Files through real contents managers, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from files_harness import TIMEOUT_S, Folder, html, notebook, stream
from jupyter_server.services.contents.largefilemanager import (
    AsyncLargeFileManager,
    LargeFileManager,
)
from tornado.web import HTTPError

from notebook_exec.core.model import InvalidInput, NotFound
from notebook_exec.documents.files import Files, SaveFailed


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path, is_async=request.param)
    yield made
    made.close()


async def test_what_is_saved_is_read_with_the_same_hash(folder: Folder) -> None:
    folder.write("a.ipynb", notebook("1"))
    content = dict(notebook("2"))
    written = await folder.files.save("a.ipynb", format="json", type="notebook", content=content)
    read = await folder.files.get("a.ipynb", format="json", type="notebook")
    assert read.content["cells"][0]["source"] == "2"
    assert written.hash == read.hash
    assert read.stat.same_as(written.stat)


async def test_a_change_by_someone_else_shows_in_stat_and_hash(folder: Folder) -> None:
    folder.write("a.txt", "one")
    read = await folder.files.get("a.txt", format="text", type="file")
    folder.write("a.txt", "two")
    stat = await folder.files.stat("a.txt")
    assert not stat.same_as(read.stat)
    assert (await folder.files.get("a.txt", format="text", type="file")).hash != read.hash


async def test_a_path_has_one_id_however_it_is_spelled(folder: Folder) -> None:
    (folder.root / "sub").mkdir()
    folder.write("sub/a.txt", "x")
    file_id = await folder.files.file_id("sub/a.txt")
    assert await folder.files.file_id("/sub/a.txt") == file_id
    assert await folder.files.file_id("sub/../sub/a.txt") == file_id
    assert folder.files.path(file_id) == "sub/a.txt"


@pytest.mark.parametrize("path", ["../secret", "sub/../../secret", "/../secret", "a\0b", ".."])
async def test_no_path_leads_out_of_the_root(folder: Folder, path: str) -> None:
    """S5: paths stay inside the root."""
    (folder.root.parent / "secret").write_text("x")
    with pytest.raises(NotFound):
        await folder.files.file_id(path)
    with pytest.raises(NotFound):
        await folder.files.get(path, format="text", type="file")
    with pytest.raises(NotFound):
        await folder.files.save(path, format="text", type="file", content="y")
    assert (folder.root.parent / "secret").read_text() == "x"


async def test_folders_and_hidden_files_are_no_documents(folder: Folder) -> None:
    """S5: as for the contents API."""
    folder.write(".hidden", "x")
    with pytest.raises(NotFound):
        await folder.files.file_id(".hidden")
    with pytest.raises(InvalidInput):
        await folder.files.file_id("")


async def test_what_is_not_there_is_not_found(folder: Folder) -> None:
    with pytest.raises(NotFound):
        await folder.files.file_id("no.ipynb")
    with pytest.raises(NotFound):
        await folder.files.stat("no.ipynb")
    assert folder.files.path("no such id") is None


async def test_a_broken_notebook_is_invalid_input_that_names_it(folder: Folder) -> None:
    folder.write("broken.ipynb", '{"cells": [')
    with pytest.raises(InvalidInput, match=r"broken\.ipynb"):
        await folder.files.get("broken.ipynb", format="json", type="notebook")
    assert folder.text("broken.ipynb") == '{"cells": ['


async def test_bytes_keep_their_value(folder: Folder) -> None:
    (folder.root / "a.bin").write_bytes(b"\x00\xff\x01")
    read = await folder.files.get("a.bin", format="base64", type="blob")
    assert read.content == b"\x00\xff\x01"
    await folder.files.save("a.bin", format="base64", type="blob", content=b"\xfe\x00")
    assert (folder.root / "a.bin").read_bytes() == b"\xfe\x00"


async def test_events_reach_the_listeners_on_the_loop(folder: Folder) -> None:
    folder.write("a.txt", "x")
    heard = asyncio.Event()
    threads: list[threading.Thread] = []

    async def listen(logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        threads.append(threading.current_thread())
        heard.set()

    folder.manager.event_logger.add_listener(
        schema_id=folder.manager.event_schema_id, listener=listen
    )
    await folder.files.save("a.txt", format="text", type="file", content="y")
    await asyncio.wait_for(heard.wait(), TIMEOUT_S)
    assert threads == [threading.current_thread()]
    assert folder.events == ["save"]


async def test_the_manager_works_off_the_loop(tmp_path: Path) -> None:
    """D3: parsing, signing and encoding hold up no one."""
    seen: list[threading.Thread] = []

    class Watched(AsyncLargeFileManager):
        def check_and_sign(self, nb: Any, path: str = "", **kwargs: Any) -> None:
            seen.append(threading.current_thread())
            super().check_and_sign(nb, path, **kwargs)

        def mark_trusted_cells(self, nb: Any, path: str = "") -> None:
            seen.append(threading.current_thread())
            super().mark_trusted_cells(nb, path)

    folder = Folder(tmp_path, manager_class=Watched)
    folder.write("a.ipynb", notebook("1"))
    read = await folder.files.get("a.ipynb", format="json", type="notebook")
    await folder.files.save("a.ipynb", format="json", type="notebook", content=read.content)
    assert len(seen) == 2
    assert threading.current_thread() not in seen
    folder.close()


async def test_what_is_trusted_when_saved_is_trusted_when_read(folder: Folder) -> None:
    """O18: also by the contents manager itself, on the loop's thread."""
    folder.write("a.ipynb", notebook("1", c0=[html("<b>")]))
    read = await folder.files.get("a.ipynb", format="json", type="notebook")
    assert read.content["cells"][0]["metadata"]["trusted"] is False
    read.content["cells"][0]["metadata"]["trusted"] = True
    await folder.files.save("a.ipynb", format="json", type="notebook", content=read.content)
    assert "trusted" not in folder.read("a.ipynb")["cells"][0]["metadata"]
    again = await folder.files.get("a.ipynb", format="json", type="notebook")
    assert again.content["cells"][0]["metadata"]["trusted"] is True
    model = await folder.call("get", "a.ipynb")
    assert model["content"]["cells"][0]["metadata"]["trusted"] is True


async def test_hooks_registered_later_are_called(folder: Folder) -> None:
    folder.write("a.txt", "x")
    await folder.files.save("a.txt", format="text", type="file", content="y")
    called: list[str] = []
    folder.manager.register_post_save_hook(lambda **given: called.append(given["model"]["path"]))
    await folder.files.save("a.txt", format="text", type="file", content="z")
    assert called == ["a.txt"]


async def test_a_notebook_is_written_byte_for_byte_as_by_the_manager(folder: Folder) -> None:
    """D4: in pieces, so that no thread waits (D3), but the same file."""
    big = notebook("é\n" * 50_000, "2", c1=[stream("line\n" * 20_000), html("<b>\n</b>")])
    big["metadata"]["orig_nbformat"] = 3
    await folder.files.save("a.ipynb", format="json", type="notebook", content=big)
    await folder.call("save", {"type": "notebook", "format": "json", "content": big}, "b.ipynb")
    assert folder.text("a.ipynb") == folder.text("b.ipynb")
    assert len(folder.text("a.ipynb")) > 2**17


async def test_an_invalid_notebook_is_saved_with_a_warning(folder: Folder) -> None:
    """As jupyter_server does: better that than nothing."""
    bad = notebook("1")
    bad["cells"][0]["metadata"] = {"tags": "no list"}
    written = await folder.files.save("a.ipynb", format="json", type="notebook", content=bad)
    assert written.message is not None and "validation failed" in written.message


async def test_a_file_that_may_not_be_written_fails_the_save_and_stays(tmp_path: Path) -> None:
    class ReadOnly(LargeFileManager):
        def save(self, model: Any, path: str = "") -> Any:
            raise HTTPError(403, "Permission denied: %s", path)

    folder = Folder(tmp_path, manager_class=ReadOnly)
    folder.write("a.txt", "x")
    with pytest.raises(SaveFailed, match="Permission denied"):
        await folder.files.save("a.txt", format="text", type="file", content="y")
    assert folder.text("a.txt") == "x"
    folder.close()


async def test_a_manager_that_knows_no_hashes_gets_one_from_the_content(tmp_path: Path) -> None:
    class Plain(LargeFileManager):
        def get(  # type: ignore[override]
            self, path: str, content: bool = True, type: Any = None, format: Any = None
        ) -> Any:
            return super().get(path, content=content, type=type, format=format)

    folder = Folder(tmp_path, manager_class=Plain)
    folder.write("a.txt", "x")
    one = await folder.files.get("a.txt", format="text", type="file")
    written = await folder.files.save("a.txt", format="text", type="file", content="y")
    two = await folder.files.get("a.txt", format="text", type="file")
    assert one.hash != two.hash == written.hash
    folder.close()


async def test_foreign_async_managers_stay_on_the_loop() -> None:
    """Their clients may belong to the loop that made them."""
    threads: list[threading.Thread] = []

    class Remote:
        async def get(self, path: str, **wanted: Any) -> dict[str, Any]:
            threads.append(threading.current_thread())
            return {"last_modified": 1, "size": 2, "content": "x", "format": "text", "hash": "h"}

    files = Files(Remote(), None)
    assert (await files.get("a", format="text", type="file")).hash == "h"
    assert threads == [threading.current_thread()]
    files.close()


@pytest.mark.parametrize("name", ["a.ipynb", "a.txt"])
async def test_a_file_is_whole_at_every_moment(folder: Folder, name: str) -> None:
    """D4: while a save is written, whoever reads the file finds the old one; then the new one."""
    is_notebook = name.endswith(".ipynb")
    format, type = ("json", "notebook") if is_notebook else ("text", "file")
    target = folder.root / name
    folder.write(name, notebook("old") if is_notebook else "old")
    target.chmod(0o640)
    before, seen = target.read_bytes(), []
    real_fsync = os.fsync

    def look(fd: int) -> None:  # all is written, and not yet in place
        seen.append(target.read_bytes())
        real_fsync(fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", look)
        content = dict(notebook("new")) if is_notebook else "new"
        await folder.files.save(name, format=format, type=type, content=content)
    assert seen
    assert set(seen) == {before}
    assert b"new" in target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o640
    assert not list(folder.root.glob(".~*"))


async def test_a_link_to_a_file_stays_a_link(folder: Folder) -> None:
    """D4: what a link points to is replaced."""
    folder.write("real.txt", "old")
    (folder.root / "link.txt").symlink_to("real.txt")
    await folder.files.save("link.txt", format="text", type="file", content="new")
    assert (folder.root / "link.txt").is_symlink()
    assert (folder.root / "real.txt").read_text() == "new"


async def test_a_file_with_two_names_keeps_both(folder: Folder) -> None:
    """D4: another hard link sees the change too."""
    folder.write("one.txt", "old")
    (folder.root / "two.txt").hardlink_to(folder.root / "one.txt")
    await folder.files.save("one.txt", format="text", type="file", content="new")
    assert (folder.root / "two.txt").read_text() == "new"
