"""From the shared document to what the file holds, without holding up the event loop.

A notebook is converted cell by cell, in slices of a few milliseconds, and a cell only when it
changed since the last time; all that needs no Y (casts, digests, encoding) is left to a thread.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from jupyter_ydoc import YNotebook
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Array, Map

from notebook_exec.core.model import Json
from notebook_exec.documents.digests import CellDigest, Digest, Digests, digest_cell, digest_of

SLICE_S = 0.004
"""How long a conversion may run before the loop gets its turn."""

TRANSIENT_KEYS = frozenset({"execution_state"})
"""Keys of a cell that are never saved (D4)."""

_SAFE = 2.0**53  # beyond, a double is not exact, and 1e300 is no integer to anyone
_BLANK_KERNELSPEC = {"name": "", "display_name": ""}
_BLANK_LANGUAGE = {"name": ""}


class Snapshot(Protocol):
    """What a document held at one moment; used in a thread, never on the loop."""

    def content(self) -> Json:
        """What the contents manager is given."""

    def digests(self) -> Digest:
        """What a later merge needs to know of it."""

    def cell_ids(self) -> list[str]:
        """The ids of its cells, if it has cells; at once, on the loop."""


class Reader(Protocol):
    """Reads one document; keeps what it can reuse."""

    async def read(self) -> Snapshot:
        """What the document holds, read in slices."""

    def read_now(self) -> Snapshot:
        """The same in one go, which may hold up the loop."""

    def forget(self) -> None:
        """Anything may have changed without a word."""

    def close(self) -> None:
        """Stops following the document."""


def reader_of(ydocument: YBaseDoc, on_content: Callable[[], None]) -> Reader:
    """The reader for this type of document.

    ``on_content`` is called in the transaction of any change that a save must hold.
    """
    if isinstance(ydocument, YNotebook):
        return NotebookReader(ydocument, on_content)
    return PlainReader(ydocument, on_content)


# --- notebooks ---


@dataclass(slots=True)
class _Version:
    """One conversion of one cell; shared by all snapshots that hold it."""

    value: dict[str, Any]
    is_cast: bool = False
    digest: CellDigest | None = None


class _Entry:
    """A place in the array of cells, and the version of the cell that was read last."""

    __slots__ = ("stale", "version")

    def __init__(self) -> None:
        self.version: _Version | None = None
        self.stale = True


class NotebookReader:
    """Keeps the converted cells of a notebook in step with the document.

    ``_cells`` mirrors the array of cells: deltas of the array move its entries, deeper events mark
    one entry as stale.
    """

    def __init__(self, notebook: YNotebook, on_content: Callable[[], None]) -> None:
        self._ycells: Array[Any] = notebook.ycells
        self._ymeta = notebook.ydoc.get("meta", type=Map)
        self._on_content = on_content
        self._cells: list[_Entry] = [_Entry() for _ in range(len(self._ycells))]
        self._subscriptions = [
            (self._ycells, self._ycells.observe_deep(self._cells_changed)),
            (self._ymeta, self._ymeta.observe_deep(self._meta_changed)),
        ]

    async def read(self) -> NotebookSnapshot:
        """Converts what changed and returns the whole.

        Each cell is whole, as it was at one moment of the call; the order is that at its end. What
        changes while this runs is announced by ``on_content``, as any change.
        """
        budget = _Budget()
        pending = [(i, entry) for i, entry in enumerate(self._cells) if entry.stale]
        while pending:
            for index, entry in pending:
                self._convert(index, entry)
                await budget.pause()
            # Cells that came meanwhile; ones that changed again keep the version they have by now.
            pending = [(i, entry) for i, entry in enumerate(self._cells) if not entry.version]
        return self._snapshot()

    def read_now(self) -> NotebookSnapshot:
        """The document as it is, in one go."""
        for index, entry in enumerate(self._cells):
            if entry.stale:
                self._convert(index, entry)
        return self._snapshot()

    def forget(self) -> None:
        """See ``Reader``."""
        self._cells = [_Entry() for _ in range(len(self._ycells))]
        self._on_content()

    def _snapshot(self) -> NotebookSnapshot:
        versions = [entry.version for entry in self._cells if entry.version is not None]
        return NotebookSnapshot(versions, cast(dict[str, Any], self._ymeta.to_py()))

    def _convert(self, index: int, entry: _Entry) -> None:
        """Reads the cell of ``entry``, which was at ``index`` when this read began."""
        if index >= len(self._cells) or self._cells[index] is not entry:
            if entry not in self._cells:
                return  # deleted while others were converted
            index = self._cells.index(entry)
        entry.version = _Version(self._ycells[index].to_py())
        entry.stale = False

    def _cells_changed(self, events: Sequence[Any]) -> None:
        is_content = False
        for event in events:
            path = event.path
            if not path:
                self._move_entries(event.delta)
                is_content = True
            elif len(path) > 1 or not TRANSIENT_KEYS.issuperset(event.keys):
                self._cells[path[0]].stale = True
                is_content = True
        if is_content:
            self._on_content()

    def _move_entries(self, delta: Sequence[dict[str, Any]]) -> None:
        position = 0
        for step in delta:
            if "retain" in step:
                position += step["retain"]
            elif "delete" in step:
                del self._cells[position : position + step["delete"]]
            elif "insert" in step:
                count = len(step["insert"])
                self._cells[position:position] = [_Entry() for _ in range(count)]
                position += count

    def _meta_changed(self, _events: Sequence[Any]) -> None:
        self._on_content()

    def close(self) -> None:
        """Stops following the document."""
        for shared, subscription in self._subscriptions:
            shared.unobserve(subscription)
        self._subscriptions = []


class _Budget:
    """Lets the loop go on whenever a slice is used up."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def pause(self) -> None:
        if time.perf_counter() - self._since >= SLICE_S:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


