"""Kernels that start late, fail, die, are interrupted and restarted, by whomever (SPEC Q, K, P)."""

from __future__ import annotations

import asyncio

import pytest
from engine_harness import ADA, BOB, QUICK, World, states

from notebook_exec.core.model import (
    Conflict,
    Execution,
    KernelId,
    KernelStartError,
    NotFound,
    Reason,
)
from notebook_exec.engine.api import Accepted


def first(accepted: Accepted) -> Execution:
    return accepted.executions[0].execution


async def test_q10_submitting_while_the_kernel_starts(world: World) -> None:
    """Q10, Q13: requests made at the same moment wait for one kernel, which is started once."""
    world.host.may_start = asyncio.Event()
    world.write("a.ipynb", "0", "1")
    accepted = await asyncio.gather(
        world.submit("a.ipynb", "c0"), world.submit("a.ipynb", "c1"), world.submit("a.ipynb", "c0")
    )
    accepted.append(await world.submit("a.ipynb", "c1"))
    assert len(world.host.started) == 1
    assert len({first(a).kernel_id for a in accepted}) == 1
    world.host.may_start.set()
    link = await world.link(accepted[0])
    for index in range(4):
        link.run(await link.request(index))
    for request in accepted:
        assert states(await world.over(request)) == ["finished"]


async def test_q10_ready_is_waited_for(world: World) -> None:
    """Q10: nothing is sent to a kernel that does not answer yet."""
    world.host.is_ready_at_once = False
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "queued")
    assert link.sent == []
    link.listener.on_ready()
    link.run(await link.request(0))
    assert states(await world.over(accepted)) == ["finished"]


@pytest.mark.parametrize("where", ["start", "open"])
async def test_q10_a_kernel_that_does_not_start(world: World, where: str) -> None:
    """Q10: reason and log tail are in the first cell, the rest is cancelled; the next try works."""
    error = KernelStartError("No such file.", log_tail="the last line")
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    if where == "start":
        world.host.start_error = error
        accepted = await world.submit("a.ipynb")
    else:
        kernel = world.host.add("k", "a.ipynb")
        world.host.is_ready_at_once = False
        accepted = await world.submit("a.ipynb")
        await world.link_of(kernel)
        world.host.running.discard(kernel)
        world.host.sessions.clear()
        runner = world.engine._runners[kernel]
        runner._start_failed(error)
    failed, cancelled = [view.execution for view in await world.over(accepted)]
    assert (failed.state.value, failed.reason) == ("failed", Reason.KERNEL_START_FAILED)
    assert (cancelled.state.value, cancelled.reason) == ("cancelled", Reason.KERNEL_START_FAILED)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "failed")
    (output,) = viewer.cell("c0")["outputs"]
    assert "No such file." in output["evalue"]
    assert "the last line" in "\n".join(output["traceback"])
    assert viewer.cell("c1")["outputs"] == []
    world.host.start_error = None
    world.host.is_ready_at_once = True
    again = await world.submit("a.ipynb", "c0")
    assert first(again).kernel_id != failed.kernel_id
    link = await world.link(again)
    link.run(await link.request(0))
    assert states(await world.over(again)) == ["finished"]


async def test_k1_q8_death_ends_queue_and_prompt(world: World) -> None:
    """K1, P4: lost with what is known in the cell, queue cancelled, prompt gone."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "so far\n")
    link.ask(sent, "name?")
    await viewer.until(lambda: (viewer.entry("c0") or {}).get("prompt"))
    link.die(restarting=True)
    lost, cancelled = [view.execution for view in await world.over(accepted)]
    assert (lost.state.value, lost.reason) == ("lost", Reason.KERNEL_DIED)
    assert (cancelled.state.value, cancelled.reason) == ("cancelled", Reason.KERNEL_DIED)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "lost")
    stream, error = viewer.cell("c0")["outputs"]
    assert stream["text"] == "so far\n"
    assert "SIGKILL" in error["evalue"] and "last words" in "\n".join(error["traceback"])
    assert "prompt" not in (viewer.entry("c0") or {})
    with pytest.raises(Conflict):
        await world.engine.answer(sent.id, "late", ADA)
    after = await world.submit("a.ipynb", "c1")
    assert len(link.sent) == 1
    link.listener.on_ready()
    link.run(await link.request(1))
    assert states(await world.over(after)) == ["finished"]


async def test_k1_a_kernel_that_stays_dead(world: World) -> None:
    """K1: what is submitted to it fails at once and says why; after a restart it runs."""
    world.write("a.ipynb", "0")
    world.host.add("k", "a.ipynb")
    warm = await world.submit("a.ipynb")
    link = await world.link(warm)
    link.run(await link.request(0))
    await world.over(warm)
    link.die(restarting=False)
    failed = await world.submit("a.ipynb")
    (view,) = await world.over(failed)
    assert view.execution.state.value == "failed"
    assert view.execution.error is not None and "dead" in view.execution.error.evalue
    link.listener.on_restarting()
    link.listener.on_ready()
    after = await world.submit("a.ipynb")
    link.run(await link.request(1))
    assert states(await world.over(after)) == ["finished"]


async def test_k2_restart_by_someone(world: World) -> None:
    """K2: running and queued cells end, outputs stay, the next submit runs in the new process."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "so far\n")
    link.listener.on_restarting()
    views = await world.over(accepted)
    assert states(views) == ["cancelled", "cancelled"]
    assert {view.execution.reason for view in views} == {Reason.KERNEL_RESTARTED}
    after = await world.submit("a.ipynb", "c1")
    link.print(sent, "last words\n")
    link.listener.on_ready()
    link.run(await link.request(1))
    assert states(await world.over(after)) == ["finished"]
    await viewer.until(lambda: viewer.text("c0") == "so far\nlast words\n")


