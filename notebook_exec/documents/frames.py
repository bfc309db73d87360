"""What one patch does to one cell of a shared notebook (SPEC O1, O3, O16, O18, Q11)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from pycrdt import Array, Map, Text

from notebook_exec.core.model import (
    UNSET,
    CellPatch,
    ClearOutputs,
    DeleteOutputs,
    InsertOutputs,
    Json,
    Output,
    OutputEdit,
    ReplaceData,
    SpliceText,
    Timing,
)

from .apply import replace_text
from .ymap import peek, put

_TIMING_KEYS = (
    ("iopub.status.busy", "busy"),
    ("iopub.execute_input", "execute_input"),
    ("shell.execute_reply.started", "reply_started"),
    ("shell.execute_reply", "reply"),
    ("iopub.status.idle", "idle"),
)


class Mismatch(Enum):
    """Why edits cannot be applied to the outputs that are there."""

    CLEARED = "cleared"
    FOREIGN = "foreign"


# --- outputs --------------------------------------------------------------------------------


def apply_edits(youtputs: Array[Any], patch: CellPatch, *, is_touched: bool) -> Mismatch | None:
    """Apply the edits of ``patch``, or none of them if they were not made for these outputs.

    ``is_touched``: someone else changed the outputs, so that counts and lengths prove nothing.
    """
    edits = patch.edits
    if not isinstance(edits[0], ClearOutputs):
        count = len(youtputs)
        expected = count if patch.expected_count is None else patch.expected_count
        if count == 0 and expected > 0:
            return Mismatch.CLEARED
        if count != expected or (is_touched and count > 0):
            return Mismatch.FOREIGN
    if not _fits(youtputs, edits):
        return Mismatch.FOREIGN
    for edit in edits:
        _apply_edit(youtputs, edit)
    return None


def _fits(youtputs: Array[Any], edits: Iterable[OutputEdit]) -> bool:
    """Whether every edit finds what it expects, those before it being applied."""
    count = len(youtputs)
    slots: list[int] | None = None  # which output is where; None while none has moved
    lengths: dict[int, int] = {}  # bytes of the texts that edits have changed, by slot
    for edit in edits:
        if isinstance(edit, SpliceText):
            if not 0 <= edit.index < (count if slots is None else len(slots)):
                return False
            slot = edit.index if slots is None else slots[edit.index]
            have = lengths[slot] if slot in lengths else _text_bytes(youtputs[slot])
            if have != edit.expected_bytes or edit.start_bytes + edit.delete_bytes > have:
                return False
            lengths[slot] = have - edit.delete_bytes + len(edit.insert.encode())
        else:
            if slots is None:
                slots = list(range(count))
            if not _moves(slots, lengths, edit):
                return False
    return True


def _moves(slots: list[int], lengths: dict[int, int], edit: OutputEdit) -> bool:
    """Follow an edit in ``slots``; whether it stays within them. New outputs are negative."""
    if isinstance(edit, ClearOutputs):
        slots.clear()
    elif isinstance(edit, InsertOutputs):
        if edit.index > len(slots):
            return False
        first = -1 - len(lengths)
        new = [first - i for i in range(len(edit.outputs))]
        for slot, output in zip(new, edit.outputs, strict=True):
            is_stream = output.get("output_type") == "stream"
            lengths[slot] = len(_text_of(output).encode()) if is_stream else -1
        slots[edit.index : edit.index] = new
    elif isinstance(edit, DeleteOutputs):
        if edit.index + edit.count > len(slots):
            return False
        del slots[edit.index : edit.index + edit.count]
    elif isinstance(edit, ReplaceData):
        return 0 <= edit.index < len(slots)
    return True


def _apply_edit(youtputs: Array[Any], edit: OutputEdit) -> None:
    if isinstance(edit, SpliceText):
        _splice(youtputs[edit.index]["text"], edit)
    elif isinstance(edit, InsertOutputs):
        youtputs[edit.index : edit.index] = [_youtput(output) for output in edit.outputs]
    elif isinstance(edit, ReplaceData):
        youtput = youtputs[edit.index]
        youtput["data"] = edit.data
        youtput["metadata"] = edit.metadata
    elif isinstance(edit, DeleteOutputs):
        del youtputs[edit.index : edit.index + edit.count]
    elif len(youtputs):
        youtputs.clear()


def _splice(text: Text, edit: SpliceText) -> None:
    """The new text goes in after the old one, which then joins what was deleted before it.

    The other way round every redraw of a progress bar would leave a tombstone of its own (O3).
    """
    end_bytes = edit.start_bytes + edit.delete_bytes
    if edit.insert:
        text.insert(end_bytes, edit.insert)
    if edit.delete_bytes:
        del text[edit.start_bytes : end_bytes]


def _youtput(output: Output) -> Map[Any]:
    if output.get("output_type") == "stream":
        return Map({**output, "text": Text(_text_of(output))})
    return Map(output)


def _text_of(output: Output) -> str:
    text = output.get("text", "")
    return text if isinstance(text, str) else "".join(text)


def _text_bytes(youtput: object) -> int:
    text = peek(youtput, "text") if isinstance(youtput, Map) else None
    return len(text) if isinstance(text, Text) else -1


# --- the rest of a cell ---------------------------------------------------------------------


def apply_fields(ycell: Map[Any], patch: CellPatch) -> bool:
    """Apply all of ``patch`` but its edits; whether the source is another one now."""
    if patch.execution_count is not UNSET:
        put(ycell, "execution_count", patch.execution_count)
    if patch.execution_state is not UNSET:
        put(ycell, "execution_state", patch.execution_state)
    if patch.timing is not UNSET or patch.trusted:
        _apply_metadata(ycell, patch)
    if patch.source is UNSET:
        return False
    assert isinstance(patch.source, str)
    source = peek(ycell, "source")
    if not isinstance(source, Text):
        ycell["source"] = Text(patch.source)
        return True
    if str(source) == patch.source:
        return False
    replace_text(source, patch.source)
    return True


def _apply_metadata(ycell: Map[Any], patch: CellPatch) -> None:
    metadata = peek(ycell, "metadata")
    if not isinstance(metadata, Map):  # as other writers of documents leave it
        metadata = Map(metadata if isinstance(metadata, dict) else {})
        ycell["metadata"] = metadata
    if patch.trusted:
        put(metadata, "trusted", True)
    if isinstance(patch.timing, Timing):
        put(metadata, "execution", timing_metadata(patch.timing))
    elif patch.timing is None and "execution" in metadata:
        del metadata["execution"]


def timing_metadata(timing: Timing) -> dict[str, Json]:
    """``metadata.execution`` as the ecosystem's tools expect it (Q11)."""
    values = ((key, getattr(timing, name)) for key, name in _TIMING_KEYS)
    return {key: value for key, value in values if value is not None}


def plain(value: Any) -> Json:
    """What pycrdt returned as JSON has it: its whole floats are the integers that went in."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def plain_outputs(youtputs: Sequence[Any]) -> list[Output]:
    """The outputs as nbformat has them."""
    return [plain(y.to_py() if isinstance(y, Map) else y) for y in youtputs]
