"""Runs through the whole engine: what is accepted, what runs, what is shown of it (SPEC Q)."""

from __future__ import annotations

import hashlib

import pytest
from engine_harness import BOB, World, states
from fake_link import DATE
from files_harness import markdown, notebook
from pycrdt import Map

from notebook_exec.core.model import (
    CellId,
    Conflict,
    ExecutionState,
    InvalidInput,
    KernelId,
    NotFound,
    OnError,
    Reason,
)
from notebook_exec.engine.api import CellRequest


def sha256(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


async def test_q16_finished_shows_all_at_once(world: World) -> None:
    """Q16: last outputs, count and idle are one transaction, before the API says finished."""
    world.write("a.ipynb", "print(1)")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c0")
    link = await world.link(accepted)
    sent = await link.request(0)
    assert sent.source == "print(1)"
    link.begin(sent)
    link.print(sent, "1\n")
    link.print(sent, "2\n")
    link.reply(sent)
    assert (await world.engine.get(sent.id)).execution.state is not ExecutionState.FINISHED
    link.idle(sent)
    (view,) = await world.over(accepted)
    assert (view.execution.state.value, view.execution.execution_count) == ("finished", 1)
    live = await world.live("a.ipynb")
    assert live.notebook is not None
    (output,) = live.notebook.outputs(CellId("c0")) or []
    assert output["text"] == "1\n2\n"
    await viewer.until(lambda: viewer.cell("c0")["state"] == "finished")
    for shown in viewer.shown:
        cell = shown["c0"]
        if cell["state"] == "finished" or cell["execution_state"] == "idle":
            (output,) = cell["outputs"]
            assert output["text"] == "1\n2\n"
            assert (cell["execution_count"], cell["execution_state"]) == (1, "idle")
            assert cell["state"] == "finished"


async def test_q5_outputs_stay_until_the_cell_starts(world: World) -> None:
    """Q5: a queued cell keeps its outputs; at its start they and the count go together."""
    world.write("a.ipynb", "1", "2")
    viewer = await world.view("a.ipynb")
    first = await world.submit("a.ipynb", "c1")
    link = await world.link(first)
    link.run(await link.request(0), "old\n")
    await world.over(first)
    await viewer.until(lambda: viewer.cell("c1")["state"] == "finished")
    viewer.shown.clear()
    second = await world.submit("a.ipynb", "c0", "c1")
    await viewer.until(lambda: viewer.cell("c1")["state"] == "queued")
    assert viewer.cell("c1")["execution_state"] == "running"
    link.run(await link.request(1))
    running = await link.request(2)
    await viewer.until(lambda: viewer.cell("c1")["state"] == "running")
    link.run(running, "new\n")
    await world.over(second)
    await viewer.until(lambda: viewer.cell("c1")["state"] == "finished")
    for shown in viewer.shown:
        cell = shown["c1"]
        has_old = [o["text"] for o in cell["outputs"]] == ["old\n"]
        is_before = shown["c1"]["state"] == "queued" or (
            shown["c0"]["state"] == "finished"
            and (cell["state"] == "finished" and cell["execution_count"] == 1)
        )
        if has_old:
            assert cell["execution_count"] == 1
            assert is_before
        else:
            assert cell["state"] != "queued"
            assert cell["execution_count"] in (None, 3)


async def test_q3_source_is_taken_at_acceptance(world: World) -> None:
    """Q3: what is edited while the cell waits does not run; a source given does."""
    world.write("a.ipynb", "first", "second", "third")
    viewer = await world.view("a.ipynb")
    given = CellRequest(CellId("c2"), source="given")
    accepted = await world.submit("a.ipynb", "c0", "c1", given)
    link = await world.link(accepted)
    first = await link.request(0)
    viewer.type_in("c1", " edited")
    assert (await world.source("a.ipynb", "c1")) == "second edited"
    link.run(first)
    second = await link.request(1)
    assert second.source == "second"
    link.run(second)
    assert (await link.request(2)).source == "given"
    assert (await world.source("a.ipynb", "c2")) == "third"


async def test_q3_another_source_than_expected_changes_nothing(world: World) -> None:
    """Q3: 409 with the present hash; no execution, no kernel, no change of the doc."""
    world.write("a.ipynb", "one", "two")
    viewer = await world.view("a.ipynb")
    live = await world.live("a.ipynb")
    before = live.room.doc.get_update()
    right = CellRequest(CellId("c0"), expected_sha256=sha256("one").upper())
    wrong = CellRequest(CellId("c1"), expected_sha256=sha256("one"))
    with pytest.raises(Conflict) as caught:
        await world.submit("a.ipynb", right, wrong)
    assert caught.value.reason == "source_mismatch"
    assert caught.value.current == {"cell_id": "c1", "sha256": sha256("two")}
    assert await world.engine.find() == []
    assert world.host.started == []
    assert live.room.doc.get_update() == before
    assert viewer.shown == []
    assert len((await world.submit("a.ipynb", right)).executions) == 1


async def test_q4_twice_runs_twice(world: World) -> None:
    """Q4: the same cell submitted twice, by one request or two, runs each time."""
    world.write("a.ipynb", "x")
    viewer = await world.view("a.ipynb")
    accepted = [await world.submit("a.ipynb", "c0", "c0"), await world.submit("a.ipynb", "c0")]
    link = await world.link(accepted[0])
    for run in range(3):
        assert len(link.sent) == run + 1
        link.run(await link.request(run), f"{run}\n")
    views = await world.over(accepted[0]) + await world.over(accepted[1])
    assert states(views) == ["finished"] * 3
    assert [view.execution.execution_count for view in views] == [1, 2, 3]
    await viewer.until(lambda: viewer.text("c0") == "2\n")
    kept = [await world.engine.outputs(view.execution.id) for view in views]
    assert [outputs[0]["text"] for outputs in kept if outputs] == ["0\n", "1\n", "2\n"]


async def test_q6_an_error_stops_request_and_page(world: World) -> None:
    """Q6: the request's rest and the same page's later ones are cancelled, other people's run."""
    world.write("a.ipynb", "0", "1", "2", "3")
    viewer = await world.view("a.ipynb")
    first = await world.submit("a.ipynb", "c0", "c1", client_id="page")
    same = await world.submit("a.ipynb", "c2", client_id="page")
    other = await world.submit("a.ipynb", "c3", client_id="other", requested_by=BOB)
    link = await world.link(first)
    sent = await link.request(0)
    link.begin(sent)
    link.fail(sent)
    link.run(await link.request(1), "ran\n")
    assert states(await world.over(first)) == ["failed", "cancelled"]
    (stopped,) = await world.over(same)
    assert stopped.execution.reason is Reason.EARLIER_ERROR
    assert states(await world.over(other)) == ["finished"]
    await viewer.until(lambda: viewer.cell("c3")["state"] == "finished")
    assert viewer.cell("c1")["execution_state"] == "idle"
    assert (viewer.entry("c3") or {})["requested_by"]["username"] == "bob"


async def test_q6_continue_and_tags_do_not_stop(world: World) -> None:
    """Q6: "continue" and raises-exception go on, and the kernel is told not to abort either."""
    world.write("a.ipynb", "0", "1", "2", c1=["raises-exception"])
    going_on = await world.submit("a.ipynb", "c0", "c2", on_error=OnError.CONTINUE)
    tagged = await world.submit("a.ipynb", "c1", "c2")
    link = await world.link(going_on)
    for index in range(4):
        sent = await link.request(index)
        assert sent.options["stop_on_error"] is (index == 3)
        link.begin(sent)
        link.fail(sent) if index % 2 == 0 else link.finish(sent)
    assert states(await world.over(going_on)) == ["failed", "finished"]
    assert states(await world.over(tagged)) == ["failed", "finished"]


async def test_q7_cancel_one_queued_cell(world: World) -> None:
    """Q7: the cell gets its state back, outputs and count untouched; nothing else is stopped."""
    world.write("a.ipynb", "0", "1", "2")
    viewer = await world.view("a.ipynb")
    before = await world.submit("a.ipynb", "c1")
    link = await world.link(before)
    link.run(await link.request(0), "kept\n")
    await world.over(before)
    accepted = await world.submit("a.ipynb", "c0", "c1", "c2")
    await link.request(1)
    (cancelled,) = await world.engine.cancel([accepted.executions[1].execution.id], BOB)
    view = await world.ended(cancelled.execution.id)
    assert (view.execution.state.value, view.execution.ended_by) == ("cancelled", BOB)
    await viewer.until(lambda: viewer.cell("c1")["state"] == "cancelled")
    cell = viewer.cell("c1")
    assert (cell["execution_state"], cell["execution_count"]) == ("idle", 1)
    assert viewer.text("c1") == "kept\n"
    assert link.interrupts == 0
    link.run(link.sent[1])
    assert (await link.request(2)).source == "2"


async def test_q7_cancel_all_of_a_notebook(world: World) -> None:
    """Q7: what runs is interrupted and ends cancelled; another notebook goes on."""
    kernel = world.host.add("k", "a.ipynb", "b.ipynb")
    world.write("a.ipynb", "0", "1")
    world.write("b.ipynb", "other")
    viewer = await world.view("a.ipynb")
    mine, theirs = await world.submit("a.ipynb"), await world.submit("b.ipynb")
    link = await world.link_of(kernel)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "so far\n")
    document_id = mine.executions[0].execution.document_id
    assert document_id is not None
    assert len(await world.engine.cancel_document(document_id, BOB)) == 2
    await link.until(lambda: link.interrupts == 1)
    link.fail(sent, "KeyboardInterrupt", "")
    assert states(await world.over(mine)) == ["cancelled", "cancelled"]
    link.run(await link.request(1))
    assert states(await world.over(theirs)) == ["finished"]
    await viewer.until(lambda: viewer.cell("c0")["state"] == "cancelled")
    assert viewer.text("c0") == "so far\n"
    assert await world.engine.cancel_document(document_id, BOB) == []


