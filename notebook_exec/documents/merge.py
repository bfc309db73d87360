"""What becomes of a notebook when its file changed too: a plan, by cell ids (D5). Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from notebook_exec.core.model import Json
from notebook_exec.documents.digests import CellDigest, Digest, Digests

Cell = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """What one side has: a notebook in nbformat with cell ids, or text; and its digests."""

    content: Json
    digests: Digest


class _Side:
    """A notebook on one side, cells by id."""

    def __init__(self, version: Version) -> None:
        assert isinstance(version.digests, Digests)
        self.digests = version.digests
        self.metadata: dict[str, Json] = version.content["metadata"]
        self.cells: dict[str, Cell] = {str(c["id"]): c for c in version.content["cells"]}


@dataclass(slots=True)
class Plan:
    """What has to change in the document.

    ``order``: all cells that stay or come. ``updates``: the parts of a cell that come from the
    file, by their nbformat names. ``overruled``: cells of which the document's version gives way
    to the file's though someone changed it; it has to be kept elsewhere.
    """

    order: list[str] = field(default_factory=list)
    inserts: dict[str, Cell] = field(default_factory=dict)
    updates: dict[str, Cell] = field(default_factory=dict)
    metadata: dict[str, Json] = field(default_factory=dict)
    dropped_metadata: set[str] = field(default_factory=set)
    overruled: set[str] = field(default_factory=set)


def plan_merge(
    base: Digests | None, document: Version, file: Version, is_running: Callable[[str], bool]
) -> Plan:
    """Merges notebooks; ``base`` is what document and file last agreed on.

    What only one side changed is taken; where both did, the file wins. A cell that runs keeps its
    place in the notebook and its outputs. Without ``base`` every difference counts as made by both.
    """
    plan = Plan()
    ours, theirs = _Side(document), _Side(file)
    staying = []
    for cell_id in ours.cells:
        running = is_running(cell_id)
        if cell_id in theirs.cells:
            staying.append(cell_id)
            _plan_cell(plan, base, ours, theirs, cell_id=cell_id, running=running)
        elif running or not _deleted_by_them(plan, base, ours, cell_id):
            staying.append(cell_id)
    for cell_id, cell in theirs.cells.items():
        if cell_id not in ours.cells and not _deleted_by_us(base, theirs, cell_id):
            plan.inserts[cell_id] = cell
    plan.order = _order(base, staying, list(theirs.cells), {*staying, *plan.inserts})
    _plan_metadata(plan, base, ours, theirs)
    return plan


def _plan_cell(
    plan: Plan, base: Digests | None, ours: _Side, theirs: _Side, *, cell_id: str, running: bool
) -> None:
    before = base.cells.get(cell_id) if base is not None else None
    mine, other = ours.digests.cells[cell_id], theirs.digests.cells[cell_id]
    my_cell, cell = ours.cells[cell_id], theirs.cells[cell_id]
    taken: Cell = {}
    if _takes(before, mine, other, "source"):
        taken["source"] = cell["source"]
        if _was_changed(before, mine, "source") and str(my_cell["source"]).strip():
            plan.overruled.add(cell_id)
    if not running and _takes(before, mine, other, "outputs"):
        taken["outputs"] = cell.get("outputs", [])
        taken["execution_count"] = cell.get("execution_count")
        taken["trusted"] = bool(cell["metadata"].get("trusted"))
        if _was_changed(before, mine, "outputs") and my_cell.get("outputs"):
            plan.overruled.add(cell_id)
    if not running and _takes(before, mine, other, "metadata"):
        for key in ("metadata", "attachments", "cell_type"):
            taken[key] = cell.get(key)
    if taken:
        plan.updates[cell_id] = taken


def _takes(before: CellDigest | None, mine: CellDigest, other: CellDigest, part: str) -> bool:
    """Whether the file's part is taken: it differs, and not only because we changed ours."""
    theirs = getattr(other, part)
    changed_by_them = before is None or theirs != getattr(before, part)
    return changed_by_them and bool(theirs != getattr(mine, part))


def _was_changed(before: CellDigest | None, mine: CellDigest, part: str) -> bool:
    return before is None or getattr(before, part) != getattr(mine, part)


def _deleted_by_them(plan: Plan, base: Digests | None, ours: _Side, cell_id: str) -> bool:
    before = base.cells.get(cell_id) if base is not None else None
    if before is None:
        return False  # it is new here
    mine = ours.digests.cells[cell_id]
    if mine.source != before.source or mine.outputs != before.outputs:
        plan.overruled.add(cell_id)
    return True


def _deleted_by_us(base: Digests | None, theirs: _Side, cell_id: str) -> bool:
    before = base.cells.get(cell_id) if base is not None else None
    return before is not None and before == theirs.digests.cells[cell_id]


def _order(
    base: Digests | None, staying: list[str], theirs: list[str], wanted: Container[str]
) -> list[str]:
    """Our order, unless the file has another one than before."""
    known = set(theirs)
    before = [cell_id for cell_id in base.cells if cell_id in known] if base is not None else []
    agreed = set(before)
    same_as_before = base is not None and before == [i for i in theirs if i in agreed]
    merged = _weave(staying, theirs) if same_as_before else _weave(theirs, staying)
    return [cell_id for cell_id in merged if cell_id in wanted]


def _weave(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """``first``, with what only ``second`` has put after its predecessor there."""
    merged = list(first)
    present = set(first)
    previous: str | None = None
    for cell_id in second:
        if cell_id not in present:
            merged.insert(0 if previous is None else merged.index(previous) + 1, cell_id)
            present.add(cell_id)
        previous = cell_id
    return merged


def _plan_metadata(plan: Plan, base: Digests | None, ours: _Side, theirs: _Side) -> None:
    before = base.metadata if base is not None else {}
    mine, other = ours.digests.metadata, theirs.digests.metadata
    for key, value in theirs.metadata.items():
        if mine.get(key) != other[key] and before.get(key) != other[key]:
            plan.metadata[key] = value
    for key in mine:
        if key not in other and before.get(key) == mine[key]:
            plan.dropped_metadata.add(key)
