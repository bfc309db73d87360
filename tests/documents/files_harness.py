"""A folder with a real contents manager and file id manager over it, as the server wires them."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.services.contents.largefilemanager import (
    AsyncLargeFileManager,
    LargeFileManager,
)
from jupyter_server_fileid.manager import ArbitraryFileIdManager, LocalFileIdManager
from jupyter_ydoc import YNotebook
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from notebook_exec.core.model import CellId, DocumentId
from notebook_exec.documents.agreement import Notice
from notebook_exec.documents.files import Files
from notebook_exec.documents.filesync import FileAgreement, FileSync, SyncSettings
from notebook_exec.documents.load import fill, new_document, prepare
from notebook_exec.documents.room import Room

TIMEOUT_S = 20.0
SCHEMA = "https://events.jupyter.org/jupyter_server/contents_service/v1"


class Folder:
    """A root folder, its managers, and ``Files`` over them."""

    def __init__(
        self,
        base: Path,
        *,
        is_async: bool = True,
        local_ids: bool = False,
        manager_class: Any = None,
    ) -> None:
        self.root = base / "root"
        self.root.mkdir(exist_ok=True)
        kind = manager_class or (AsyncLargeFileManager if is_async else LargeFileManager)
        self.manager = kind(root_dir=str(self.root), delete_to_trash=False)
        self.manager.notary = NotebookNotary(  # type: ignore[no-untyped-call]
            parent=self.manager,
            db_file=str(base / "signatures.db"),
            secret_file=str(base / "secret"),
        )
        ids = LocalFileIdManager if local_ids else ArbitraryFileIdManager
        self.ids = ids(root_dir=str(self.root), db_path=str(base / "ids.db"))
        self.events: list[str] = []
        self.manager.event_logger.add_listener(schema_id=SCHEMA, listener=self._listen)
        self.files = Files(self.manager, self.ids)

    async def _listen(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        """As ``jupyter_server_fileid`` listens."""
        self.events.append(data["action"])
        handler = self.ids.get_handlers_by_action()[data["action"]]
        if handler:
            handler(data)

    async def call(self, method: str, *args: Any) -> Any:
        """What a request to the contents API does, with the events that follow."""
        result = getattr(self.manager, method)(*args)
        if inspect.isawaitable(result):
            result = await result
        await asyncio.sleep(0)
        return result

    def write(self, path: str, content: Any) -> None:
        """As another program writes; always with another mtime."""
        target = self.root / path
        before = target.stat().st_mtime_ns if target.exists() else 0
        text = content if isinstance(content, str) else nbformat.writes(content)
        target.write_text(text, newline="")
        if target.stat().st_mtime_ns <= before:
            os.utime(target, ns=(before + 10**7, before + 10**7))

    def read(self, path: str) -> Any:
        """A notebook on disk, valid."""
        text = (self.root / path).read_text()
        nbformat.validate(json.loads(text))
        return nbformat.reads(text, as_version=4)

    def text(self, path: str) -> str:
        return (self.root / path).read_bytes().decode()

    def names(self) -> set[str]:
        return {entry.name for entry in self.root.iterdir() if not entry.name.startswith(".")}

    def close(self) -> None:
        self.files.close()
        self.ids.con.close()
        del self.ids.con  # else its finalizer uses it, from whatever thread
        self.manager.notary.store.close()


def notebook(*sources: str, **outputs: list[dict[str, Any]]) -> Any:
    """Code cells ``c0``, ``c1`` … with these sources; ``c1=[…]`` gives outputs."""
    cells = []
    for index, source in enumerate(sources):
        cell = new_code_cell(source, id=f"c{index}")  # type: ignore[no-untyped-call]
        cell["outputs"] = [nbformat.from_dict(o) for o in outputs.get(f"c{index}", [])]
        cells.append(cell)
    return new_notebook(cells=cells)  # type: ignore[no-untyped-call]


def markdown(source: str, cell_id: str) -> Any:
    return new_markdown_cell(source, id=cell_id)  # type: ignore[no-untyped-call]


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def html(text: str) -> dict[str, Any]:
    """An output that shows only where it is trusted."""
    return {"output_type": "display_data", "data": {"text/html": text}, "metadata": {}}


class ListJournal:
    """A journal in memory that commits at the next turn of the loop."""

    def __init__(self) -> None:
        self.updates: dict[DocumentId, list[bytes]] = {}
        self.agreements: dict[DocumentId, FileAgreement] = {}
        self.announced: list[FileAgreement] = []
        """Those stored just before the file was written."""

    def append(
        self,
        document_id: DocumentId,
        update: bytes,
        alongside: Sequence[object],
        then: Callable[[bool], None],
    ) -> None:
        if update:
            self.updates.setdefault(document_id, []).append(update)
        for op in alongside:
            assert isinstance(op, FileAgreement)
            self.agreements[op.document_id] = op
            if op.saving is not None:
                self.announced.append(op)
        asyncio.get_running_loop().call_soon(then, True)


class Host:
    """Stands in for the registry; remembers what it was told."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.notices: list[str] = []
        self.noticed = asyncio.Event()

    def is_running(self, cell_id: CellId) -> bool:
        return cell_id in self.running

    def notice(self, notice: Notice) -> None:
        self.notices.append(notice.text)
        self.noticed.set()

    def store(self, agreement: FileAgreement) -> Sequence[object]:
        return [agreement]

    def settled(self) -> None:
        return None


