"""Files as the server's contents manager and file id manager know them; nothing of Y here.

Contents managers do much on the thread they are called on: a notebook of 50 MB is parsed, signed
and encoded for seconds. So those that work on local files, and all synchronous ones, are called in
worker threads, on a copy that is safe there: events go back to the event loop, where their
listeners live, and the trust database is opened for each use, since SQLite connections stay on
their thread.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import inspect
import json
import posixpath
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from jupyter_events import EventLogger
from jupyter_server.services.contents.fileio import AsyncFileManagerMixin, FileManagerMixin
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager
from nbformat.sign import NotebookNotary, SignatureStore, SQLiteSignatureStore
from tornado.web import HTTPError

from notebook_exec.core.model import InvalidInput, Json, NotebookExecError, NotFound
from notebook_exec.documents.replace_file import Replacing
from notebook_exec.documents.streaming import NotebookWriter

T = TypeVar("T")
_WORKERS = 4


class SaveFailed(NotebookExecError):
    """The file could not be written; what is in the document stays there and is tried again."""

    reason = "save_failed"


@dataclass(frozen=True, slots=True)
class FileStat:
    """What tells that a file may have changed, without reading it."""

    last_modified: object
    size: int | None
    writable: bool = True

    def same_as(self, other: FileStat | None) -> bool:
        """Whether the file looks untouched since ``other`` was taken."""
        return (
            other is not None
            and self.last_modified == other.last_modified
            and self.size == other.size
        )


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file as read. ``content``: a notebook (dict), text or bytes; ``hash``: of its bytes."""

    stat: FileStat
    content: Json
    hash: str


@dataclass(frozen=True, slots=True)
class Written:
    """What lies on disk after a save. ``hash`` is None if someone wrote right after us."""

    stat: FileStat
    hash: str | None
    message: str | None  # what the contents manager had to say, as "Notebook validation failed"


