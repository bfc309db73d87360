"""A new server goes on with a kernel: what the journal says, and what the nanny knows (R2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from engine_harness import ADA, ENGINE, World
from fake_link import FakeLink

from notebook_exec.core.model import (
    CellId,
    DeathReport,
    ExecutionId,
    ExecutionState,
    Json,
    KernelId,
    KernelMessage,
    Prompt,
)
from notebook_exec.engine.api import Accepted
from notebook_exec.engine.settings import EngineSettings
from notebook_exec.kernels.link import Question
from notebook_exec.store.ops import PutExecution, PutKernel
from notebook_exec.store.records import StoredKernel


class Journal:
    """Says what a kernel says, with positions, and says it again from a position on."""

    def __init__(self) -> None:
        self.messages: list[KernelMessage] = []
        self.link: FakeLink

    def say(self, kind: str, parent: str, content: dict[str, Json], channel: str = "iopub") -> None:
        """To whoever is there, or to nobody."""
        message = KernelMessage(channel, kind, parent, content, position=len(self.messages) + 1)
        self.messages.append(message)
        if not self.link.is_closed:
            self.link.listener.on_messages([message])

    def begin(self, id_: str) -> None:
        self.say("status", id_, {"execution_state": "busy"})
        self.say("execute_input", id_, {"code": "", "execution_count": 1})

    def print(self, id_: str, text: str) -> None:
        self.say("stream", id_, {"name": "stdout", "text": text})

    def end(self, id_: str) -> None:
        self.say("execute_reply", id_, {"status": "ok", "execution_count": 1}, "shell")
        self.say("status", id_, {"execution_state": "idle"})

    def replay(self, after: int) -> None:
        left = self.messages[after:]
        if left:
            self.link.listener.on_messages(left)


class Crash:
    """One server before, one after."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = Journal()
        self.kernel_id = KernelId("")

    async def submit(
        self, *sources: str, engine: EngineSettings = ENGINE
    ) -> tuple[Accepted, list[ExecutionId]]:
        await self.world.start(engine=engine)
        self.world.write("a.ipynb", *sources)
        accepted = await self.world.submit("a.ipynb")
        self.kernel_id = accepted.executions[0].execution.kernel_id
        self.journal.link = await self.world.link(accepted)
        await self.journal.link.request(0)
        self.world.store.submit([PutKernel(self.kernel_id, {})])
        return accepted, [view.execution.id for view in accepted.executions]

    async def stored(self, position: int) -> None:
        """The position and what goes with it are in the store."""

        async def position_of() -> int | None:
            kernels = {k.kernel_id: k for k in await self.world.store.kernels()}
            return kernels[self.kernel_id].position

        while await position_of() != position:
            self.world.engine._runners[self.kernel_id]._progress.flush()

    async def restart(self) -> int:
        """The server is killed; the next one has attached. Returns the stored position."""
        await self.world.kill()
        return await self.start()

    async def start(self) -> int:
        """The next server has attached. Returns the stored position."""
        self.world.host.links.clear()
        self.world.host.is_ready_at_once = False
        await self.world.start(adopted=[self.kernel_id])
        (kernel,) = await self.world.store.kernels()
        self.journal.link = await self.world.link_of(self.kernel_id)
        return kernel.position or 0

    def caught_up(self, *requests: str, question: Question | None = None) -> FakeLink:
        self.journal.link.listener.on_caught_up(requests, question)
        self.journal.link.listener.on_ready()
        return self.journal.link


@pytest.fixture
def crash(world: World) -> Crash:
    return Crash(world)


def text_of(outputs: list[dict[str, Any]] | None) -> str:
    return "".join(output["text"] for output in outputs or ())


async def test_r2_what_was_stored_is_not_done_again(crash: Crash) -> None:
    """R2: the journal is read on from the position that is stored with the outputs."""
    accepted, (a, b) = await crash.submit("a", "b")
    crash.journal.begin(a)
    crash.journal.print(a, "1\n")
    await crash.stored(3)
    crash.journal.print(a, "2\n")  # in time or not
    after = await crash.restart()
    assert after in (3, 4)
    crash.journal.link.is_closed = True
    crash.journal.print(a, "3\n")
    crash.journal.link.is_closed = False
    crash.journal.replay(after)
    link = crash.caught_up(a)
    assert link.sent == []
    crash.journal.print(a, "4\n")
    crash.journal.end(a)
    assert (await link.request(0)).id == b
    await crash.world.ended(a)
    assert text_of(await crash.world.engine.outputs(a)) == "1\n2\n3\n4\n"
    crash.journal.begin(b)
    crash.journal.end(b)
    assert [v.execution.state.value for v in await crash.world.over(accepted)] == ["finished"] * 2


