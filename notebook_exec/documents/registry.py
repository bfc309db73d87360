"""The documents that are loaded: opened on demand, kept while needed, saved and unloaded (D2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from jupyter_ydoc import YNotebook
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Map

from notebook_exec.core.model import (
    CellId,
    DocumentId,
    ExecutionState,
    InvalidInput,
    Json,
    NotFound,
)
from notebook_exec.documents.agreement import FileAgreement, Notice, SyncSettings, split_id
from notebook_exec.documents.files import FileContent, Files
from notebook_exec.documents.filesync import FileSync
from notebook_exec.documents.load import client_id_of, fill, new_document, prepare, session_of
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.documents.room import Journal, Room
from notebook_exec.documents.undo import release_undo_manager


@dataclass(frozen=True, slots=True)
class DocumentSettings:
    """Delays and limits of documents; the defaults are those of the extension."""

    save_delay_s: float = 1.0
    unload_delay_s: float = 60.0
    poll_s: float = 1.0
    max_message_bytes: int = 100 * 2**20
    max_backlog_bytes: int = 200 * 2**20


@dataclass(frozen=True, slots=True)
class StoredState:
    """What the store holds of a document: its updates in order, and the last agreement."""

    updates: Sequence[bytes] = ()
    agreement: FileAgreement | None = None


@dataclass(slots=True)
class Hooks:
    """What the rest of the program does for documents; set before the first is opened.

    ``is_running``: whether an execution writes the outputs of that cell. ``on_notice``: users of
    the document should read this text. ``store``: the operations that keep an agreement.
    """

    is_running: Callable[[DocumentId, CellId], bool] = lambda _document, _cell: False
    on_notice: Callable[[DocumentId, Notice], None] = lambda _document, _notice: None
    store: Callable[[FileAgreement], Sequence[object]] = lambda _agreement: ()


class LiveDocument:
    """A loaded document: its room, its notebook if it is one, and its tie to the file.

    ``session``: a client of another session has another history, and must load anew (D7).
    """

    def __init__(
        self, room: Room, notebook: LiveNotebook | None, sync: FileSync, session: str
    ) -> None:
        self.document_id = room.document_id
        self.room = room
        self.notebook = notebook
        self.sync = sync
        self.session = session

    @property
    def path(self) -> str:
        """Where the file is; the last known place if it is gone."""
        return self.sync.path

    async def save(self) -> None:
        """Returns when what the document holds now is in the file. NotFound, SaveFailed."""
        await self.sync.save()


class Documents:
    """Opens each document once, and unloads it when nothing needs it.

    ``files`` is closed with it.
    """

    def __init__(
        self,
        *,
        files: Files,
        journal: Journal,
        stored: Callable[[DocumentId], Awaitable[StoredState | None]],
        settings: DocumentSettings,
        hooks: Hooks | None = None,
    ) -> None:
        self.hooks = hooks if hooks is not None else Hooks()
        self._files = files
        self._journal = journal
        self._stored = stored
        self._settings = settings
        self._live: dict[DocumentId, LiveDocument] = {}
        self._holds: dict[DocumentId, set[object]] = {}
        self._opening: dict[DocumentId, asyncio.Task[LiveDocument]] = {}
        self._unloading: dict[DocumentId, asyncio.Task[None]] = {}
        self._timers: dict[DocumentId, asyncio.TimerHandle] = {}
        self._closing: asyncio.Task[None] | None = None

    # --- finding and opening ---

    async def document_id(
        self, path: str, format: str = "json", type: str = "notebook"
    ) -> DocumentId:
        """The id of the document for the file at ``path``. NotFound."""
        return DocumentId(f"{format}:{type}:{await self._files.file_id(path)}")

    def loaded_at(self, path: str) -> LiveDocument | None:
        """The notebook that is loaded from ``path``; its file need not be looked at again."""
        for live in self._live.values():
            if live.notebook is not None and live.path == path and not live.sync.is_missing:
                return live
        return None

    def path_of(self, document_id: DocumentId) -> str | None:
        """Where the document's file is, whether it is loaded or not; None if it is gone."""
        live = self._live.get(document_id)
        if live is not None:
            return live.path
        try:
            return self._files.path(split_id(document_id)[2])
        except InvalidInput:
            return None

    def get(self, document_id: DocumentId) -> LiveDocument | None:
        """The document, if it is loaded."""
        return self._live.get(document_id)

    def state_of(self, document_id: DocumentId) -> bytes | None:
        """The whole state of a loaded document as one Y update, for compaction (D9).

        None if it is not loaded, or just now cannot be read: in an observer of a change.
        """
        live = self._live.get(document_id)
        if live is None:
            return None
        try:
            return live.room.doc.get_update()
        except RuntimeError:  # pycrdt's "already borrowed"; compaction waits for the next change
            return None

    def __iter__(self) -> Iterator[LiveDocument]:
        return iter(list(self._live.values()))

    async def open(self, document_id: DocumentId) -> LiveDocument:
        """Loads the document, or returns the one that is loaded. NotFound, InvalidInput.

        It stays for ``unload_delay_s``, and as long as it is held or has clients.
        """
        while document_id in self._unloading:
            await asyncio.wait([self._unloading[document_id]])
        live = self._live.get(document_id)
        if live is None:
            if self._closing is not None:
                raise NotFound("The server is stopping.", field="document_id")
            task = self._opening.get(document_id)
            if task is None:
                task = asyncio.create_task(self._load(document_id))
                self._opening[document_id] = task
                task.add_done_callback(lambda _: self._opening.pop(document_id, None))
            live = await asyncio.shield(task)
        self.reconsider(document_id)
        return live

    # --- keeping (D2) ---

    def hold(self, document_id: DocumentId, token: object) -> None:
        """Keeps the document loaded until ``token`` is released."""
        self._holds.setdefault(document_id, set()).add(token)

    def release(self, document_id: DocumentId, token: object) -> None:
        """Undoes ``hold``; a token that does not hold is ignored."""
        tokens = self._holds.get(document_id)
        if tokens is None:
            return
        tokens.discard(token)
        if not tokens:
            del self._holds[document_id]
            self.reconsider(document_id)

    def _is_needed(self, live: LiveDocument) -> bool:
        unsaved = live.sync.is_dirty and not live.sync.is_missing
        return bool(self._holds.get(live.document_id)) or unsaved or live.room.client_count > 0

    def reconsider(self, document_id: DocumentId) -> None:
        """Looks whether something needs the document; if not, the delay before unloading begins."""
        timer = self._timers.pop(document_id, None)
        if timer is not None:
            timer.cancel()
        live = self._live.get(document_id)
        if live is None or self._closing is not None or self._is_needed(live):
            return
        loop = asyncio.get_running_loop()
        self._timers[document_id] = loop.call_later(
            self._settings.unload_delay_s, self._unload_if_unneeded, live
        )

    def _unload_if_unneeded(self, live: LiveDocument) -> None:
        document_id = live.document_id
        self._timers.pop(document_id, None)
        if self._is_needed(live) or self._live.get(document_id) is not live:
            return  # what needs it tells when it does no more
        del self._live[document_id]
        task = asyncio.create_task(self._close_document(live))
        self._unloading[document_id] = task
        task.add_done_callback(lambda _: self._unloading.pop(document_id, None))

    async def _close_document(self, live: LiveDocument) -> None:
        await live.sync.close()
        await live.room.close()

    async def save(self, document_id: DocumentId) -> None:
        """Saves a loaded document now. NotFound, SaveFailed."""
        live = self._live.get(document_id)
        if live is None:
            raise NotFound(f"The document {document_id!r} is not open.", field="document_id")
        await live.save()

    async def close(self) -> None:
        """Saves every document that can be saved, then closes the rooms. Safe to call twice."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close_all())
        await asyncio.shield(self._closing)

    async def _close_all(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        closing = [self._close_document(live) for live in self._live.values()]
        self._live.clear()
        await asyncio.gather(*closing, *self._unloading.values())
        self._files.close()

    # --- loading (D7) ---

    async def _load(self, document_id: DocumentId) -> LiveDocument:
        path = self._files.path(split_id(document_id)[2])
        if path is None:
            raise NotFound(f"There is no file for {document_id!r}.", field="document_id")
        stored = await self._stored(document_id)
        ydocument = new_document(split_id(document_id)[1])
        try:
            if stored is not None and stored.updates:
                start = await self._from_store(document_id, ydocument, path, stored)
            else:
                start = await self._from_file(document_id, ydocument, path)
        except BaseException:
            release_undo_manager(ydocument)
            raise
        room = Room(
            document_id,
            ydocument,
            self._journal,
            max_message_bytes=self._settings.max_message_bytes,
            max_backlog_bytes=self._settings.max_backlog_bytes,
        )
        sync = FileSync(
            room,
            self._files,
            _Host(self, document_id),
            SyncSettings(self._settings.save_delay_s, self._settings.poll_s),
            path=path,
            session=start.session,
            agreed=start.agreed,
        )
        try:
            await sync.start(start.read)
        except BaseException:
            await sync.close()
            await room.close()
            raise
        return self._welcome(room, sync, start.session)

    def _welcome(self, room: Room, sync: FileSync, session: str) -> LiveDocument:
        notebook = LiveNotebook(room) if isinstance(room.ydocument, YNotebook) else None
        live = LiveDocument(room, notebook, sync, session)
        if notebook is not None:
            self._end_stale_states(live, notebook)
        document_id = room.document_id
        room.on_empty = lambda: self.reconsider(document_id)
        room.on_raw = lambda message: live.save() if message == "save" else None
        self._live[document_id] = live
        return live

    async def _from_store(
        self, document_id: DocumentId, ydocument: YBaseDoc, path: str, stored: StoredState
    ) -> _Start:
        await self._files.stat(path)  # no document without its file
        for update in stored.updates:
            ydocument.ydoc.apply_update(update)
            await asyncio.sleep(0)
        agreed = stored.agreement
        session = agreed.session if agreed is not None else session_of(document_id, "")
        return _Start(session, agreed, None)

    async def _from_file(self, document_id: DocumentId, ydocument: YBaseDoc, path: str) -> _Start:
        format, type, _ = split_id(document_id)
        read = await self._files.get(path, format=format, type=type)
        content = await self._files.run(prepare, read.content, type, path)
        session = session_of(document_id, read.hash)
        updates: list[bytes] = []
        await fill(type, content, client_id_of(session), updates.append)
        committed = asyncio.get_running_loop().create_future()
        for index, update in enumerate(updates):
            ydocument.ydoc.apply_update(update)
            is_last = index + 1 == len(updates)
            then = partial(_resolve, committed) if is_last else _ignore
            self._journal.append(document_id, update, (), then)
            await asyncio.sleep(0)
        if updates:
            await committed  # what is shown is on disk before (R4)
        return _Start(session, None, read)

    def _end_stale_states(self, live: LiveDocument, notebook: LiveNotebook) -> None:
        """A server that died leaves cells that seem to run; only the engine knows better (R6)."""
        entries = live.room.doc.get("execution", type=Map).to_py() or {}
        running = {
            cell_id
            for cell_id in notebook.code_cells()
            if self.hooks.is_running(live.document_id, cell_id)
        }
        true = {
            CellId(cell_id): entry
            for cell_id, entry in entries.items()
            if cell_id in running or _is_over(entry)
        }
        notebook.reset_projection(true, running)


def _is_over(entry: Json) -> bool:
    state = entry.get("state") if isinstance(entry, dict) else None
    return any(state == known.value and known.is_final for known in ExecutionState)


@dataclass(frozen=True, slots=True)
class _Start:
    """What a document begins with. ``read``: the file, if it was made of that just now."""

    session: str
    agreed: FileAgreement | None
    read: FileContent | None


class _Host:
    """What a ``FileSync`` sees of the registry."""

    def __init__(self, documents: Documents, document_id: DocumentId) -> None:
        self._documents = documents
        self._document_id = document_id

    def is_running(self, cell_id: CellId) -> bool:
        return self._documents.hooks.is_running(self._document_id, cell_id)

    def notice(self, notice: Notice) -> None:
        self._documents.hooks.on_notice(self._document_id, notice)

    def store(self, agreement: FileAgreement) -> Sequence[object]:
        return self._documents.hooks.store(agreement)

    def settled(self) -> None:
        self._documents.reconsider(self._document_id)


def _resolve(future: asyncio.Future[None], _durable: bool) -> None:
    if not future.done():
        future.set_result(None)


def _ignore(_durable: bool) -> None:
    return None
