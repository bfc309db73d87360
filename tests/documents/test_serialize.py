"""From the shared document to nbformat: complete, cell by cell, and only what changed."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import nbformat
import pytest
from jupyter_ydoc import YNotebook, ydocs
from pycrdt import Array, Doc, Map, Text

from notebook_exec.documents import serialize
from notebook_exec.documents.digests import Digests, digests_of, same_digests
from notebook_exec.documents.load import fill
from notebook_exec.documents.serialize import NotebookReader, reader_of


def a_notebook(*sources: str) -> YNotebook:
    made = YNotebook(Doc())
    made.set(
        {
            "cells": [code(f"c{i}", source) for i, source in enumerate(sources)],
            "metadata": {
                "kernelspec": {"name": "k", "display_name": "K"},
                "language_info": {"name": "python"},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )
    return made


def code(cell_id: str, source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": cell_id,
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": list(outputs),
        "execution_count": None,
    }


def grow(ytext: Text, more: str) -> None:
    ytext += more


def nothing() -> None:
    return None


async def test_it_is_what_jupyter_ydoc_gives() -> None:
    notebook = a_notebook("1", "2")
    notebook.append_cell(code("c2", "3", {"output_type": "stream", "name": "stdout", "text": "x"}))
    notebook.append_cell(
        {"id": "m", "cell_type": "markdown", "source": "*", "metadata": {}, "attachments": {}}
    )
    content = (await NotebookReader(notebook, nothing).read()).content()
    assert content["cells"] == notebook.get()["cells"]
    nbformat.validate(content)


async def test_nothing_transient_is_in_it() -> None:
    """D4, P4: neither states, nor the map of executions, nor prompts."""
    notebook = a_notebook("input()")
    notebook.ycells[0]["execution_state"] = "running"
    entries = notebook.ydoc.get("execution", type=Map)
    entries["c0"] = {"state": "waiting_input", "prompt": {"prompt": "who?", "password": False}}
    text = json.dumps((await NotebookReader(notebook, nothing).read()).content())
    for word in ("execution_state", "running", "waiting_input", "who?"):
        assert word not in text


async def test_a_state_alone_is_no_unsaved_change() -> None:
    notebook = a_notebook("1")
    calls: list[int] = []
    NotebookReader(notebook, lambda: calls.append(1))
    notebook.ycells[0]["execution_state"] = "running"
    notebook.dirty = True
    assert calls == []
    notebook.ycells[0]["execution_count"] = 1
    assert calls == [1]


async def test_only_what_changed_is_converted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: the cost of a save follows the change, not the notebook."""
    notebook = a_notebook(*map(str, range(50)))
    reader = NotebookReader(notebook, nothing)
    await reader.read()
    converted: list[str] = []
    to_py = Map.to_py

    def counting(self: Map[Any]) -> Any:
        value = to_py(self)
        if value is not None and "cell_type" in value:
            converted.append(value["id"])
        return value

    monkeypatch.setattr(Map, "to_py", counting)
    grow(notebook.ycells[7]["source"], " changed")
    notebook.ycells[9]["outputs"].append(Map({"output_type": "stream", "text": Text("x")}))
    content = (await reader.read()).content()
    assert converted == ["c7", "c9"]
    assert content["cells"][7]["source"] == "7 changed"
    assert content["cells"][9]["outputs"] == [{"output_type": "stream", "text": "x"}]


async def test_the_loop_gets_its_turn_between_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: whatever the number of cells, a slice ends after the cell that used it up."""
    monkeypatch.setattr(serialize, "SLICE_S", 0.0)
    reader = NotebookReader(a_notebook(*map(str, range(100))), nothing)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count())
    await reader.read()
    counter.cancel()
    assert turns >= 100


async def test_cells_that_move_or_come_while_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """O10: what the save holds is the order at its end, each cell whole."""
    monkeypatch.setattr(serialize, "SLICE_S", 0.0)
    notebook = a_notebook("0", "1", "2", "3")
    reader = NotebookReader(notebook, nothing)
    reading = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with notebook.ydoc.transaction():
        del notebook.ycells[3]
        notebook.ycells.insert(0, notebook.create_ycell(code("c3", "3 moved")))
        notebook.ycells.insert(1, notebook.create_ycell(code("new", "new")))
        del notebook.ycells[2]
    content = (await reading).content()
    assert content == {**notebook.get()}
    assert [cell["id"] for cell in content["cells"]] == ["c3", "new", "c1", "c2"]


async def test_a_cell_that_never_rests_does_not_stop_the_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D3: endless output starves no save."""
    monkeypatch.setattr(serialize, "SLICE_S", 0.0)
    notebook = a_notebook("0", "1", "2")
    reader = NotebookReader(notebook, nothing)

    async def write() -> None:
        while True:
            grow(notebook.ycells[0]["source"], "x")
            await asyncio.sleep(0)

    writer = asyncio.create_task(write())
    for _ in range(20):
        await asyncio.wait_for(reader.read(), 10)
    writer.cancel()