async def test_r5_what_is_said_while_a_server_stops_is_there_once(crash: Crash) -> None:
    """R5, R2: a kernel that goes on prints until the link is closed, faster than it is written."""
    _, (a,) = await crash.submit("a", engine=replace(ENGINE, frame_interval_s=3600))
    crash.journal.begin(a)
    numbers = [f"{number}\n" for number in range(40)]
    link, documents, engine = crash.journal.link, crash.world.documents, crash.world.engine
    close_link, close_documents = link.close, documents.close

    async def print_then_close() -> None:
        for number in numbers[:30]:
            crash.journal.print(a, number)
        await close_link()

    async def close_then_come_due() -> None:
        await close_documents()
        for writer in engine._writers.values():
            writer.flush()  # as its timer does at any moment

    link.close = print_then_close  # type: ignore[method-assign]
    documents.close = close_then_come_due  # type: ignore[method-assign]
    await crash.world.stop(keep=[crash.kernel_id])
    for number in numbers[30:]:
        crash.journal.print(a, number)
    after = await crash.start()
    crash.journal.replay(after)
    crash.caught_up(a)
    assert text_of(await crash.world.engine.outputs(a)) == "".join(numbers)


@pytest.mark.parametrize("spoke", [True, False])
async def test_r2_a_request_that_was_sent_is_not_sent_again(crash: Crash, spoke: bool) -> None:
    """R2: the store says queued, but the kernel has it, or has even worked on it."""
    _, (a, b) = await crash.submit("a", "b")
    crash.journal.begin(a)
    await crash.stored(2)
    after = await crash.restart()
    crash.journal.link.is_closed = True
    crash.journal.end(a)
    if spoke:
        crash.journal.begin(b)
        crash.journal.print(b, "b")
    crash.journal.link.is_closed = False
    crash.journal.replay(after)
    link = crash.caught_up(*(() if spoke else (b,)))
    if not spoke:
        crash.journal.begin(b)
        crash.journal.print(b, "b")
    crash.journal.end(b)
    await crash.world.ended(b)
    assert link.sent == []
    assert text_of(await crash.world.engine.outputs(b)) == "b"


async def test_r2_a_request_that_never_arrived_is_sent(crash: Crash) -> None:
    """R2: the store says running, but the nanny has never heard of it."""
    _, (a,) = await crash.submit("a")
    await crash.world.store.flush()
    while (await crash.world.engine.get(a)).execution.state.value != "running":
        await crash.world.engine.wait(a, 0.01)
    after = await crash.restart()
    assert after == 0
    link = crash.caught_up()
    assert [sent.id for sent in link.sent] == [a]


async def test_p5_a_prompt_that_was_answered_is_gone(crash: Crash) -> None:
    """P5, R2: the answer had arrived, but was not stored; it is shown."""
    _, (a,) = await crash.submit("a")
    crash.journal.begin(a)
    crash.journal.say("input_request", a, {"prompt": "?", "password": False}, "stdin")
    await crash.stored(3)
    position = await crash.restart()
    assert (await crash.world.engine.get(a)).execution.prompt == Prompt("?", False)
    crash.journal.link.is_closed = True
    crash.journal.say("input_reply", a, {"prompt": "?", "value": "yes"}, "stdin")
    crash.journal.print(a, "on\n")
    crash.journal.link.is_closed = False
    crash.journal.replay(position)
    crash.caught_up(a)
    await crash.world.engine.ledger.wait(a, lambda e: e.prompt is None, 20)
    assert (await crash.world.engine.get(a)).execution.state.value == "running"
    assert text_of(await crash.world.engine.outputs(a)) == "? yes\non\n"


