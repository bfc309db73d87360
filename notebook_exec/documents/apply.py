"""Merges, planned and carried out in the shared document."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from typing import Any

from jupyter_ydoc import YNotebook
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Array, Map, Text

from notebook_exec.core.model import Json
from notebook_exec.documents.digests import Digest, Digests, same_digests
from notebook_exec.documents.merge import Cell, Plan, Version, plan_merge


@dataclass(frozen=True, slots=True)
class Merge:
    """What taking over a file will do to the document."""

    ours: Json  # what the document held when this was planned
    overruled: bool  # something that someone changed in the document gives way
    apply: Callable[[], None]  # to be called in a transaction


def plan_for(
    ydocument: YBaseDoc,
    base: Digest | None,
    ours: Version,
    theirs: Version,
    running: Container[str],
) -> Merge:
    """Plans to take over ``theirs``; touches no Y, so it may run in a thread.

    ``base``: what document and file last agreed on; None if they never did, and then nobody has
    seen the document. ``running``: cells whose outputs are ours.
    """
    if isinstance(ydocument, YNotebook):
        agreed = base if isinstance(base, Digests) else None
        plan = plan_merge(agreed, ours, theirs, running.__contains__)
        overruled = agreed is not None and bool(plan.overruled)
        return Merge(ours.content, overruled, partial(apply_plan, ydocument, plan))
    if same_digests(ours.digests, theirs.digests) or theirs.digests == base:
        return Merge(ours.content, False, _nothing)
    changed = base is not None and bool(ours.content) and ours.digests != base
    return Merge(ours.content, changed, partial(ydocument.set, theirs.content))


def _nothing() -> None:
    return None


def apply_plan(notebook: YNotebook, plan: Plan) -> None:
    """Changes the notebook in the transaction that is open, as little as the plan allows."""
    ycells = notebook.ycells
    _delete_cells(ycells, set(plan.order))
    for index in range(len(ycells)):
        update = plan.updates.get(str(ycells[index]["id"]))
        if update is None:
            continue
        if update.get("cell_type", ycells[index]["cell_type"]) != ycells[index]["cell_type"]:
            ycells[index] = notebook.create_ycell(_retyped(notebook.get_cell(index), update))
        else:
            _update_cell(ycells[index], update)
    _put_in_order(notebook, plan)
    _update_metadata(notebook, plan)


def _delete_cells(ycells: Array[Any], wanted: set[str]) -> None:
    ids = [str(ycell["id"]) for ycell in ycells]
    for index in reversed(range(len(ids))):
        if ids[index] not in wanted or ids[index] in ids[:index]:
            del ycells[index]


def _put_in_order(notebook: YNotebook, plan: Plan) -> None:
    """A cell that moves is deleted and made again, as Yjs has it; its id says it is the same."""
    ycells = notebook.ycells
    present = [str(ycell["id"]) for ycell in ycells]
    for index, cell_id in enumerate(plan.order):
        if index < len(present) and present[index] == cell_id:
            continue
        state = None
        if cell_id in plan.inserts:
            cell = plan.inserts[cell_id]
        else:
            old = present.index(cell_id, index)
            cell = notebook.get_cell(old)
            state = ycells[old].get("execution_state")
            del ycells[old], present[old]
        ycells.insert(index, notebook.create_ycell(cell))
        if state not in (None, "idle"):
            ycells[index]["execution_state"] = state
        present.insert(index, cell_id)


def _retyped(cell: Cell, update: Cell) -> Cell:
    """``cell`` as another type of cell."""
    made = {**cell, **{k: v for k, v in update.items() if k != "trusted" and v is not None}}
    if made["cell_type"] == "code":
        made.setdefault("outputs", [])
        made.setdefault("execution_count", None)
        made.pop("attachments", None)
    else:
        made.pop("outputs", None)
        made.pop("execution_count", None)
    return made


def _update_cell(ycell: Map[Any], update: Cell) -> None:
    if "source" in update:
        replace_text(ycell["source"], update["source"])
    if "metadata" in update:
        _update_map(ycell["metadata"], update["metadata"], keep="trusted")
        if update.get("attachments"):
            ycell["attachments"] = update["attachments"]
        elif "attachments" in ycell:
            del ycell["attachments"]
    if "outputs" in update and ycell["cell_type"] == "code":
        youtputs: Array[Any] = ycell["outputs"]
        youtputs.clear()
        youtputs.extend([_youtput(output) for output in update["outputs"]])
        ycell["execution_count"] = update["execution_count"]
        # Trust belongs to outputs: those of the file have it only if the file is signed (O18).
        if bool(ycell["metadata"].get("trusted")) != update["trusted"]:
            ycell["metadata"]["trusted"] = update["trusted"]


def _youtput(output: dict[str, Any]) -> Map[Any]:
    if output.get("output_type") == "stream":
        return Map({**output, "text": Text(output["text"])})
    return Map(output)


def replace_text(ytext: Text, new: str) -> None:
    """Edits only what lies between the common beginning and the common end."""
    old = str(ytext)
    if old == new:
        return
    limit = min(len(old), len(new))
    start = 0
    while start < limit and old[start] == new[start]:
        start += 1
    end = 0
    while end < limit - start and old[-1 - end] == new[-1 - end]:
        end += 1
    first = len(old[:start].encode())  # pycrdt counts in UTF-8 bytes
    gone = len(old[start : len(old) - end].encode())
    if gone:
        del ytext[first : first + gone]
    inserted = new[start : len(new) - end]
    if inserted:
        ytext.insert(first, inserted)


def _update_map(ymap: Map[Any], value: dict[str, Any], *, keep: str = "") -> None:
    for key in list(ymap.keys()):
        if key not in value and key != keep:
            del ymap[key]
    for key, item in value.items():
        if key != keep and (key not in ymap or ymap[key] != item):
            ymap[key] = item


def _update_metadata(notebook: YNotebook, plan: Plan) -> None:
    ymetadata = notebook.ydoc.get("meta", type=Map)["metadata"]
    for key, value in plan.metadata.items():
        ymetadata[key] = value
    for key in plan.dropped_metadata:
        if key in ymetadata:
            del ymetadata[key]