async def until(condition: Callable[[], object], what: str = "it") -> None:
    """Waits for a state that other tasks bring about, as a file on disk."""

    async def look() -> None:
        while not condition():  # noqa: ASYNC110 - a file on disk sets no event
            await asyncio.sleep(0.005)

    try:
        await asyncio.wait_for(look(), TIMEOUT_S)
    except asyncio.TimeoutError:
        raise AssertionError(f"{what} did not come about") from None


FAST = SyncSettings(save_delay_s=0.03, poll_s=0.02, retry_s=0.1)


class OpenFile:
    """A document in a room, tied to its file."""

    def __init__(self, folder: Folder, room: Room, sync: FileSync, host: Host) -> None:
        self.folder, self.room, self.sync, self.host = folder, room, sync, host

    @property
    def notebook(self) -> YNotebook:
        assert isinstance(self.room.ydocument, YNotebook)
        return self.room.ydocument

    def sources(self) -> list[str]:
        return [str(cell["source"]) for cell in self.notebook.ycells]

    def type_in(self, index: int, text: str) -> None:
        """As a collaborator does."""
        ytext = self.notebook.ycells[index]["source"]
        ytext += text

    async def close(self) -> None:
        await self.sync.close()
        await self.room.close()


async def open_file(
    folder: Folder,
    path: str,
    *,
    type: str = "notebook",
    format: str = "json",
    settings: SyncSettings = FAST,
    journal: ListJournal | None = None,
    agreed: FileAgreement | None = None,
) -> OpenFile:
    """Opens a document as the registry does when nothing of it is stored, or all in ``journal``."""
    document_id = DocumentId(f"{format}:{type}:{await folder.files.file_id(path)}")
    read = await folder.files.get(path, format=format, type=type)
    ydocument = new_document(type)
    if journal is not None and agreed is not None:
        for update in journal.updates[document_id]:
            ydocument.ydoc.apply_update(update)
    else:
        take = [ydocument.ydoc.apply_update]
        if journal is not None:
            take.append(journal.updates.setdefault(document_id, []).append)
        content = prepare(read.content, type, path)
        await fill(type, content, 1, lambda update: [one(update) for one in take])
    room = Room(
        document_id,
        ydocument,
        journal or ListJournal(),
        max_message_bytes=10**8,
        max_backlog_bytes=10**8,
    )
    host = Host()
    sync = FileSync(room, folder.files, host, settings, path=path, session="s", agreed=agreed)
    await sync.start(None if agreed else read)
    return OpenFile(folder, room, sync, host)
