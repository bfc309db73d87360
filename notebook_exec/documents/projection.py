"""What the server says of its executions in a document, and that nobody else can say it (SPEC S2).

The root map ``execution`` and the cells' ``execution_state`` show the server's state to everyone.
The server never reads them to learn something; it compares them with what it wrote last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from pycrdt import Map
from pycrdt import MapEvent as YMapEvent

from notebook_exec.core.model import CellId, Json

from .ymap import peek, put

IDLE = "idle"
RUNNING = "running"


class Projection:
    """The truth, and what of the document has to be compared with it."""

    def __init__(self, execution: Map[Any]) -> None:
        self._execution = execution
        self._entries: dict[str, dict[str, Json]] = {}
        self._running: set[CellId] = set()
        self._suspect_entries: set[str] = set()
        self._suspect_cells: set[CellId] = set()

    # --- what the server says ---

    def write_entry(self, cell_id: CellId, entry: Mapping[str, Json] | None) -> None:
        """Say ``entry`` of a cell, or nothing any more. In a transaction."""
        if entry is None:
            self._entries.pop(cell_id, None)
        else:
            self._entries[cell_id] = dict(entry)
        self._put_entry(cell_id)

    def note_state(self, cell_id: CellId, state: str) -> None:
        """The server says that the cell is in ``state``."""
        if state == IDLE:
            self._running.discard(cell_id)
        else:
            self._running.add(cell_id)

    def reset(
        self, entries: Mapping[CellId, Mapping[str, Json]], running: Collection[CellId]
    ) -> None:
        """Say just this, whatever was said before. In a transaction."""
        self._entries = {cell_id: dict(entry) for cell_id, entry in entries.items()}
        self._running = set(running)
        for key in {*self._execution.keys(), *self._entries}:
            self._put_entry(key)

    # --- what others made of it ---

    def suspect_entries(self, event: YMapEvent) -> None:
        """A client changed the root map."""
        self._suspect_entries.update(event.keys)  # type: ignore[attr-defined]

    def suspect_all_entries(self) -> None:
        """A client may have changed anything in the root map."""
        self._suspect_entries.update(self._execution.keys(), self._entries)

    def suspect_cell(self, cell_id: CellId) -> None:
        """A client may have changed the cell's state."""
        self._suspect_cells.add(cell_id)

    def has_suspects(self) -> bool:
        """Whether there is something to compare."""
        return bool(self._suspect_entries or self._suspect_cells)

    def put_back(self, find: Callable[[CellId], Map[Any] | None]) -> None:
        """Write the truth wherever it was changed. In a transaction."""
        entries, self._suspect_entries = self._suspect_entries, set()
        cells, self._suspect_cells = self._suspect_cells, set()
        for key in entries:
            self._put_entry(key)
        for cell_id in cells:
            ycell = find(cell_id)
            if ycell is not None:
                self.put_state(cell_id, ycell)

    def _put_entry(self, key: str) -> None:
        wanted = self._entries.get(key)
        if wanted is None:
            if key in self._execution:
                del self._execution[key]
        else:
            put(self._execution, key, wanted)

    def put_state(self, cell_id: CellId, ycell: Map[Any]) -> None:
        """Write the state of one cell, if it shows another. In a transaction."""
        wanted = RUNNING if cell_id in self._running else IDLE
        if peek(ycell, "execution_state", IDLE) != wanted:
            ycell["execution_state"] = wanted