class Files:
    """Reads and writes files through the contents manager, and follows them by their ids.

    ``contents_manager`` may be synchronous or asynchronous. Used on one event loop.
    """

    def __init__(self, contents_manager: Any, file_id_manager: Any) -> None:
        self._manager = contents_manager
        self._ids = file_id_manager
        self._is_async = inspect.iscoroutinefunction(contents_manager.get)
        self._in_thread = not self._is_async or isinstance(
            contents_manager, AsyncFileContentsManager
        )
        self._can_hash = _accepts(contents_manager.get, "require_hash")
        self._events: _EventsToLoop | None = None
        self._threads = ThreadPoolExecutor(_WORKERS, thread_name_prefix="notebook_exec-files")

    # --- ids and paths; file id managers are SQLite on the loop's thread ---

    def path(self, file_id: str) -> str | None:
        """Where the file with ``file_id`` is now; None if it is known to be gone."""
        found = self._ids.get_path(file_id)
        return None if found is None else _api_path(found)

    async def file_id(self, path: str) -> str:
        """The id of the file at ``path``, given now if it has none. NotFound."""
        clean = _api_path(path)
        _inside_root(clean)
        model = await self._call(clean, partial(_find, path=clean))
        if model.get("type") == "directory":
            raise InvalidInput(f"{path!r} is a directory.", field="path")
        found = self._ids.index(clean)
        if found is None:
            raise NotFound(f"There is no file {path!r}.", field="path")
        return str(found)

    # --- reading and writing ---

    async def stat(self, path: str) -> FileStat:
        """Whether and how the file is there, cheaply. NotFound."""
        _inside_root(path)
        model = await self._call(path, partial(_stat, path=path))
        return _stat_of(model)

    async def get(self, path: str, *, format: str, type: str) -> FileContent:
        """The file's content, and the hash of the very bytes it was made from.

        ``format`` and ``type`` are those of a document id.

        Raises NotFound; InvalidInput if the file is not of that type.
        """
        _inside_root(path)
        wanted = {"content": True, "type": _manager_type(type)}
        if wanted["type"] != "notebook":
            wanted["format"] = format
        if self._can_hash:
            wanted["require_hash"] = True
        model = await self._call(path, lambda manager: manager.get(path, **wanted))
        content = model["content"]
        digest = model.get("hash")
        if digest is None:
            digest = await self.run(_content_hash, content)
        if model.get("format") == "base64" and type == "blob":
            content = base64.decodebytes(content.encode("ascii"))
        return FileContent(_stat_of(model), content, str(digest))

    async def save(self, path: str, *, format: str, type: str, content: Json) -> Written:
        """Writes the whole file, by the manager's own atomic save. SaveFailed, NotFound."""
        _inside_root(path)
        if isinstance(content, bytes):
            content = base64.encodebytes(content).decode("ascii")
        model = {"type": _manager_type(type), "format": format, "content": content}
        if model["type"] == "notebook":
            model["format"] = "json"
        writers: list[NotebookWriter] = []

        def save(manager: Any) -> Any:
            if manager is not self._manager and (writer := _stream_into(manager)) is not None:
                writers.append(writer)
            return manager.save(model, path)

        try:
            saved = await self._call(path, save)
        except InvalidInput as error:
            raise SaveFailed(f"{path} could not be saved: {error.message}") from error
        stat = _stat_of(saved)
        if writers and writers[0].digest is not None:
            digest, is_ours = writers[0].digest, stat.size == writers[0].size
        else:
            digest, after = await self._hash(path, format=format, type=type)
            is_ours = after.same_as(stat)
        return Written(stat, digest if is_ours else None, saved.get("message"))

    async def delete(self, path: str) -> None:
        """Takes the file away, as the contents manager does."""
        await self._call(path, lambda manager: manager.delete(path))

    async def _hash(self, path: str, *, format: str, type: str) -> tuple[str, FileStat]:
        if not self._can_hash:
            read = await self.get(path, format=format, type=type)
            return read.hash, read.stat
        model = await self._call(
            path, lambda manager: manager.get(path, content=False, require_hash=True)
        )
        if model.get("hash") is None:
            read = await self.get(path, format=format, type=type)
            return read.hash, read.stat
        return str(model["hash"]), _stat_of(model)

    # --- where it runs ---

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Runs ``function`` in one of the threads for files."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, partial(function, *args)
        )

    async def _call(self, path: str, action: Callable[[Any], Any]) -> dict[str, Any]:
        """Performs ``action`` on the manager where it is safe and blocks nobody."""
        try:
            if not self._in_thread:
                result = await action(self._manager)
            else:
                result = await self.run(_perform, action, self._copy_for_thread())
        except HTTPError as error:
            raise _domain_error(path, error) from error
        except OSError as error:
            raise InvalidInput(f"{path}: {error.strerror or error}", field="path") from error
        return result if isinstance(result, dict) else {}

    def _copy_for_thread(self) -> Any:
        """A copy made for each call, so that hooks and settings are those of this moment."""
        twin = copy(self._manager)
        target = getattr(self._manager, "event_logger", None)
        if isinstance(target, EventLogger):
            if self._events is None or self._events.target is not target:
                self._events = _EventsToLoop(asyncio.get_running_loop(), target)
            twin.event_logger = self._events
        notary = getattr(self._manager, "notary", None)
        if isinstance(notary, NotebookNotary):
            twin.notary = _notary_for_thread(notary)
        if getattr(type(twin), "atomic_writing", None) is FileManagerMixin.atomic_writing:
            twin.atomic_writing = Replacing(twin)
        return twin

    def close(self) -> None:
        """Waits for what the threads still do. Nothing can be called afterwards."""
        self._threads.shutdown(wait=True)


def _perform(action: Callable[[Any], Any], manager: Any) -> Any:
    result = action(manager)
    if inspect.isawaitable(result):
        return asyncio.run(_await(result))
    return result


async def _await(awaitable: Any) -> Any:
    return await awaitable


def _stat(manager: Any, *, path: str) -> Any:
    return manager.get(path, content=False)


async def _find(manager: Any, *, path: str) -> Any:
    """As ``stat``, but hidden files are not there, as for the contents API."""
    hidden = manager.is_hidden(path)
    if inspect.isawaitable(hidden):
        hidden = await hidden
    if hidden and not getattr(manager, "allow_hidden", False):
        raise HTTPError(404)
    model = manager.get(path, content=False)
    return await model if inspect.isawaitable(model) else model