@pytest.mark.parametrize("seed", range(30))
async def test_after_any_edits_it_is_the_document(seed: int) -> None:
    notebook = a_notebook("a", "b", "c")
    reader = NotebookReader(notebook, nothing)
    rng = random.Random(seed)
    for number in range(40):
        with notebook.ydoc.transaction():
            for _ in range(rng.randint(1, 4)):
                edit(notebook, rng, f"n{number}-{rng.random()}")
        if rng.random() < 0.4:
            assert (await reader.read()).content()["cells"] == notebook.get()["cells"]
    assert (await reader.read()).content() == notebook.get()


def edit(notebook: YNotebook, rng: random.Random, new_id: str) -> None:
    cells = notebook.ycells
    what = rng.randrange(7)
    index = rng.randrange(len(cells)) if len(cells) else 0
    if what == 0 or len(cells) == 0:
        cells.insert(index, notebook.create_ycell(code(new_id, new_id)))
    elif what == 1:
        del cells[index]
    elif what == 2:
        moved = notebook.get_cell(index)
        del cells[index]
        cells.insert(rng.randint(0, len(cells)), notebook.create_ycell(moved))
    elif what == 3:
        grow(cells[index]["source"], "é")
    elif what == 4:
        cells[index]["outputs"].append(Map({"output_type": "stream", "text": Text("t")}))
    elif what == 5:
        cells[index]["metadata"]["tags"] = [new_id]
    elif len(cells[index]["outputs"]):
        grow(cells[index]["outputs"][0]["text"], "more")
        cells[index]["execution_state"] = "running"


async def test_numbers_of_javascript_become_integers_where_they_are() -> None:
    notebook = a_notebook("1")
    notebook.ycells[0]["execution_count"] = 3.0
    notebook.ycells[0]["outputs"] = Array([Map({"data": {"x": [1.0, 1.5, 1e300, float("nan")]}})])
    cell = (await NotebookReader(notebook, nothing).read()).content()["cells"][0]
    assert repr(cell["execution_count"]) == "3"
    assert repr(cell["outputs"][0]["data"]["x"]) == "[1, 1.5, 1e+300, nan]"


async def test_two_cells_with_one_id_become_valid() -> None:
    """D4: the same cell inserted by two clients is one; two different ones are both kept."""
    notebook = a_notebook("1", "2")
    notebook.append_cell(code("c0", "1"))
    notebook.append_cell(code("c1", "other"))
    reader = NotebookReader(notebook, nothing)
    content = (await reader.read()).content()
    nbformat.validate(content)
    assert [cell["source"] for cell in content["cells"]] == ["1", "2", "other"]
    assert (await reader.read()).content() == content


async def test_what_jupyter_ydoc_puts_in_for_its_front_ends_is_not_saved() -> None:
    notebook = a_notebook("1")
    metadata = notebook.ydoc.get("meta", type=Map)["metadata"]
    metadata["kernelspec"] = {"name": "", "display_name": ""}
    metadata["language_info"] = {"name": ""}
    assert (await NotebookReader(notebook, nothing).read()).content()["metadata"] == {}


async def test_digests_tell_what_differs_and_survive_json() -> None:
    notebook = a_notebook("1", "2")
    reader = NotebookReader(notebook, nothing)
    snapshot = await reader.read()
    before = snapshot.digests()
    assert same_digests(before, digests_of(snapshot.content()))
    assert same_digests(Digests.from_json(json.loads(json.dumps(before.to_json()))), before)
    notebook.ycells[1]["metadata"]["trusted"] = True
    assert same_digests((await reader.read()).digests(), before)
    grow(notebook.ycells[1]["source"], "!")
    after = (await reader.read()).digests()
    changed = [key for key in after.cells if after.cells[key] != before.cells[key]]
    assert changed == ["c1"]
    assert after.cells["c1"].outputs == before.cells["c1"].outputs


async def test_texts_and_bytes_are_read_whole() -> None:
    """D1: every registered type."""
    for name, value in {"file": "é\n", "unicode": "x", "blob": b"\0\xff"}.items():
        ydocument = ydocs[name](Doc())
        calls: list[int] = []
        reader = reader_of(ydocument, lambda calls=calls: calls.append(1))  # type: ignore[misc]
        ydocument.observe(lambda target, event: None)  # as other extensions do
        ydocument.set(value)
        ydocument.dirty = True
        assert (await reader.read()).content() == value
        assert calls == [1]
        reader.close()


async def test_loading_gives_the_loop_its_turn_after_each_cell() -> None:
    """D10: a big notebook comes in as many small updates as it has cells."""
    content = a_notebook(*map(str, range(100))).get()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count())
    loaded = YNotebook(Doc())
    await fill("notebook", content, 1, loaded.ydoc.apply_update)
    counter.cancel()
    assert turns >= 100
    assert loaded.get() == content
