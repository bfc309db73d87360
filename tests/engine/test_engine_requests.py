"""Requests: retried, refused, given up by their client; and what a new server says (A, R)."""

from __future__ import annotations

import asyncio

import pytest
from engine_harness import ADA, BOB, QUICK, World, states
from files_harness import markdown, notebook

from notebook_exec.core.model import (
    CellId,
    Conflict,
    ExecutionId,
    InsertCell,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Reason,
)
from notebook_exec.engine.settings import EngineSettings


async def test_a1_two_requests_with_one_key_at_once(world: World) -> None:
    """A1: both get the same executions, which run once; the second is told that it is a replay."""
    world.write("a.ipynb", "0", "1")
    key = {"idempotency_key": "k", "body_sha256": "h"}
    first, second = await asyncio.gather(
        world.submit("a.ipynb", **key), world.submit("a.ipynb", **key)
    )
    assert first.request_id == second.request_id
    ids = [view.execution.id for view in first.executions]
    assert [view.execution.id for view in second.executions] == ids
    assert [first.replayed, second.replayed] == [False, True]
    link = await world.link(first)
    link.run(await link.request(0))
    link.run(await link.request(1))
    await world.over(first)
    assert len(link.sent) == 2
    with pytest.raises(Conflict) as caught:
        await world.submit("a.ipynb", idempotency_key="k", body_sha256="other")
    assert caught.value.reason == "idempotency_key_reused"
    await world.start()
    replayed = await world.submit("a.ipynb", **key)
    assert replayed.replayed and replayed.request_id == first.request_id
    assert len(await world.engine.find()) == 2


async def test_a1_a_refused_request_does_not_use_up_its_key(world: World) -> None:
    """A1: after the mistake is mended, the same key works."""
    world.write("a.ipynb", "0")
    with pytest.raises(NotFound):
        await world.submit("a.ipynb", "nowhere", idempotency_key="k", body_sha256="h")
    accepted = await world.submit("a.ipynb", "c0", idempotency_key="k", body_sha256="h2")
    assert not accepted.replayed


async def test_q2_requests_are_not_mixed(world: World) -> None:
    """Q2: requests made at the same moment run one after the other, each in its own order."""
    world.host.add("k", "a.ipynb")
    world.write("a.ipynb", *(str(number) for number in range(6)))
    wanted = [("c3", "c0"), ("c1", "c5", "c2"), ("c4", "c3")]
    accepted = await asyncio.gather(*(world.submit("a.ipynb", *cells) for cells in wanted))
    link = await world.link(accepted[0])
    for index in range(7):
        link.run(await link.request(index))
    ran = [sent.options["cell_id"] for sent in link.sent]
    groups = sorted(" ".join(cells) for cells in wanted)
    starts = {" ".join(cells) for cells in wanted}
    seen = []
    while ran:
        group = next(g for g in starts if ran[: len(g.split())] == g.split())
        seen.append(group)
        del ran[: len(group.split())]
    assert sorted(seen) == groups


async def test_s4_a_queue_has_a_limit(world: World) -> None:
    """S4: more than fits is refused as one, and what is queued stays."""
    small = EngineSettings(frame_interval_s=0.002, max_queue_length=3)
    await world.start(engine=small)
    world.write("a.ipynb", "0", "1")
    accepted = await world.submit("a.ipynb")
    with pytest.raises(LimitExceeded) as caught:
        await world.submit("a.ipynb")
    assert caught.value.field == "cells"
    assert len(await world.engine.find()) == 2
    one = await world.submit("a.ipynb", "c0")
    link = await world.link(accepted)
    for index in range(3):
        link.run(await link.request(index))
    assert states(await world.over(one)) == ["finished"]


async def test_q9_all_of_nothing(world: World) -> None:
    """Q9: "all" of a notebook without code cells is accepted, and starts no kernel."""
    made = notebook()
    made["cells"] = [markdown("# text", "text")]
    world.folder.write("a.ipynb", made)
    accepted = await world.submit("a.ipynb")
    assert accepted.executions == []
    assert world.host.started == []


async def test_a7_a_wait_that_times_out_changes_nothing(world: World) -> None:
    """A7: it answers with the state and the outputs so far; the run goes on."""
    world.write("a.ipynb", "0")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "so far\n")
    view = await world.engine.wait(sent.id, 0.05)
    assert view.execution.state.value == "running"
    outputs = await world.engine.outputs(sent.id)
    assert outputs is not None and outputs[0]["text"] == "so far\n"
    waiting = asyncio.ensure_future(world.engine.wait(sent.id, 20))
    await asyncio.sleep(0)
    waiting.cancel()  # its client went away
    await asyncio.wait([waiting])
    link.finish(sent)
    assert states(await world.over(accepted)) == ["finished"]
    assert link.interrupts == 0


async def test_a2_a_wait_ends_at_a_prompt(world: World) -> None:
    """A2: so that a script can answer it."""
    world.write("a.ipynb", "0")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    waiting = asyncio.ensure_future(world.engine.wait(sent.id, 20))
    await asyncio.sleep(0)
    link.ask(sent, "name?")
    view = await waiting
    assert view.execution.prompt is not None and view.execution.prompt.prompt == "name?"


