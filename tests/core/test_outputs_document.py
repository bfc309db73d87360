"""Edits of outputs in a real Y document: its size, and what JupyterLab makes of them (O3)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_ydoc import YNotebook
from outputs_world import A, World, clear, display, stream, update
from pycrdt import Array, ArrayEvent, Map, Text, TextEvent

from notebook_exec.core.model import (
    ClearOutputs,
    DeleteOutputs,
    InsertOutputs,
    Output,
    OutputEdit,
    ReplaceData,
    SpliceText,
)


class Document:
    """A notebook of one cell, written to the way the server does."""

    def __init__(self) -> None:
        self.notebook = YNotebook()
        cell = {"cell_type": "code", "id": "c", "source": "", "metadata": {}, "outputs": []}
        self.notebook.set({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
        self.outputs: Array[Any] = self.notebook.ycells[0]["outputs"]
        self.empty_bytes = self.size_bytes()

    def size_bytes(self) -> int:
        return len(self.notebook.ydoc.get_update())

    def apply(self, edits: list[OutputEdit]) -> None:
        # Without an origin, YNotebook's undo manager would keep all that is deleted.
        with self.notebook.ydoc.transaction(origin="server"):
            for edit in edits:
                self._apply(edit)

    def _apply(self, edit: OutputEdit) -> None:
        if isinstance(edit, ClearOutputs):
            self.outputs.clear()
        elif isinstance(edit, DeleteOutputs):
            del self.outputs[edit.index : edit.index + edit.count]
        elif isinstance(edit, InsertOutputs):
            for output in edit.outputs:
                made = dict(output)
                if output["output_type"] == "stream":
                    made["text"] = Text(output["text"])
                self.outputs.append(Map(made))
        elif isinstance(edit, SpliceText):
            text = self.outputs[edit.index]["text"]
            # The new text behind the old: so it comes as "delete, insert" at the other clients.
            text.insert(edit.start_bytes + edit.delete_bytes, edit.insert)
            if edit.delete_bytes:
                del text[edit.start_bytes : edit.start_bytes + edit.delete_bytes]
        else:
            assert isinstance(edit, ReplaceData)
            self.outputs[edit.index]["data"] = edit.data

    def shown(self) -> list[Output]:
        outputs: list[Output] = self.outputs.to_py() or []
        return outputs


class JupyterLabView:
    """A cell's outputs in the browser: what JupyterLab 4 does with the changes of a document.

    Of text it knows what is deleted and inserted, not where; inserted outputs it adds at the end,
    joined with the last one if that is a stream and the stream added last had the same name.
    """

    def __init__(self, document: Document) -> None:
        self.outputs: list[Output] = []
        self.last_stream = ""
        document.outputs.observe_deep(self._changed)

    def _changed(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, TextEvent):
                self._text(event.delta)
                break  # it looks at one only
        for event in events:
            if isinstance(event, ArrayEvent):
                self._list(event.delta)

    def _text(self, delta: list[dict[str, Any]]) -> None:
        for part in delta:
            text: str = self.outputs[-1]["text"]
            if "delete" in part:
                self.outputs[-1]["text"] = text.encode()[: -part["delete"]].decode()
            if "insert" in part:
                self.outputs[-1]["text"] = text + part["insert"]

    def _list(self, delta: list[dict[str, Any]]) -> None:
        index = 0
        for part in delta:
            index += part.get("retain", 0)
            if "delete" in part:
                del self.outputs[index : index + part["delete"]]
            for output in part.get("insert", ()):
                self._add(output.to_py())

    def _add(self, output: Output) -> None:
        if output["output_type"] == "stream":
            if output["name"] == self.last_stream and self.outputs:
                self.outputs[-1]["text"] += output["text"]  # KeyError: as it fails there
                return
            self.last_stream = output["name"]
        else:
            self.last_stream = ""
        self.outputs.append(output)


def bars(count: int) -> Iterator[str]:
    for i in range(count):
        done = i * 10 // count
        yield f"\r{i * 100 // count:3}%|{'█' * done:10}| {i}/{count} [00:{i % 60:02}, {i % 97}it/s]"


@pytest.mark.parametrize("every", [1, 100])
def test_o3_5000_tqdm_updates_are_small(every: int) -> None:
    """O3: 5,000 updates leave at most 2 kB, also if each of them was a frame."""
    world, document = World(), Document()
    for i, bar in enumerate(bars(5_000)):
        world.say(stream(bar, "stderr"))
        if i % every == 0:
            document.apply(world.take())
    document.apply(world.take())
    assert document.shown() == world.cells[A]
    assert document.size_bytes() - document.empty_bytes <= 2_000


def test_o4_animation_is_small() -> None:
    """O4: of a frame of an animation that is over, what Yjs keeps of two deleted maps is left."""
    world, document = World(), Document()
    for i in range(1_000):
        world.say(clear(wait=True), stream(f"frame {i}\n"), display(f"picture {i}"))
        document.apply(world.take())
    assert document.shown() == world.cells[A]
    assert document.size_bytes() - document.empty_bytes <= 1_000 * 30 + 500


def test_o5_updates_are_small() -> None:
    """O5: of an update of a display, what Yjs keeps of one or two deleted maps is left."""
    world, document = World(), Document()
    world.say(display("0", "d"))
    for i in range(1_000):
        if i == 500:
            world.say(stream("text behind it\n"))
        world.say(update(f"{i}", "d"))
        document.apply(world.take())
    assert document.shown() == world.cells[A]
    assert document.size_bytes() - document.empty_bytes <= 1_000 * 30 + 500


def test_o15_a_runaway_cell_is_small() -> None:
    """O15, O3: what was cut away leaves nothing in the document."""
    world, document = World(100_000), Document()
    for i in range(100_000):
        world.say(stream(f"line {i}\n"))
        if i % 100 == 0:
            document.apply(world.take())
    document.apply(world.take())
    assert document.shown() == world.cells[A]
    assert document.size_bytes() - document.empty_bytes <= 110_000


@pytest.mark.parametrize("limit_bytes", [10 * 2**20, 300])
@pytest.mark.parametrize("seed", range(100))
def test_u5_jupyterlab_shows_what_is_there(seed: int, limit_bytes: int) -> None:
    """O1-O15, U5: an open page shows the same as one that opens the document afterwards.

    Except for displays updated where they are, which it needs help with.
    """
    rng = random.Random(seed)
    world, document = World(limit_bytes), Document()
    view = JupyterLabView(document)
    said = [
        *(
            stream(text, name)
            for text in ("a", "é\n", "\rb█", "cc\b")
            for name in ("stdout", "stderr")
        ),
        display("1", "d"),
        display("2"),
        update("3", "d"),
        clear(),
        clear(wait=True),
    ]
    for _ in range(60):
        world.say(*rng.choices(said, k=rng.randrange(6)))
        edits = world.take()
        document.apply(edits)
        assert document.shown() == world.cells[A]
        if any(isinstance(edit, ReplaceData) for edit in edits):
            for shown, output in zip(view.outputs, world.cells[A], strict=True):
                shown.update(output)
        assert view.outputs == world.cells[A]
