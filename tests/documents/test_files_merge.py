"""What becomes of document and file when both changed: rules of D5 as a pure plan."""

from __future__ import annotations

import random
from typing import Any

import pytest
from jupyter_ydoc import YNotebook
from pycrdt import Doc

from notebook_exec.documents.apply import apply_plan, replace_text
from notebook_exec.documents.digests import Digests, digests_of
from notebook_exec.documents.merge import Plan, Version, plan_merge

Cell = dict[str, Any]


def code(cell_id: str, source: str, *outputs: Cell, count: int | None = None) -> Cell:
    return {
        "id": cell_id,
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": list(outputs),
        "execution_count": count,
    }


def text(value: str) -> Cell:
    return {"output_type": "stream", "name": "stdout", "text": value}


def version(*cells: Cell, **metadata: Any) -> Version:
    content = {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return Version(content, digests_of(content))


def merge(
    base: Version | None, ours: Version, theirs: Version, running: set[str] | None = None
) -> tuple[Plan, dict[str, Any]]:
    """The plan, and the notebook after it."""
    digests = base.digests if base is not None else None
    assert digests is None or isinstance(digests, Digests)
    plan = plan_merge(digests, ours, theirs, (running or set()).__contains__)
    notebook = YNotebook(Doc())
    metadata = {"kernelspec": {}, "language_info": {}, **ours.content["metadata"]}
    notebook.set({**ours.content, "metadata": metadata})
    with notebook.ydoc.transaction():
        apply_plan(notebook, plan)
    return plan, notebook.get()


def sources(content: dict[str, Any]) -> dict[str, str]:
    return {cell["id"]: cell["source"] for cell in content["cells"]}


def test_each_side_keeps_what_only_it_changed() -> None:
    """D5: unsaved edits and the file are merged by cell id."""
    base = version(code("a", "1"), code("b", "2"), code("c", "3"))
    ours = version(code("a", "1 ours"), code("b", "2"), code("c", "3"))
    theirs = version(code("a", "1"), code("b", "2"), code("c", "3 theirs"))
    plan, merged = merge(base, ours, theirs)
    assert sources(merged) == {"a": "1 ours", "b": "2", "c": "3 theirs"}
    assert not plan.overruled


def test_the_file_wins_where_both_changed_and_says_so() -> None:
    """D5: the other version has to be kept."""
    base = version(code("a", "1"))
    plan, merged = merge(base, version(code("a", "ours")), version(code("a", "theirs")))
    assert sources(merged) == {"a": "theirs"}
    assert plan.overruled == {"a"}


def test_the_same_change_on_both_sides_is_none() -> None:
    base = version(code("a", "1"))
    plan, merged = merge(base, version(code("a", "2")), version(code("a", "2")))
    assert sources(merged) == {"a": "2"}
    assert not plan.overruled and not plan.updates


def test_source_and_outputs_are_merged_apart() -> None:
    base = version(code("a", "1"))
    ours = version(code("a", "1", text("ran"), count=3))
    theirs = version(code("a", "1 theirs"))
    plan, merged = merge(base, ours, theirs)
    cell = merged["cells"][0]
    assert (cell["source"], cell["execution_count"]) == ("1 theirs", 3)
    assert cell["outputs"] == [text("ran")]
    assert not plan.overruled


def test_a_running_cell_keeps_its_outputs_and_its_place() -> None:
    """D5, O10: reloaded from disk while it runs, and the outputs still land in it."""
    base = version(code("a", "1"), code("b", "2"))
    ours = version(code("a", "1", text("so far")), code("b", "2"))
    theirs = version(code("b", "2"), code("a", "1 theirs", text("old")))
    _, merged = merge(base, ours, theirs, running={"a"})
    assert [cell["id"] for cell in merged["cells"]] == ["b", "a"]
    assert merged["cells"][1]["outputs"] == [text("so far")]
    assert merged["cells"][1]["source"] == "1 theirs"
    _, merged = merge(base, ours, version(code("b", "2")), running={"a"})
    assert set(sources(merged)) == {"a", "b"}


def test_cells_new_on_either_side_stay_where_they_were_put() -> None:
    base = version(code("a", "1"), code("b", "2"))
    ours = version(code("a", "1"), code("mine", "m"), code("b", "2"))
    theirs = version(code("first", "f"), code("a", "1"), code("b", "2"), code("last", "l"))
    _, merged = merge(base, ours, theirs)
    assert list(sources(merged)) == ["first", "a", "mine", "b", "last"]


def test_deleted_on_one_side_is_deleted() -> None:
    base = version(code("a", "1"), code("b", "2"), code("c", "3"))
    ours = version(code("b", "2"), code("c", "3"))
    theirs = version(code("a", "1"), code("b", "2"))
    plan, merged = merge(base, ours, theirs)
    assert list(sources(merged)) == ["b"]
    assert not plan.overruled


def test_deleted_there_and_changed_here_is_kept_elsewhere() -> None:
    base = version(code("a", "1"), code("b", "2"))
    plan, merged = merge(base, version(code("a", "1"), code("b", "mine")), version(code("a", "1")))
    assert list(sources(merged)) == ["a"]
    assert plan.overruled == {"b"}


def test_deleted_here_and_changed_there_comes_back() -> None:
    base = version(code("a", "1"), code("b", "2"))
    _, merged = merge(base, version(code("a", "1")), version(code("a", "1"), code("b", "x")))
    assert sources(merged) == {"a": "1", "b": "x"}


def test_a_new_order_in_the_file_is_taken() -> None:
    base = version(*(code(i, i) for i in "abc"))
    ours = version(code("a", "a"), code("b", "b"), code("mine", "m"), code("c", "c"))
    theirs = version(*(code(i, i) for i in "cab"))
    _, merged = merge(base, ours, theirs)
    assert list(sources(merged)) == ["c", "a", "b", "mine"]


def test_a_cell_may_become_another_type() -> None:
    base = version(code("a", "1", text("x")))
    theirs = version({"id": "a", "cell_type": "markdown", "source": "1", "metadata": {"k": 1}})
    _, merged = merge(base, base, theirs)
    assert merged["cells"] == theirs.content["cells"]
    _, merged = merge(theirs, theirs, base)
    assert merged["cells"][0]["cell_type"] == "code"


def test_outputs_of_a_changed_file_bring_no_trust() -> None:
    """O18: what was never run here stays untrusted."""
    base = version(code("a", "1", text("x")))
    ours = version({**code("a", "1", text("x")), "metadata": {"trusted": True}})
    theirs = version({**code("a", "1", text("evil")), "metadata": {"trusted": False}})
    _, merged = merge(base, ours, theirs)
    assert merged["cells"][0]["metadata"]["trusted"] is False
    unchanged = version({**code("a", "other", text("x")), "metadata": {"trusted": False}})
    _, merged = merge(base, ours, unchanged)
    assert merged["cells"][0]["metadata"]["trusted"] is True


def test_metadata_of_the_notebook_is_merged_by_key() -> None:
    base = version(kernelspec={"name": "a"}, x=1, gone=1, ours_gone=1)
    ours = version(kernelspec={"name": "ours"}, x=1, gone=1)
    theirs = version(kernelspec={"name": "a"}, x=2, new=3, ours_gone=1)
    _, merged = merge(base, ours, theirs)
    metadata = merged["metadata"]
    assert metadata["kernelspec"] == {"name": "ours"}
    assert (metadata["x"], metadata["new"]) == (2, 3)
    assert "gone" not in metadata and "ours_gone" not in metadata


@pytest.mark.parametrize("seed", range(40))
def test_whatever_changed_the_merge_is_complete(seed: int) -> None:
    """Nothing is there twice; with nothing of ours it is the file; with nothing of theirs ours."""
    rng = random.Random(seed)
    base = version(*(code(f"c{i}", str(i)) for i in range(6)))
    ours, theirs = edited(base, rng, "o"), edited(base, rng, "t")
    plan, merged = merge(base, ours, theirs)
    ids = [cell["id"] for cell in merged["cells"]]
    assert ids == plan.order and len(ids) == len(set(ids))
    for changed in (ours, theirs):
        for cell in changed.content["cells"]:
            if cell["id"][0] in "ot":
                assert cell["id"] in ids
    assert merge(base, base, theirs)[1]["cells"] == theirs.content["cells"]
    assert merge(base, ours, base)[1]["cells"] == ours.content["cells"]
    assert merge(None, ours, ours)[1]["cells"] == ours.content["cells"]


def edited(base: Version, rng: random.Random, prefix: str) -> Version:
    cells = [dict(cell) for cell in base.content["cells"]]
    for number in range(4):
        index = rng.randrange(len(cells))
        what = rng.randrange(4)
        if what == 0:
            cells.insert(index, code(f"{prefix}{number}", prefix))
        elif what == 1 and len(cells) > 2:
            del cells[index]
        elif what == 2:
            cells[index] = {**cells[index], "source": f"{prefix}{number}"}
        else:
            cells.insert(rng.randrange(len(cells)), cells.pop(index))
    return version(*cells)


@pytest.mark.parametrize(
    ("old", "new"),
    [("", "é"), ("é", ""), ("aéb", "aèb"), ("█x█", "██"), ("same", "same"), ("aa", "aaa")],
)
def test_a_text_is_edited_where_it_differs(old: str, new: str) -> None:
    notebook = YNotebook(Doc())
    notebook.append_cell(code("a", old))
    replace_text(notebook.ycells[0]["source"], new)
    assert str(notebook.ycells[0]["source"]) == new