async def test_q9_skipped_and_blank_cells(world: World) -> None:
    """Q9: skip-execution leaves the doc alone, a blank cell is emptied; the kernel gets neither."""
    world.write("a.ipynb", "0", "skip me", "  \n", c1=["skip-execution"])
    viewer = await world.view("a.ipynb")
    viewer.put_output("c1", "kept\n")
    warm = await world.submit("a.ipynb", CellRequest(CellId("c2"), source="was not blank"))
    link = await world.link(warm)
    link.run(await link.request(0), "old\n")
    accepted = await world.submit("a.ipynb")
    link.run(await link.request(1))
    _, skipped, blank = [view.execution for view in await world.over(accepted)]
    assert (skipped.state.value, skipped.reason) == ("finished", Reason.SKIPPED)
    assert (blank.state.value, blank.reason) == ("finished", Reason.BLANK)
    assert len(link.sent) == 2
    await viewer.until(lambda: viewer.cell("c2")["state"] == "finished")
    assert (viewer.cell("c2")["outputs"], viewer.cell("c2")["execution_count"]) == ([], None)
    assert viewer.text("c1") == "kept\n"
    assert viewer.cell("c1")["execution_state"] == "idle"


async def test_q9_all_means_code_cells(world: World) -> None:
    """Q9: markdown is refused by its index with nothing accepted; "all" leaves it out."""
    made = notebook("0", "1")
    made["cells"].insert(1, markdown("# text", "text"))
    world.folder.write("a.ipynb", made)
    with pytest.raises(InvalidInput) as caught:
        await world.submit("a.ipynb", "c0", "text")
    assert caught.value.field == "cells[1]"
    assert await world.engine.find() == []
    with pytest.raises(NotFound) as missing:
        await world.submit("a.ipynb", "c0", "c1", "nowhere")
    assert missing.value.field == "cells[2]"
    accepted = await world.submit("a.ipynb")
    assert [view.execution.cell_id for view in accepted.executions] == ["c0", "c1"]


