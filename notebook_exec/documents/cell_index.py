"""Where each cell of a shared notebook is, kept in step with the array of cells (SPEC D10, O10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pycrdt import Array, Map

from notebook_exec.core.model import CellId

from .ymap import peek


def id_of(ycell: object) -> CellId:
    """The cell's id; "" for what is none, as clients may put in anything."""
    if not isinstance(ycell, Map):
        return CellId("")
    cell_id = peek(ycell, "id")
    return CellId(cell_id) if isinstance(cell_id, str) else CellId("")


class CellIndex:
    """The ids of the cells, in order. Finding a cell costs the same in every notebook."""

    def __init__(self, ycells: Array[Any]) -> None:
        with ycells.doc.transaction():
            self._ids = [id_of(ycells[i]) for i in range(len(ycells))]
        self._positions: dict[CellId, int] | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self) -> set[CellId]:
        """The ids of all cells that have one."""
        return {cell_id for cell_id in self._ids if cell_id}

    def position(self, cell_id: CellId) -> int | None:
        """Where the cell is; the first where, by mishap, several have its id."""
        if self._positions is None:
            reverse = range(len(self._ids) - 1, -1, -1)
            self._positions = {self._ids[i]: i for i in reverse if self._ids[i]}
        return self._positions.get(cell_id)

    def id_at(self, position: int) -> CellId:
        """The id of the cell at ``position``."""
        return self._ids[position]

    def insert(self, position: int, cell_id: CellId) -> None:
        """A cell was put in before ``position``."""
        self._ids.insert(position, cell_id)
        self._positions = None

    def rename(self, position: int, cell_id: CellId) -> None:
        """The cell at ``position`` has another id now."""
        self._ids[position] = cell_id
        self._positions = None

    def follow(self, delta: Sequence[dict[str, Any]]) -> tuple[set[CellId], set[CellId]]:
        """Takes over a change of the array; returns the ids that went and those that came."""
        self._positions = None
        gone: set[CellId] = set()
        come: set[CellId] = set()
        position = 0
        for step in delta:
            if "retain" in step:
                position += int(step["retain"])
            elif "delete" in step:
                end = position + int(step["delete"])
                gone.update(self._ids[position:end])
                del self._ids[position:end]
            else:
                ids = [id_of(ycell) for ycell in step["insert"]]
                self._ids[position:position] = ids
                position += len(ids)
                come.update(ids)
        return gone - {""}, come - {""}
