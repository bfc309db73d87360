"""Executions and requests come back as they were stored."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notebook_exec.core.model import (
    CellId,
    DocumentId,
    Execution,
    ExecutionError,
    ExecutionId,
    ExecutionState,
    KernelId,
    OnError,
    Prompt,
    Reason,
    RequestId,
    Timing,
    User,
)
from notebook_exec.store import PutExecution, PutRequest, Store, StoredRequest

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)  # surrogates too
ID = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
MOMENT = st.floats(0, 1e11, allow_nan=False)
TIMING = st.builds(Timing, *[st.none() | ANY_TEXT] * 5)
EXECUTION = st.builds(
    Execution,
    id=ID.map(ExecutionId),
    request_id=ID.map(RequestId),
    kernel_id=ID.map(KernelId),
    document_id=st.none() | ID.map(DocumentId),
    cell_id=st.none() | ID.map(CellId),
    source=ANY_TEXT,
    requested_by=st.builds(User, ANY_TEXT, ANY_TEXT),
    queued_at=MOMENT,
    client_id=st.none() | ANY_TEXT,
    state=st.sampled_from(ExecutionState),
    reason=st.none() | st.sampled_from(Reason),
    started_at=st.none() | MOMENT,
    ended_at=st.none() | MOMENT,
    execution_count=st.none() | st.integers(0),
    error=st.none()
    | st.builds(ExecutionError, ANY_TEXT, ANY_TEXT, st.lists(ANY_TEXT, max_size=3).map(tuple)),
    prompt=st.none() | st.builds(Prompt, ANY_TEXT, st.booleans()),
    timing=TIMING,
    on_error=st.sampled_from(OnError),
    raises_exception=st.booleans(),
    skip=st.booleans(),
    allow_stdin=st.booleans(),
    record_timing=st.booleans(),
    store_history=st.booleans(),
    time_limit_s=st.none() | MOMENT,
    ended_by=st.none() | st.builds(User, ANY_TEXT, ANY_TEXT),
)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EXECUTION, max_size=5, unique_by=lambda execution: execution.id))
def test_every_execution_comes_back_exactly(executions: list[Execution]) -> None:
    """Q12: Who, when, how long and how it ended is kept; O14: whatever characters it holds."""

    async def scenario(folder: Path) -> None:
        store = await Store.open(folder)
        store.submit([PutExecution(execution) for execution in executions])
        assert [await store.get_execution(execution.id) for execution in executions] == executions
        assert await store.find_executions() == executions
        await store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


def test_strategy_covers_every_field() -> None:
    """A field added to the model and forgotten in the codec must not go unnoticed."""
    fields = set(Execution.__dataclass_fields__)
    assert fields == {
        "id", "request_id", "kernel_id", "document_id", "cell_id", "source", "requested_by",
        "queued_at", "client_id", "state", "reason", "started_at", "ended_at", "execution_count",
        "error", "prompt", "timing", "on_error", "raises_exception", "skip", "allow_stdin",
        "record_timing", "store_history", "time_limit_s", "ended_by",
    }  # fmt: skip


async def test_a_later_state_replaces_the_earlier_one(
    store: Store, make_execution: Callable[..., Execution]
) -> None:
    queued = make_execution("e1")
    store.submit([PutExecution(queued), PutExecution(make_execution("e2"))])
    failed = replace(
        queued,
        state=ExecutionState.FAILED,
        started_at=2.0,
        ended_at=3.0,
        error=ExecutionError("E", "v", ("tb",)),
    )
    store.submit([PutExecution(failed)])
    assert [e.id for e in await store.find_executions()] == ["e1", "e2"]
    assert await store.get_execution(queued.id) == failed
    assert await store.get_execution(ExecutionId("e3")) is None


async def test_executions_are_found_by_what_they_belong_to(
    store: Store, make_execution: Callable[..., Execution]
) -> None:
    one = make_execution("e1")
    two = replace(make_execution("e2", cell="b"), request_id=RequestId("r2"))
    other = replace(make_execution("e3", document="json:notebook:2"), kernel_id=KernelId("k2"))
    free = replace(make_execution("e4", document=None, cell=None), state=ExecutionState.RUNNING)
    store.submit([PutExecution(execution) for execution in (one, two, other, free)])
    find = store.find_executions
    assert await find(document_id=DocumentId("json:notebook:1")) == [one, two]
    assert await find(document_id=DocumentId("json:notebook:1"), cell_id=CellId("b")) == [two]
    assert await find(kernel_id=KernelId("k2")) == [other]
    assert await find(request_id=RequestId("r2")) == [two]
    assert await find(states=[ExecutionState.RUNNING, ExecutionState.LOST]) == [free]
    assert await find(states=[]) == []
    assert await find(limit=2) == [other, free]


async def test_unfinished_executions_come_in_queue_order(
    store: Store, make_execution: Callable[..., Execution]
) -> None:
    """R2: After a restart the queue is known, in its order."""
    names = ["z", "a", "m", "b"]
    store.submit([PutExecution(make_execution(name)) for name in names])
    waits = replace(make_execution("m"), state=ExecutionState.WAITING_INPUT)
    done = replace(make_execution("a"), state=ExecutionState.FINISHED, ended_at=9.0)
    store.submit([PutExecution(waits), PutExecution(done)])
    assert [e.id for e in await store.unfinished_executions()] == ["z", "m", "b"]


async def test_a_request_is_found_by_its_key(store: Store) -> None:
    """A1: The same key leads to the request that was accepted, and its body's hash."""
    store.submit([PutRequest(RequestId("r1"), "key", "hash", 7.5)])
    store.submit([PutRequest(RequestId("r2"), None, None, 8.5)])
    store.submit([PutRequest(RequestId("r3"), None, None, 9.5)])
    found = await store.get_request_by_key("key")
    assert found == StoredRequest(RequestId("r1"), "key", "hash", 7.5)
    assert await store.get_request_by_key("other") is None


async def test_history_is_pruned_with_its_requests(
    store: Store, make_execution: Callable[..., Execution]
) -> None:
    """A2: Records are kept history_days, what has not ended longer; A1: keys go with them."""
    day = 86_400.0

    def put(name: str, ended_at: float | None) -> None:
        execution = replace(make_execution(name), request_id=RequestId(name), ended_at=ended_at)
        if ended_at is not None:
            execution = replace(execution, state=ExecutionState.FINISHED)
        request = PutRequest(execution.request_id, f"key {name}", "hash", 0.0)
        store.submit([request, PutExecution(execution)])

    for number in range(1201):
        put(f"old {number}", 1 * day)
    put("young", 80 * day)
    put("runs", None)
    await store.prune(100 * day, 30)
    assert [e.id for e in await store.find_executions()] == ["young", "runs"]
    assert await store.get_request_by_key("key old 7") is None
    assert await store.get_request_by_key("key young") is not None
    assert await store.get_request_by_key("key runs") is not None


async def test_the_room_of_old_history_is_used_again(
    store: Store, make_execution: Callable[..., Execution]
) -> None:
    """A2: What was pruned does not make the file grow for ever."""

    async def a_day() -> int:
        for number in range(100):
            execution = replace(make_execution(f"e{number}"), source="x" * 20_000, ended_at=1.0)
            store.submit([PutExecution(execution)])
        await store.prune(1e9, 1)
        (count,) = store._reader.execute("PRAGMA page_count").fetchone()
        return int(count)

    first = await a_day()
    later = [await a_day() for _ in range(5)]
    assert max(later) < 1.5 * first