async def test_q11_timing_is_kept_when_asked_for(world: World) -> None:
    """Q11: metadata.execution has the five dates when asked for, and is absent else."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c0", record_timing=True)
    link = await world.link(accepted)
    link.run(await link.request(0))
    await world.over(accepted)
    plain = await world.submit("a.ipynb", "c1")
    link.run(await link.request(1))
    await world.over(plain)
    await viewer.until(lambda: viewer.cell("c1")["state"] == "finished")
    timing = viewer.cell("c0")["metadata"]["execution"]
    assert set(timing.values()) == {DATE}
    await world.documents.save((await world.live("a.ipynb")).document_id)
    saved = world.folder.read("a.ipynb")
    assert set(saved["cells"][0]["metadata"]["execution"]) == {
        "iopub.status.busy",
        "iopub.execute_input",
        "shell.execute_reply.started",
        "shell.execute_reply",
        "iopub.status.idle",
    }
    assert "execution" not in saved["cells"][1]["metadata"]
    again = await world.submit("a.ipynb", "c0")
    sent = await link.request(2)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "running")
    assert "execution" not in viewer.cell("c0")["metadata"]  # of the run before, so it goes
    link.run(sent)
    await world.over(again)


async def test_q12_who_when_and_how_it_ended(world: World) -> None:
    """Q12: kept with the execution, also for the next server, and shown in the doc."""
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c0", requested_by=BOB)
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.fail(sent, "ValueError", "bad")
    (view,) = await world.over(accepted)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "failed")
    entry = viewer.entry("c0") or {}
    assert entry["requested_by"] == {"username": "bob", "display_name": "Bob"}
    assert entry["error"] == {"ename": "ValueError", "evalue": "bad"}
    assert entry["queued_at"] <= entry["started_at"] <= entry["ended_at"]
    await world.start()
    (after,) = await world.engine.find(path="a.ipynb")
    assert after.execution == view.execution


async def test_q13_two_notebooks_on_one_kernel_run_in_turn(world: World) -> None:
    """Q13: in the order of submission, each in its own notebook."""
    world.host.add("k", "a.ipynb", "b.ipynb")
    world.write("a.ipynb", "a0", "a1")
    world.write("b.ipynb", "b0")
    first, second = await world.view("a.ipynb"), await world.view("b.ipynb")
    mine, theirs = await world.submit("a.ipynb"), await world.submit("b.ipynb")
    assert [view.position for view in (await world.engine.find(path="b.ipynb"))] == [2]
    link = await world.link_of(KernelId("k"))
    for index, source in enumerate(("a0", "a1", "b0")):
        assert len(link.sent) == index + 1
        sent = await link.request(index)
        assert sent.source == source
        link.run(sent, f"{source}\n")
    await world.over(mine)
    await world.over(theirs)
    await second.until(lambda: second.text("c0") == "b0\n")
    await first.until(lambda: first.text("c1") == "a1\n")
    assert first.text("c0") == "a0\n"


async def test_q13_notebooks_with_their_own_kernels_run_at_once(world: World) -> None:
    """Q13: neither waits for the other."""
    world.write("a.ipynb", "a")
    world.write("b.ipynb", "b")
    mine, theirs = await world.submit("a.ipynb"), await world.submit("b.ipynb")
    links = [await world.link(mine), await world.link(theirs)]
    assert links[0] is not links[1]
    for link in links:
        link.begin(await link.request(0))
    for view in mine.executions + theirs.executions:
        running = await world.engine.get(view.execution.id)
        assert running.position == 0
    for link in links:
        link.finish(link.sent[0])
    assert states(await world.over(mine) + await world.over(theirs)) == ["finished"] * 2


async def test_q14_a_deleted_cell_does_not_run(world: World) -> None:
    """Q14: queued, deleted by a client, cancelled; a cell that is only moved does run."""
    world.write("a.ipynb", "0", "1", "2")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    first = await link.request(0)
    viewer.delete("c1")
    gone = await world.ended(accepted.executions[1].execution.id)
    assert gone.execution.reason is Reason.CELL_DELETED
    viewer.move("c2", 0)
    link.run(first)
    moved = await link.request(1)
    assert moved.source == "2"
    link.run(moved, "moved\n")
    assert states(await world.over(accepted)) == ["finished", "cancelled", "finished"]
    await viewer.until(lambda: viewer.text("c2") == "moved\n")


async def test_s2_a_forged_state_runs_nothing(world: World) -> None:
    """S2: what a client writes into map and state is put back, and the kernel hears nothing."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c0")
    link = await world.link(accepted)
    sent = await link.request(0)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "running")
    entry = dict(viewer.entry("c0") or {})
    forged = viewer.doc.get("execution", type=Map)
    with viewer.doc.transaction():
        forged["c1"] = {**entry, "state": "queued"}
        forged["c0"] = {**entry, "state": "finished", "prompt": {"prompt": "pw", "password": True}}
        viewer.notebook.ycells[1]["execution_state"] = "running"
        viewer.notebook.ycells[0]["execution_state"] = "idle"
    await viewer.until(
        lambda: (
            viewer.entry("c0") == entry
            and viewer.entry("c1") is None
            and viewer.cell("c0")["execution_state"] == "running"
            and viewer.cell("c1")["execution_state"] == "idle"
        )
    )
    assert len(link.sent) == 1
    assert len(await world.engine.find()) == 1
    link.run(sent)
    assert states(await world.over(accepted)) == ["finished"]