async def test_shutdown_ends_and_the_next_kernel_starts(world: World) -> None:
    """K2: a kernel that is shut down takes its queue with it; the next submit starts another."""
    world.write("a.ipynb", "0", "1")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    await link.request(0)
    world.host.running.clear()
    world.host.sessions.clear()
    link.listener.on_shut_down()
    views = await world.over(accepted)
    assert {view.execution.reason for view in views} == {Reason.KERNEL_SHUT_DOWN}
    again = await world.submit("a.ipynb", "c0")
    other = await world.link(again)
    assert other is not link
    other.run(await other.request(0))
    assert states(await world.over(again)) == ["finished"]
    assert link.is_closed


@pytest.mark.parametrize("by_us", [True, False])
async def test_q8_interrupt(world: World, by_us: bool) -> None:
    """Q8: the running cell fails with KeyboardInterrupt, all that is queued is cancelled."""
    world.host.add("k", "a.ipynb", "b.ipynb")
    world.write("a.ipynb", "0", "1")
    world.write("b.ipynb", "0")
    viewer = await world.view("b.ipynb")
    mine, theirs = await world.submit("a.ipynb"), await world.submit("b.ipynb")
    link = await world.link(mine)
    sent = await link.request(0)
    link.begin(sent)
    if by_us:
        await world.engine.interrupt_kernel(KernelId("k"), BOB)
        await link.until(lambda: link.interrupts == 1)
    else:
        link.listener.on_interrupted()
        assert link.interrupts == 0
    link.fail(sent, "KeyboardInterrupt", "")
    running, queued = [view.execution for view in await world.over(mine)]
    assert (running.state.value, running.reason) == ("failed", Reason.INTERRUPTED)
    assert (queued.state.value, queued.reason) == ("cancelled", Reason.INTERRUPTED)
    assert states(await world.over(theirs)) == ["cancelled"]
    await viewer.until(lambda: viewer.cell("c0")["state"] == "cancelled")
    if by_us:
        assert running.ended_by == BOB
        assert (viewer.entry("c0") or {})["ended_by"]["username"] == "bob"
    after = await world.submit("b.ipynb")
    link.run(await link.request(1))
    assert states(await world.over(after)) == ["finished"]


async def test_q8_an_interrupt_that_is_ignored_is_said(world: World) -> None:
    """Q8: after a delay the cell says that the kernel does not react, and to restart it."""
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    link.begin(await link.request(0))
    await world.engine.interrupt_kernel(first(accepted).kernel_id, BOB)
    await viewer.until(lambda: "has not reacted to the interrupt" in viewer.text("c0"))
    assert "Restart the kernel" in viewer.text("c0")
    assert viewer.cell("c0")["state"] == "running"


async def test_q15_time_limit(world: World) -> None:
    """Q15: at the limit the cell is interrupted, and that is said in its output."""
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", time_limit_s=0.05)
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    await link.until(lambda: link.interrupts)
    link.fail(sent, "KeyboardInterrupt", "")
    (view,) = await world.over(accepted)
    assert view.execution.reason is Reason.TIME_LIMIT
    await viewer.until(lambda: viewer.cell("c0")["state"] == "failed")
    assert "time limit of 0.05 s" in viewer.text("c0")


async def test_p1_p2_prompt_and_answer(world: World) -> None:
    """P1, P2: seen by who opens later, answered once, echoed; a second answer is a conflict."""
    world.write("a.ipynb", "0")
    early = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.ask(sent, "name?")
    await early.until(lambda: early.cell("c0")["state"] == "waiting_input")
    early.disconnect()
    late = await world.view("a.ipynb")
    assert (late.entry("c0") or {})["prompt"] == {"prompt": "name?", "password": False}
    await world.engine.answer(sent.id, "Grace", BOB)
    assert link.answers == [(sent.id, "Grace")]
    with pytest.raises(Conflict):
        await world.engine.answer(sent.id, "Late", ADA)
    await late.until(lambda: late.text("c0") == "name? Grace\n")
    assert "prompt" not in (late.entry("c0") or {})
    link.finish(sent)
    assert states(await world.over(accepted)) == ["finished"]
    assert len(link.answers) == 1


