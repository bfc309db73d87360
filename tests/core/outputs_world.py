"""For the tests of outputs: messages as kernels send them, and cells that edits are applied to."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from notebook_exec.core.model import (
    ClearOutputs,
    DeleteOutputs,
    ExecutionId,
    InsertOutputs,
    KernelMessage,
    Output,
    OutputEdit,
    ReplaceData,
    SpliceText,
)
from notebook_exec.core.outputs import KernelOutputs, OutputEffect

A, B = ExecutionId("a"), ExecutionId("b")


def message(
    msg_type: str, parent: str = A, channel: str = "iopub", **content: Any
) -> KernelMessage:
    return KernelMessage(channel, msg_type, parent, content)


def stream(text: Any, name: Any = "stdout", parent: str = A) -> KernelMessage:
    return message("stream", parent, name=name, text=text)


def display(
    text: Any, display_id: str | None = None, parent: str = A, msg_type: str = "display_data"
) -> KernelMessage:
    transient = {} if display_id is None else {"display_id": display_id}
    data = {"text/plain": text}
    return message(msg_type, parent, data=data, metadata={"m": 1}, transient=transient)


def update(text: Any, display_id: str, parent: str = A) -> KernelMessage:
    return display(text, display_id, parent, "update_display_data")


def clear(*, wait: bool = False, parent: str = A) -> KernelMessage:
    return message("clear_output", parent, wait=wait)


def stream_output(text: str, name: str = "stdout") -> Output:
    return {"output_type": "stream", "name": name, "text": text}


def display_output(text: str) -> Output:
    return {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {"m": 1}}


def apply(outputs: list[Output], edits: Sequence[OutputEdit]) -> None:
    """Apply edits as a document does, and check what they expect."""
    for edit in edits:
        if isinstance(edit, ClearOutputs):
            outputs.clear()
        elif isinstance(edit, InsertOutputs):
            assert edit.outputs, "nothing to insert"
            assert edit.index == len(outputs), "JupyterLab only follows insertions at the end"
            outputs[edit.index : edit.index] = copy.deepcopy(list(edit.outputs))
        elif isinstance(edit, DeleteOutputs):
            assert edit.count > 0
            assert edit.index + edit.count <= len(outputs)
            del outputs[edit.index : edit.index + edit.count]
        elif isinstance(edit, SpliceText):
            text = outputs[edit.index]["text"].encode()
            assert edit.index == len(outputs) - 1, "JupyterLab only follows text of the last output"
            assert len(text) == edit.expected_bytes
            assert edit.start_bytes + edit.delete_bytes == len(text)
            outputs[edit.index]["text"] = (text[: edit.start_bytes] + edit.insert.encode()).decode()
        else:
            assert isinstance(edit, ReplaceData)
            outputs[edit.index].update(data=edit.data, metadata=edit.metadata)


class World:
    """A kernel's outputs and the cells they are written to; every take is checked."""

    def __init__(self, limit_bytes: int = 10 * 2**20) -> None:
        self.outputs = KernelOutputs(limit_bytes=limit_bytes)
        self.cells: dict[ExecutionId, list[Output]] = {A: [], B: []}
        self.outputs.begin(A)
        self.outputs.begin(B)

    def say(self, *messages: KernelMessage) -> list[OutputEffect]:
        return [effect for m in messages for effect in self.outputs.handle(m)]

    def take(self, execution_id: ExecutionId = A) -> list[OutputEdit]:
        cell = self.cells[execution_id]
        expected_count, edits = self.outputs.take(execution_id)
        if expected_count is not None:
            assert expected_count == len(cell)
        else:
            assert not edits or isinstance(edits[0], ClearOutputs)
        apply(cell, edits)
        assert cell == self.outputs.outputs(execution_id)
        assert execution_id not in self.outputs.dirty
        check_valid(cell)
        return edits

    def shows(self, execution_id: ExecutionId = A) -> list[Output]:
        """What the cell has after a take."""
        self.take(execution_id)
        return self.cells[execution_id]


def check_valid(outputs: list[Output]) -> None:
    """What nbformat says (SPEC O7)."""
    cell = new_code_cell()  # type: ignore[no-untyped-call]
    cell["outputs"] = copy.deepcopy(outputs)
    nbformat.validate(new_notebook(cells=[cell]))  # type: ignore[no-untyped-call]
    assert nbformat.from_dict(cell) is not None  # type: ignore[no-untyped-call]
