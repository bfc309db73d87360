"""The next cell waits where the kernel is, and all that is promised of a queue holds."""

from __future__ import annotations

import asyncio
import random

import pytest
from distant_link import DistantLink
from engine_harness import ADA, BOB, World, states
from fake_link import Sent

from notebook_exec.core.model import (
    CellId,
    Execution,
    ExecutionState,
    KernelId,
    OnError,
    Reason,
)
from notebook_exec.engine.api import CellRequest
from notebook_exec.engine.settings import EngineSettings
from notebook_exec.kernels.link import Link, LinkListener

PATIENT = EngineSettings(frame_interval_s=0.002, idle_grace_s=600, interrupt_grace_s=600)


async def test_q2_the_next_cell_of_a_request_is_at_hand(world: World) -> None:
    """Q2: of the same request, and with code; nothing of another request."""
    world.write("a.ipynb", "0", "  ", "skip", "3", "4", c2=["skip-execution"])
    accepted = await world.submit("a.ipynb", "c0", "c1", "c2", "c3")
    await world.submit("a.ipynb", "c4")
    link = await world.link(accepted)
    first = await link.request(0)
    third = accepted.executions[3].execution.id
    assert link.ahead == {third: first.id}
    link.run(first)
    second = await link.request(1)
    assert second.id == third
    link.run(second)
    await link.request(2)
    assert list(link.ahead) == [third]


async def test_q7_a_cell_that_is_cancelled_is_withdrawn_first(world: World) -> None:
    """Q7: only what does not begin any more is said to be cancelled while it was queued."""
    world.write("a.ipynb", "0", "1", "2")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    first = await link.request(0)
    second, third = (view.execution.id for view in accepted.executions[1:])
    link.may_withdraw = asyncio.Event()
    cancelling = asyncio.create_task(world.engine.cancel([second], BOB))
    await link.until(lambda: link.withdrawn == [second])
    assert (await world.engine.get(second)).execution.state is ExecutionState.QUEUED
    link.may_withdraw.set()
    (view,) = await cancelling
    assert view.execution.state is ExecutionState.CANCELLED
    assert link.ahead == {second: first.id, third: first.id}
    link.run(first)
    assert (await link.request(1)).id == third


async def test_q7_a_cell_that_began_before_it_could_be_withdrawn_is_interrupted(
    world: World,
) -> None:
    """Q7: then it is no queued cell any more, and ends as a running one that is cancelled."""
    world.write("a.ipynb", "0", "1")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    first = await link.request(0)
    second = accepted.executions[1].execution.id
    link.may_withdraw = asyncio.Event()
    cancelling = asyncio.create_task(world.engine.cancel([second], BOB))
    await link.until(lambda: link.withdrawn == [second])
    link.run(first)
    begun = await link.request(1)
    link.begin(begun)
    link.may_withdraw.set()
    await cancelling
    await link.until(lambda: link.interrupts == 1)
    link.fail(begun, "KeyboardInterrupt", "")
    assert states(await world.over(accepted)) == ["finished", "cancelled"]


async def test_q15_a_cell_that_ended_in_time_does_not_have_the_next_one_interrupted(
    world: World,
) -> None:
    """Q15: the interrupt at the limit is for the cell that overstepped it, and for no other."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", time_limit_s=0.05)
    link = await world.link(accepted)
    first = await link.request(0)
    link.may_withdraw = asyncio.Event()
    await link.until(lambda: link.withdrawn)
    link.run(first)
    second = Sent(accepted.executions[1].execution.id, "1", {})
    link.run(second, "begun without a word\n")
    link.may_withdraw.set()
    assert states(await world.over(accepted)) == ["finished", "finished"]
    assert link.interrupts == 0
    await viewer.until(lambda: viewer.text("c1") == "begun without a word\n")


async def test_q6_what_an_error_stops_is_withdrawn(world: World) -> None:
    """Q6: a run whose reply is missing ends, and what hung on it cannot begin later."""
    await world.start(engine=EngineSettings(frame_interval_s=0.002, idle_grace_s=0.05))
    world.write("a.ipynb", "0", "1")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    first = await link.request(0)
    second = accepted.executions[1].execution.id
    link.begin(first)
    link.fail(first)
    assert states(await world.over(accepted)) == ["failed", "cancelled"]
    await link.until(lambda: link.withdrawn == [second])


@pytest.mark.parametrize("seed", range(60))
async def test_q2_q7_q8_whatever_comes_between(world: World, seed: int) -> None:
    """Q2, Q7, Q8: a cell runs once, in its turn, or not at all, as is said of it in the end.

    Commands and messages take their time, so that cells are cancelled and deleted, and the kernel
    is interrupted, while the next cell begins without a word of the server.
    """
    rng = random.Random(seed)
    made: list[DistantLink] = []

    def connect(kernel_id: KernelId, listener: LinkListener, position: int | None = None) -> Link:
        made.append(DistantLink(kernel_id, listener, rng))
        return made[-1]

    world.host.connect = connect  # type: ignore[method-assign]
    world.host.add("k", "a.ipynb")
    await world.start(engine=PATIENT)
    names = [f"c{number}" for number in range(8)]
    world.write("a.ipynb", *names)
    viewer = await world.view("a.ipynb")
    requests = []
    for user in (ADA, BOB):
        cells = [
            CellRequest(CellId(name), source=rng.choice(["1", "2", "raise", "3", "4", " "]))
            for name in rng.sample(names, rng.randrange(2, 7))
        ]
        on_error = rng.choice([OnError.STOP, OnError.CONTINUE])
        requests.append(await world.submit("a.ipynb", *cells, on_error=on_error, requested_by=user))
    (link,) = made
    wanted = [view.execution for request in requests for view in request.executions]
    doing: set[asyncio.Task[object]] = set()
    ended = world.engine.ledger.get

    def is_over(execution: Execution) -> bool:
        known = ended(execution.id)
        return known is None or known.state.is_final

    disturbances = rng.randrange(4)
    while not (all(map(is_over, wanted)) and link.is_quiet and all(t.done() for t in doing)):
        if disturbances and rng.random() < 0.1:
            disturbances -= 1
            target = rng.choice(wanted)
            what = rng.randrange(3)
            if what == 0:
                doing.add(asyncio.create_task(world.engine.cancel([target.id], BOB)))
            elif what == 1:
                doing.add(asyncio.create_task(world.engine.interrupt_kernel(KernelId("k"), BOB)))
            elif str(target.cell_id) in viewer.cells():
                viewer.delete(str(target.cell_id))
        link.step()
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)
    order = []
    for execution in wanted:
        view = (await world.engine.get(execution.id)).execution
        was_run = link.ran[execution.id]
        assert was_run <= 1
        nothing_to_run = view.reason in (Reason.BLANK, Reason.SKIPPED)
        assert bool(was_run) is (view.started_at is not None), view
        assert nothing_to_run or was_run or view.state is ExecutionState.CANCELLED
        order += [execution.id] * was_run
    assert order == list(link.ran)