async def test_p5_a_prompt_whose_answer_never_arrived_is_back(crash: Crash) -> None:
    """P5, R2: that it was answered was stored, but the kernel still waits: no echo is left."""
    _, (a,) = await crash.submit("a")
    crash.journal.begin(a)
    crash.journal.say("input_request", a, {"prompt": "?", "password": True}, "stdin")
    await crash.stored(3)
    crash.journal.link.delivers_answers = False
    await crash.world.engine.answer(a, "secret", ADA)
    await crash.world.engine.ledger.wait(a, lambda e: e.prompt is None, 20)
    await crash.restart()
    crash.caught_up(a, question=Question(a, Prompt("?", True)))
    await crash.world.engine.ledger.wait(a, lambda e: e.prompt is not None, 20)
    assert (await crash.world.engine.get(a)).execution.prompt == Prompt("?", True)
    crash.journal.link.delivers_answers = False
    await crash.world.engine.answer(a, "secret", ADA)
    await crash.world.engine.ledger.wait(a, lambda e: e.prompt is None, 20)
    assert text_of(await crash.world.engine.outputs(a)) == ""  # until the kernel has it
    crash.journal.say("input_reply", a, {"prompt": "?", "value": None}, "stdin")
    assert text_of(await crash.world.engine.outputs(a)) == "? ········\n"


async def test_k1_the_cell_that_was_next_says_why_it_did_not_run(crash: Crash) -> None:
    """K1, R2, A2: a new server finds the kernel dead; what the cell showed before is gone.

    The server after that knows whose outputs these are.
    """
    _, (before,) = await crash.submit("a")
    crash.journal.begin(before)
    crash.journal.print(before, "of the run before\n")
    crash.journal.link.is_ready_at_once = False
    crash.journal.link.listener.on_restarting()  # so that what follows waits
    again = await crash.world.submit("a.ipynb")
    (queued,) = [view.execution.id for view in again.executions]
    await crash.stored(3)
    await crash.restart()
    crash.journal.link.listener.on_caught_up((), None)
    crash.journal.link.listener.on_died(DeathReport(signal="SIGKILL", position=4), True)
    assert (await crash.world.ended(queued)).execution.state.value == "failed"
    await crash.stored(4)
    for _ in range(2):
        outputs = await crash.world.engine.outputs(queued)
        assert [output.get("ename") for output in outputs or ()] == ["KernelDied"]
        assert await crash.world.engine.outputs(before) != outputs
        await crash.restart()


async def test_r6_what_was_being_sent_is_not_said_to_have_waited(crash: Crash) -> None:
    """R6, Q1: a cell is sent a moment before that is stored; with kernel and server both gone,
    nobody knows whether it ran.
    """
    _, (a, b) = await crash.submit("a", "b")
    world = crash.world
    sent = await world.engine.get(a)
    as_stored = replace(sent.execution, state=ExecutionState.QUEUED, started_at=None)
    world.store.submit([PutExecution(as_stored)])
    assert [e.state for e in await world.store.unfinished_executions()] == ["queued", "queued"]
    await world.kill()
    await world.start(adopted=[])
    ended = [await world.engine.get(execution_id) for execution_id in (a, b)]
    assert [view.execution.state for view in ended] == ["lost", "cancelled"]
    assert {view.execution.reason for view in ended} == {"server_stopped"}
    viewer = await world.view("a.ipynb")
    (shown,) = viewer.cell("c0")["outputs"]
    assert "is not known" in "".join(shown["traceback"])
    assert await world.engine.outputs(a) == [shown]


async def test_r2_a_notebook_that_two_kernels_ran_in(crash: Crash) -> None:
    """R2: one goes on first, and begins with a cell that the other ran last: that is its now."""
    world, journal = crash.world, crash.journal
    accepted, (before,) = await crash.submit("a")
    journal.begin(before)
    journal.print(before, "before\n")
    journal.end(before)
    await world.over(accepted)
    await crash.stored(5)
    old = crash.kernel_id
    crash.kernel_id = world.host.add("another", "a.ipynb")
    journal.messages.clear()
    again = await world.submit("a.ipynb")
    run = again.executions[0].execution.id
    journal.link = await world.link(again)
    world.store.submit([PutKernel(crash.kernel_id, {})])
    await world.store.flush()
    await world.kill()
    world.host.links.clear()
    world.host.is_ready_at_once = False
    await world.start(adopted=[crash.kernel_id])
    journal.link = await world.link_of(crash.kernel_id)
    journal.begin(run)
    await world.engine.resume(StoredKernel(old, 5, None, None), [])
    journal.print(run, "now\n")
    journal.end(run)
    await world.ended(run)
    assert text_of(await world.engine.outputs(run)) == "now\n"
    live = await world.live("a.ipynb")
    assert live.notebook is not None
    assert text_of(live.notebook.outputs(CellId("c0"))) == "now\n"