async def test_a7_allow_stdin_reaches_the_kernel(world: World) -> None:
    """A7: so that input() raises there."""
    world.write("a.ipynb", "0")
    accepted = await world.submit("a.ipynb", allow_stdin=False)
    link = await world.link(accepted)
    assert (await link.request(0)).options["allow_stdin"] is False


async def test_a8_insert_and_revision(world: World) -> None:
    """A8: a cell is made and run in one request; with an old revision nothing is."""
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    before = (await world.engine.document("a.ipynb")).revision
    insert = InsertCell(CellId("c0"), {"cell_type": "code", "source": "new", "metadata": {}})
    accepted = await world.submit("a.ipynb", insert=insert, expected_revision=before)
    link = await world.link(accepted)
    sent = await link.request(0)
    assert sent.source == "new"
    link.run(sent, "ran\n")
    (view,) = await world.over(accepted)
    cell_id = view.execution.cell_id
    assert cell_id is not None
    await viewer.until(lambda: viewer.text(cell_id) == "ran\n")
    with pytest.raises(Conflict) as caught:
        await world.submit("a.ipynb", insert=insert, expected_revision=before)
    assert caught.value.current == {"revision": (await world.engine.document("a.ipynb")).revision}
    assert len(viewer.cells()) == 2


async def test_a2_unknown_executions(world: World) -> None:
    """A5: NotFound, whatever is asked of them."""
    nobody = ExecutionId("11111111-1111-1111-1111-111111111111")
    engine = world.engine
    for asked in (
        engine.get(nobody),
        engine.outputs(nobody),
        engine.log(nobody),
        engine.wait(nobody, 1),
        engine.cancel([nobody], ADA),
        engine.answer(nobody, "x", ADA),
    ):
        with pytest.raises(NotFound):
            await asked
    with pytest.raises(InvalidInput):
        await world.submit(None, code="1")


async def test_r5_an_orderly_stop_in_the_middle(world: World) -> None:
    """R5: documents are saved, and no state says at the next start that it runs."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "so far\n")
    await viewer.until(lambda: viewer.text("c0") == "so far\n")
    waiting = asyncio.ensure_future(world.engine.wait(sent.id, 20))
    await world.stop()
    assert (await asyncio.wait_for(waiting, 20)).execution.state.is_final
    assert world.folder.read("a.ipynb")["cells"][0]["outputs"][0]["text"] == "so far\n"
    await world.start()
    views = [await world.engine.get(view.execution.id) for view in accepted.executions]
    assert states(views) == ["cancelled", "cancelled"]
    again = await world.view("a.ipynb")
    assert [cell["execution_state"] for cell in again.cells().values()] == ["idle", "idle"]
    assert again.text("c0") == "so far\n"


async def test_r6_what_a_dead_server_left(world: World) -> None:
    """R6: what ran is lost and says so in its cell, what waited is cancelled, once and for all."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "so far\n")
    link.ask(sent, "name?")
    await viewer.until(lambda: viewer.cell("c0")["state"] == "waiting_input")
    await world.kill()
    await world.start()
    lost, cancelled = [
        (await world.engine.get(view.execution.id)).execution for view in accepted.executions
    ]
    assert (lost.state.value, lost.reason) == ("lost", Reason.SERVER_STOPPED)
    assert (cancelled.state.value, cancelled.reason) == ("cancelled", Reason.SERVER_STOPPED)
    again = await world.view("a.ipynb")
    stream, error = again.cell("c0")["outputs"]
    assert stream["text"] == "so far\n"
    assert error["output_type"] == "error" and "server stopped" in error["evalue"]
    assert [cell["execution_state"] for cell in again.cells().values()] == ["idle", "idle"]
    assert [cell["state"] for cell in again.cells().values()] == ["lost", "cancelled"]
    assert "prompt" not in (again.entry("c0") or {})
    assert again.cell("c1")["outputs"] == []
    await world.start()
    assert len((await world.view("a.ipynb")).cell("c0")["outputs"]) == 2


async def test_r4_what_a_page_was_shown_is_stored(world: World) -> None:
    """R4: a server dies right after a page saw an output: the next one has it."""
    await world.start(documents=QUICK)
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", requested_by=BOB)
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "seen\n")
    await viewer.until(lambda: viewer.text("c0") == "seen\n")
    await world.kill()
    await world.start()
    again = await world.view("a.ipynb")
    assert again.text("c0").startswith("seen\n")


async def test_a2_outputs_after_a_restart(world: World) -> None:
    """A2: those of a cell's last run are read from the notebook, those of earlier runs are gone."""
    world.write("a.ipynb", "0")
    accepted = await world.submit("a.ipynb", "c0", "c0")
    link = await world.link(accepted)
    link.run(await link.request(0), "first\n")
    link.run(await link.request(1), "second\n")
    ids = [view.execution.id for view in await world.over(accepted)]
    await world.start()
    assert await world.engine.outputs(ids[0]) is None
    outputs = await world.engine.outputs(ids[1])
    assert outputs is not None and outputs[0]["text"] == "second\n"
