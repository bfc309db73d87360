"""The ledger: waits end by what is committed, events are numbered and can be resumed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from notebook_exec.core.model import (
    CellId,
    DocumentId,
    Execution,
    ExecutionId,
    ExecutionState,
    KernelId,
    RequestId,
    User,
)
from notebook_exec.engine.ledger import Ledger


def execution(name: str, state: ExecutionState = ExecutionState.QUEUED) -> Execution:
    return Execution(
        id=ExecutionId(name),
        request_id=RequestId("r"),
        kernel_id=KernelId("k"),
        document_id=DocumentId("d"),
        cell_id=CellId("c"),
        source="",
        requested_by=User("ada", "Ada"),
        queued_at=0.0,
        state=state,
    )


def is_over(given: Execution) -> bool:
    return given.state.is_final


def ended(name: str) -> Execution:
    return execution(name, ExecutionState.FINISHED)


async def test_a2_many_wait_for_one() -> None:
    """A2: all who wait are woken by the end, and by nothing before it."""
    ledger = Ledger()
    ledger.publish([execution("a"), execution("b")])
    waits = [
        asyncio.ensure_future(ledger.wait(ExecutionId("a"), is_over, timeout_s=20))
        for _ in range(3)
    ]
    await asyncio.sleep(0)
    ledger.publish([execution("a", ExecutionState.RUNNING)])
    ledger.publish([ended("b")])
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    ledger.publish([ended("a")])
    await asyncio.wait_for(asyncio.gather(*waits), 20)


async def test_a7_a_wait_has_an_end() -> None:
    """A7: at its time; at once if it is over, unknown, or the ledger is closed."""
    ledger = Ledger()
    ledger.publish([execution("a"), ended("b")])
    await ledger.wait(ExecutionId("a"), is_over, timeout_s=0.01)
    await ledger.wait(ExecutionId("a"), is_over, timeout_s=0)
    await ledger.wait(ExecutionId("b"), is_over, timeout_s=20)
    await ledger.wait(ExecutionId("nobody"), is_over, timeout_s=20)
    waiting = asyncio.ensure_future(ledger.wait(ExecutionId("a"), is_over, timeout_s=20))
    await asyncio.sleep(0)
    ledger.close()
    await asyncio.wait_for(waiting, 10)
    await ledger.wait(ExecutionId("a"), is_over, timeout_s=20)


async def test_a7_a_wait_that_is_given_up_leaves_nothing() -> None:
    """A7: a client that goes away keeps no waiter alive, and the others are still woken."""
    ledger = Ledger()
    ledger.publish([execution("a")])
    stays, goes = (
        asyncio.ensure_future(ledger.wait(ExecutionId("a"), is_over, timeout_s=20))
        for _ in range(2)
    )
    await asyncio.sleep(0)
    goes.cancel()
    await asyncio.wait([goes])
    assert sum(map(len, ledger._waiters.values())) == 1
    ledger.publish([ended("a")])
    await asyncio.wait_for(stays, 20)


async def take(ledger: Ledger, count: int, after: int | None) -> list[tuple[int, str, str]]:
    taken = []
    events = ledger.events(after, lambda given: given.id != "hidden")
    async for number, given in events:
        taken.append((number, str(given.id), given.state.value))
        if len(taken) == count:
            break
    await events.aclose()  # type: ignore[attr-defined]
    return taken


async def test_a2_events_resume_where_they_were_left() -> None:
    """A2: each change once, in order, numbers growing, also past a gap in the connection."""
    ledger = Ledger()
    ledger.publish([execution("before")])
    first = asyncio.ensure_future(take(ledger, 2, None))
    await asyncio.sleep(0)
    ledger.publish([execution("a"), execution("hidden")])
    ledger.publish([execution("a", ExecutionState.RUNNING)])
    seen = await asyncio.wait_for(first, 20)
    assert [event[1:] for event in seen] == [("a", "queued"), ("a", "running")]
    ledger.publish([execution("b")])
    ledger.publish([ended("a")])
    rest = await asyncio.wait_for(take(ledger, 2, seen[-1][0]), 20)
    assert [event[1:] for event in rest] == [("b", "queued"), ("a", "finished")]
    numbers = [event[0] for event in seen + rest]
    assert numbers == sorted(set(numbers))
    assert await asyncio.wait_for(take(ledger, 2, 0), 20) != seen  # "before" comes first
    assert not ledger._listeners


async def test_r3_events_resume_with_a_number_of_the_server_before() -> None:
    """R3, A2: a reader of the server before waits for what comes; the loop is not kept busy."""
    before = Ledger()
    before.publish([execution("a")])
    ((number, _, _),) = await asyncio.wait_for(take(before, 1, 0), 20)
    ledger = Ledger()
    assert number < ledger.sequence
    waiting = asyncio.ensure_future(take(ledger, 1, number))
    await asyncio.sleep(0)  # comes back only if the reader waits
    assert not waiting.done()
    ledger.publish([execution("b")])
    ((_, name, _),) = await asyncio.wait_for(waiting, 20)
    assert name == "b"


async def test_a2_events_end_with_the_server() -> None:
    """A2: a stream that waits ends; numbers of the next server are greater."""
    ledger = Ledger()
    stream = asyncio.ensure_future(take(ledger, 1, None))
    await asyncio.sleep(0)
    ledger.close()
    assert await asyncio.wait_for(stream, 20) == []
    later = Ledger()
    assert later._sequence >= ledger._sequence


def test_l2_only_recent_ones_stay_in_memory() -> None:
    """L2: of those that are over the latest, of the others all."""
    ledger = Ledger(keep=3, keep_events=4)
    ledger.publish([execution("runs", ExecutionState.RUNNING)])
    for number in range(100):
        ledger.publish([execution(f"e{number}")])
        ledger.publish([ended(f"e{number}")])
    assert [str(given.id) for given in ledger.all()] == ["runs", "e97", "e98", "e99"]
    assert len(ledger._events) == 4


def test_a2_the_last_run_of_a_cell() -> None:
    """A2: the run that started last, whichever was queued first."""
    ledger = Ledger()
    key = (DocumentId("d"), CellId("c"))
    assert ledger.last_run(key) is None
    assert ledger.started(key, ExecutionId("a")) is None
    assert ledger.started(key, ExecutionId("b")) == "a"
    assert ledger.last_run(key) == "b"
    other = replace(execution("x"), cell_id=CellId("other"))
    assert ledger.last_run((DocumentId("d"), other.cell_id or CellId(""))) is None
