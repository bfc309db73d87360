"""A notebook in a room: its cells by id, and the frames that the server writes (SPEC O, S2, A8)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeGuard
from uuid import uuid4

from jupyter_ydoc import YNotebook
from pycrdt import Array, Map, MapEvent, Subscription

from notebook_exec.core.model import (
    CellId,
    CellPatch,
    Frame,
    FrameResult,
    InsertCell,
    Json,
    Output,
)

from . import leftovers
from .cell_index import CellIndex, id_of
from .frames import Mismatch, apply_edits, apply_fields, plain, plain_outputs
from .projection import Projection
from .room import Room
from .ymap import peek

log = logging.getLogger(__name__)

_SOURCE_KEYS = frozenset({"id", "cell_type", "source"})


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell as it is now."""

    id: CellId
    cell_type: str
    source: str
    tags: tuple[str, ...]


class LiveNotebook:
    """A notebook in a room. No Y object of a cell is held from one call to the next (O10)."""

    def __init__(self, room: Room) -> None:
        assert isinstance(room.ydocument, YNotebook)
        self.on_cells_deleted: Callable[[set[CellId]], None] | None = None
        """Called soon after cells are gone; one that only moved is not gone."""
        self.on_cells_placed: Callable[[set[CellId]], None] | None = None
        """Called soon after a client put cells in, new ones or such that it moved."""
        self._room = room
        self._ynotebook = room.ydocument
        self._ycells: Array[Any] = room.ydocument.ycells
        self._ymeta: Map[Any] = room.doc.get("meta", type=Map)
        self._execution: Map[Any] = room.doc.get("execution", type=Map)
        self._index = CellIndex(self._ycells)
        self._projection = Projection(self._execution)
        self._epoch = uuid4().hex[:12]
        self._edits = 0
        self._is_writing = False
        self._touched: set[CellId] = set()  # cells whose outputs someone else changed
        self._gone: set[CellId] = set()
        self._placed: set[CellId] = set()
        self._settling: asyncio.Handle | None = None
        room.around_leftovers = self._keeping_outputs
        room.on_unseen.append(self._look_at_all)
        self._subscriptions: list[tuple[Map[Any] | Array[Any], Subscription]] = [
            (self._ycells, self._ycells.observe_deep(self._on_cells)),
            (self._execution, self._execution.observe(self._on_entries)),
        ]

    # --- reading ---

    @property
    def revision(self) -> str:
        """Another one after each edit of sources or of the list of cells, whoever made it (A8)."""
        return f"{self._epoch}-{self._edits}"

    def kernel_name(self) -> str | None:
        """The kernelspec that the notebook's metadata name; None if they name none."""
        metadata = (self._ymeta.to_py() or {}).get("metadata") or {}
        kernelspec = metadata.get("kernelspec")
        name = kernelspec.get("name") if isinstance(kernelspec, dict) else None
        return name if isinstance(name, str) and name else None

    def cell(self, cell_id: CellId) -> CellView | None:
        """The cell, or None if there is none of that id."""
        with self._room.doc.transaction():
            ycell = self._find(cell_id)
            return None if ycell is None else _view(cell_id, ycell)

    def cells(self) -> list[dict[str, Json]]:
        """All cells in order, outputs and all, as nbformat has them."""
        with self._room.doc.transaction():
            ycells = [self._ycells[i] for i in range(len(self._ycells))]
            cells = [plain(ycell.to_py()) for ycell in ycells if isinstance(ycell, Map)]
        for cell in cells:
            cell.pop("execution_state", None)
        return cells

    def code_cells(self) -> list[CellId]:
        """The ids of all code cells, in order."""
        with self._room.doc.transaction():
            ycells = [self._ycells[i] for i in range(len(self._ycells))]
            ids = [id_of(ycell) for ycell in ycells if _is_code(ycell)]
        return [cell_id for cell_id in dict.fromkeys(ids) if cell_id]

    def outputs(self, cell_id: CellId) -> list[Output] | None:
        """The outputs of a code cell, as nbformat has them; None if there is none of that id."""
        with self._room.doc.transaction():
            ycell = self._find(cell_id)
            youtputs = peek(ycell, "outputs") if _is_code(ycell) else None
            return plain_outputs(list(youtputs)) if isinstance(youtputs, Array) else None

    def _find(self, cell_id: CellId) -> Map[Any] | None:
        position = self._index.position(cell_id)
        if position is None:
            return None
        try:
            ycell = self._ycells[position]
        except IndexError:  # the index is told of what is gone when the transaction is over
            return None
        return ycell if isinstance(ycell, Map) else None

    # --- writing ---

    def apply(
        self,
        frame: Frame,
        alongside: Sequence[object] = (),
        then: Callable[[bool], None] | None = None,
    ) -> FrameResult:
        """Write a frame in one transaction; ``alongside`` is committed with it, then ``then``.

        Insertions come first, so that a frame can write into what it inserts.
        """
        missing: set[CellId] = set()
        refused: dict[CellId, Mismatch] = {}
        with self._writing(alongside, then):
            for insert in frame.inserts:
                self._insert(insert)
            for cell_id, patch in frame.cells.items():
                if isinstance(patch.execution_state, str):
                    self._projection.note_state(cell_id, patch.execution_state)
                ycell = self._find(cell_id)
                if not _is_code(ycell):
                    missing.add(cell_id)
                    continue
                mismatch = self._patch(cell_id, ycell, patch)
                if mismatch is not None:
                    refused[cell_id] = mismatch
            for cell_id, entry in frame.entries.items():
                self._projection.write_entry(cell_id, entry)
        return FrameResult(
            frozenset(missing),
            frozenset(c for c, mismatch in refused.items() if mismatch is Mismatch.CLEARED),
            frozenset(c for c, mismatch in refused.items() if mismatch is Mismatch.FOREIGN),
        )

    def reset_projection(
        self,
        entries: Mapping[CellId, Mapping[str, Json]],
        running: Collection[CellId] = (),
    ) -> None:
        """Show ``entries`` and no others, and as busy just the ``running`` cells (P4, R6)."""
        with self._writing():
            self._projection.reset(entries, running)
            for position in range(len(self._ycells)):
                ycell = self._ycells[position]
                if isinstance(ycell, Map):
                    self._projection.put_state(id_of(ycell), ycell)

    @contextmanager
    def _writing(
        self, alongside: Sequence[object] = (), then: Callable[[bool], None] | None = None
    ) -> Iterator[None]:
        self._is_writing = True
        try:
            with self._room.transact(alongside, then):
                yield
        finally:
            self._is_writing = False

    def _patch(self, cell_id: CellId, ycell: Map[Any], patch: CellPatch) -> Mismatch | None:
        mismatch = None
        if patch.edits:
            youtputs = _outputs_of(ycell)
            is_touched = cell_id in self._touched
            mismatch = apply_edits(youtputs, patch, is_touched=is_touched)
            if mismatch is not Mismatch.FOREIGN:
                self._touched.discard(cell_id)
        if apply_fields(ycell, patch):
            self._edits += 1
        return mismatch

    def _insert(self, insert: InsertCell) -> None:
        count = len(self._ycells)
        position = insert.index
        if position is None:
            after = None if insert.after is None else self._index.position(insert.after)
            position = count if after is None else after + 1
        position = max(0, min(position, count))
        cell = {
            "id": str(uuid4()),
            "cell_type": "code",
            "source": "",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            **insert.cell,
        }
        self._ycells.insert(position, self._ynotebook.create_ycell(cell))
        self._index.insert(position, CellId(cell["id"]))
        self._edits += 1

    # --- what others write ---

    @contextmanager
    def _keeping_outputs(self) -> Iterator[None]:
        """A page hands in what another server wrote: outputs stay as they are here (R2, R7)."""
        before = leftovers.outputs_of(self._ycells, id_of)
        yield
        after = leftovers.outputs_of(self._ycells, id_of)
        changed = [c for c, outputs in before.items() if after.get(c, outputs) != outputs]
        if not changed:
            return
        log.warning("a page brought back what was not stored; it is taken out of %s", changed)
        with self._writing():
            for cell_id in changed:
                ycell = self._find(cell_id)
                if ycell is not None:
                    leftovers.put_back(_outputs_of(ycell), before[cell_id])
                    self._touched.discard(cell_id)

    def _on_cells(self, events: list[Any]) -> None:
        if self._is_writing:
            return
        for event in events:
            if not event.path:
                self._on_structure(event.delta)
        for event in events:
            path = event.path
            if len(path) == 1:
                self._on_cell(path[0], event)
            elif path and path[1] == "source":
                self._edits += 1
            elif path and path[1] == "outputs":
                self._touched.add(self._index.id_at(path[0]))
        self._settle_soon()

    def _look_at_all(self) -> None:
        """Something changed, and nobody can say what."""
        before = self._index.ids()
        self._index = CellIndex(self._ycells)
        ids = self._index.ids()
        self._edits += 1
        self._gone |= before - ids
        self._placed |= ids - before
        self._touched |= ids
        for cell_id in ids:
            self._projection.suspect_cell(cell_id)
        self._projection.suspect_all_entries()
        self._settle_soon()

    def _on_structure(self, delta: list[dict[str, Any]]) -> None:
        gone, come = self._index.follow(delta)
        self._edits += 1
        self._gone |= gone
        self._touched |= come
        self._placed |= come
        for cell_id in come:
            self._projection.suspect_cell(cell_id)
        for cell_id in gone:
            self._on_another_first(cell_id)

    def _on_another_first(self, cell_id: CellId) -> None:
        """Of several cells with one id the first is written; if it went, the next is not as it was.

        Two pages that move a cell at the same time make two of it.
        """
        if self._index.position(cell_id) is not None:
            self._touched.add(cell_id)
            self._projection.suspect_cell(cell_id)

    def _on_cell(self, position: int, event: MapEvent) -> None:
        keys = event.keys  # type: ignore[attr-defined]
        if "id" in keys:
            old_id = self._index.id_at(position)
            self._gone.add(old_id)
            self._index.rename(position, id_of(event.target))  # type: ignore[attr-defined]
            self._on_another_first(old_id)
        cell_id = self._index.id_at(position)
        if not _SOURCE_KEYS.isdisjoint(keys):
            self._edits += 1
        if "outputs" in keys or "id" in keys:
            self._touched.add(cell_id)
        if "execution_state" in keys or "id" in keys:
            self._projection.suspect_cell(cell_id)

    def _on_entries(self, event: MapEvent) -> None:
        if not self._is_writing:
            self._projection.suspect_entries(event)
            self._settle_soon()

    def _settle_soon(self) -> None:
        """Nothing may be written in an observer, so the rest follows at once after it."""
        news = self._gone or self._placed or self._projection.has_suspects()
        if self._settling is None and news:
            self._settling = asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        self._settling = None
        if self._room.is_closed:
            return
        if self._projection.has_suspects():
            with self._writing():
                self._projection.put_back(self._find)
        gone = {cell_id for cell_id in self._gone if self._index.position(cell_id) is None}
        self._gone.clear()
        gone.discard(CellId(""))
        if gone and self.on_cells_deleted is not None:
            self.on_cells_deleted(gone)
        placed, self._placed = self._placed, set()
        if placed and self.on_cells_placed is not None:
            self.on_cells_placed(placed)


def _is_code(ycell: object) -> TypeGuard[Map[Any]]:
    return isinstance(ycell, Map) and peek(ycell, "cell_type") == "code"


def _outputs_of(ycell: Map[Any]) -> Array[Any]:
    """The outputs; made if another writer of documents left none."""
    youtputs = peek(ycell, "outputs")
    if not isinstance(youtputs, Array):
        youtputs = ycell["outputs"] = Array()
    return youtputs


def _view(cell_id: CellId, ycell: Map[Any]) -> CellView:
    metadata = peek(ycell, "metadata")
    if isinstance(metadata, Map):
        tags = peek(metadata, "tags")
    else:  # as other writers of documents leave it
        tags = metadata.get("tags") if isinstance(metadata, dict) else None
    if isinstance(tags, Array):
        tags = tags.to_py()
    return CellView(
        cell_id,
        str(peek(ycell, "cell_type")),
        str(peek(ycell, "source", "")),
        tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
    )