async def test_p3_a_password_is_nowhere(world: World) -> None:
    """P3: not in doc, updates, store, log, file, events or the API; its length neither."""
    await world.start(documents=QUICK)
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.ask(sent, "pw? ", password=True)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "waiting_input")
    answered = await world.engine.answer(sent.id, "correct-horse", ADA)
    link.finish(sent)
    (view,) = await world.over(accepted)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "finished")
    assert viewer.text("c0").startswith("pw? ") and "·" * 8 + "\n" in viewer.text("c0")
    await world.documents.save((await world.live("a.ipynb")).document_id)
    told = [answered, view, await world.engine.outputs(sent.id), viewer.cells()]
    assert "correct-horse" not in str(told)
    await world.stop()
    files = [path for path in world.base.rglob("*") if path.is_file()]
    assert any(path.suffix == ".ipynb" for path in files) and len(files) > 3
    for secret in (b"correct-horse", "correct-horse".encode("utf-16-le")):
        assert not any(secret in update for update in viewer.updates)
        assert [path for path in files if secret in path.read_bytes()] == []


@pytest.mark.parametrize("how", ["interrupt", "cancel", "restart"])
async def test_p4_what_ends_a_run_removes_its_prompt(world: World, how: str) -> None:
    """P4: at once, and the file never has one."""
    await world.start(documents=QUICK)
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.ask(sent, "a-prompt?")
    await viewer.until(lambda: (viewer.entry("c0") or {}).get("prompt"))
    await world.documents.save((await world.live("a.ipynb")).document_id)
    assert "a-prompt" not in world.folder.text("a.ipynb")
    if how == "interrupt":
        await world.engine.interrupt_kernel(first(accepted).kernel_id, BOB)
    elif how == "cancel":
        await world.engine.cancel([sent.id], BOB)
    else:
        link.listener.on_restarting()
    await viewer.until(lambda: "prompt" not in (viewer.entry("c0") or {}))


async def test_d2_a_document_that_runs_stays(world: World) -> None:
    """D2: all clients leave, it stays while a run is not over, then goes; the kernel lives."""
    await world.start(documents=QUICK)
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    live = await world.live("a.ipynb")
    viewer.disconnect()
    link.begin(sent)
    for number in range(5):
        link.print(sent, f"{number}\n")
        await world.until(lambda number=number: f"{number}\\n" in world.folder.text("a.ipynb"))
        assert world.documents.get(live.document_id) is live
    link.finish(sent)
    link.run(await link.request(1), "next\n")
    await world.over(accepted)
    await world.until(lambda: not world.loaded(live.document_id))
    assert not link.is_closed
    assert world.host.active == set()


async def test_k12_a_kernel_with_work_is_held(world: World) -> None:
    """K12: from acceptance to the last run's end, also when one ends as the next comes."""
    world.write("a.ipynb", "0", "1")
    accepted = await world.submit("a.ipynb", "c0")
    kernel = first(accepted).kernel_id
    link = await world.link(accepted)
    sent = await link.request(0)
    assert world.host.active == {kernel}
    link.begin(sent)
    link.reply(sent)
    submitting = asyncio.ensure_future(world.submit("a.ipynb", "c1"))
    link.idle(sent)
    second = await submitting
    await world.over(accepted)
    assert world.host.active == {kernel}
    link.run(await link.request(1))
    await world.over(second)
    assert world.host.active == set()


async def test_actions_on_kernels_that_are_not_there(world: World) -> None:
    """A5: they are not found; nothing is made."""
    with pytest.raises(NotFound):
        await world.engine.interrupt_kernel(KernelId("nowhere"), ADA)
    assert world.host.links == {}


async def test_d6_a_notebook_that_was_renamed_keeps_its_kernel(world: World) -> None:
    """D6: also where nobody told the session of the new path."""
    world.write("a.ipynb", "0")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    link.run(await link.request(0))
    await world.over(accepted)
    world.host.sessions.clear()
    again = await world.submit("a.ipynb")
    assert first(again).kernel_id == first(accepted).kernel_id
    assert len(world.host.started) == 1
    link.run(await link.request(1))
    assert states(await world.over(again)) == ["finished"]


async def test_k1_pages_are_shown_a_death_for_good(world: World) -> None:
    """K1: jupyter_server tells them only of the kernels that it gave up restarting."""
    told: list[KernelId] = []
    world.engine.show_death = told.append
    world.write("a.ipynb", "0")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    link.die(restarting=True)
    assert told == []
    link.die()
    assert told == [first(accepted).kernel_id]