@dataclass(slots=True)
class _Final:
    """What a snapshot is made into, once."""

    content: dict[str, Any]
    digests: Digests


class NotebookSnapshot:
    """A notebook's cells and metadata as read; made into nbformat in a thread."""

    def __init__(self, versions: list[_Version], meta: dict[str, Any]) -> None:
        self._versions = versions
        self._meta = meta
        self._final: _Final | None = None

    def content(self) -> dict[str, Any]:
        """The notebook in nbformat, nothing transient in it. Its cells are not to be changed."""
        return self._finished().content

    def digests(self) -> Digests:
        """The digest of each cell, as it will be in the file."""
        return self._finished().digests

    def cell_ids(self) -> list[str]:
        return [str(version.value.get("id", "")) for version in self._versions]

    def _finished(self) -> _Final:
        if self._final is None:
            self._final = self._finish()
        return self._final

    def _finish(self) -> _Final:
        meta = with_integers(self._meta)
        minor = int(meta.get("nbformat_minor") or 5)
        metadata = dict(meta.get("metadata") or {})
        if metadata.get("kernelspec") == _BLANK_KERNELSPEC:
            del metadata["kernelspec"]
        if metadata.get("language_info") == _BLANK_LANGUAGE:
            del metadata["language_info"]
        digests = Digests({}, {key: digest_of(value) for key, value in metadata.items()})
        cells: dict[str, dict[str, Any]] = {}
        for version in self._versions:
            cell, digest = _finish_version(version)
            cell_id = str(cell.get("id", ""))
            if cell_id in cells:
                if digests.cells[cell_id] == digest:
                    continue  # the same cell twice, as two clients that both inserted it leave it
                cell_id = _other_id(cell_id, cells)
            cells[cell_id] = {**cell, "id": cell_id}
            digests.cells[cell_id] = digest
        listed = list(cells.values())
        if minor < 5:
            for cell in listed:
                del cell["id"]
        content = {
            "cells": listed,
            "metadata": metadata,
            "nbformat": int(meta.get("nbformat") or 4),
            "nbformat_minor": minor,
        }
        return _Final(content, digests)


def _finish_version(version: _Version) -> tuple[dict[str, Any], CellDigest]:
    if not version.is_cast:
        cell = {k: v for k, v in version.value.items() if k not in TRANSIENT_KEYS}
        if cell.get("cell_type") != "code" and not cell.get("attachments"):
            cell.pop("attachments", None)
        version.value = with_integers(cell)
        version.is_cast = True
    if version.digest is None:
        version.digest = digest_cell(version.value)
    return version.value, version.digest


def _other_id(cell_id: str, taken: dict[str, Any]) -> str:
    """An id for a second, different cell with the same id; the same one at each save."""
    number = 1
    while True:
        made = uuid.uuid5(uuid.NAMESPACE_OID, f"{cell_id}:{number}").hex
        if made not in taken:
            return made
        number += 1


def with_integers(value: Any) -> Any:
    """The same value, floats that are whole as integers: JavaScript has no other numbers.

    Lists and dicts are changed in place.
    """
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) <= _SAFE else value
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (float, dict, list)):
                value[key] = with_integers(item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, (float, dict, list)):
                value[index] = with_integers(item)
    return value


# --- everything else ---


class PlainReader:
    """Reads documents that have one value: text, bytes."""

    def __init__(self, ydocument: YBaseDoc, on_content: Callable[[], None]) -> None:
        self._ydocument = ydocument
        self._on_content = on_content
        # Not ydocument.observe: it ends what others observe, and theirs would end ours.
        self._subscriptions = [
            (root, root.observe_deep(self._changed))
            for name, root in list(ydocument.ydoc.items())
            if name != "state"
        ]

    async def read(self) -> PlainSnapshot:
        return self.read_now()

    def read_now(self) -> PlainSnapshot:
        value = self._ydocument.get()
        return PlainSnapshot(bytes(value) if isinstance(value, bytearray) else value)

    def forget(self) -> None:
        self._on_content()

    def _changed(self, _events: Sequence[Any]) -> None:
        self._on_content()

    def close(self) -> None:
        """Stops following the document."""
        for root, subscription in self._subscriptions:
            root.unobserve(subscription)
        self._subscriptions = []


@dataclass(frozen=True, slots=True)
class PlainSnapshot:
    """One value."""

    value: Json

    def content(self) -> Json:
        return self.value

    def digests(self) -> str:
        return digest_of(self.value)

    def cell_ids(self) -> list[str]:
        return []