class _EventsToLoop(EventLogger):
    """Hands the contents manager's events to the loop, whose listeners know no other thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: EventLogger) -> None:
        super().__init__()
        self._loop = loop
        self.target = target

    def emit(
        self, *, schema_id: str, data: dict[str, Any], timestamp_override: Any = None
    ) -> dict[str, Any] | None:
        # "get" would tell of nothing but our own looking, once a second for every open document.
        if data.get("action") != "get":
            self._loop.call_soon_threadsafe(
                partial(
                    self.target.emit,
                    schema_id=schema_id,
                    data=data,
                    timestamp_override=timestamp_override,
                )
            )
        return None


def _notary_for_thread(notary: NotebookNotary) -> NotebookNotary:
    """The same trust as ``notary`` gives, by a database that is opened for each use."""

    def store() -> SignatureStore:
        return _StorePerUse(notary)

    made: NotebookNotary = NotebookNotary(  # type: ignore[no-untyped-call]
        parent=notary.parent,
        db_file=notary.db_file,
        algorithm=notary.algorithm,
        secret_file=notary.secret_file,
        secret=notary.secret,
        store_factory=store,
    )
    return made


class _StorePerUse(SignatureStore):
    """Signatures of ``notary``, from whatever thread."""

    def __init__(self, notary: NotebookNotary) -> None:
        self._notary = notary

    def _use(self, action: Callable[[Any], T]) -> T:
        store: Any = self._notary.store_factory()
        if not isinstance(store, SQLiteSignatureStore):
            return action(self._notary.store)  # in memory: there is only the one
        with contextlib.closing(store):
            return action(store)

    def store_signature(self, digest: str, algorithm: str) -> None:
        self._use(lambda store: store.store_signature(digest, algorithm))

    def check_signature(self, digest: str, algorithm: str) -> bool:
        return bool(self._use(lambda store: store.check_signature(digest, algorithm)))

    def remove_signature(self, digest: str, algorithm: str) -> None:
        self._use(lambda store: store.remove_signature(digest, algorithm))


def _stream_into(manager: Any) -> NotebookWriter | None:
    """Has ``manager``, a copy of ours, write in pieces. None if it writes in a way of its own."""
    own = getattr(type(manager), "_save_notebook", None)
    writer = NotebookWriter(manager)
    if not hasattr(manager, "hash_algorithm"):
        return None
    if own is AsyncFileManagerMixin._save_notebook:
        manager._save_notebook = writer.write_async
    elif own is FileManagerMixin._save_notebook:
        manager._save_notebook = writer.write
    else:
        return None
    return writer


def _manager_type(type: str) -> str:
    """Contents managers know no other types; any other document type is text or bytes."""
    return type if type in {"notebook", "directory"} else "file"


def _stat_of(model: dict[str, Any]) -> FileStat:
    size = model.get("size")
    return FileStat(
        last_modified=model.get("last_modified"),
        size=size if isinstance(size, int) else None,
        writable=bool(model.get("writable", True)),
    )


def _api_path(path: str) -> str:
    """One spelling for each path, so that a file has one id."""
    clean = posixpath.normpath(path.strip("/"))
    return "" if clean == "." else clean


def _inside_root(path: str) -> None:
    """The contents manager checks too; this holds for managers that do not (S5)."""
    if path == ".." or path.startswith(("../", "/")) or "\0" in path:
        raise NotFound(f"There is no file {path!r}.", field="path")


def _domain_error(path: str, error: HTTPError) -> NotebookExecError:
    said = error.log_message or error.reason or str(error)
    if error.status_code == 404:
        return NotFound(f"There is no file {path!r}.", field="path")
    return InvalidInput(f"{path}: {said}", field="path")


def _content_hash(content: Json) -> str:
    """For managers that do not hash: equal for equal contents."""
    encoded = json.dumps(content, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return hashlib.sha256(encoded).hexdigest()


def _accepts(function: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(function).parameters
    return name in parameters or any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()
    )
