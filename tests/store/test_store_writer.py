"""Order, grouping and failures of what is submitted."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from notebook_exec.core.model import DocumentId, RequestId
from notebook_exec.store import AppendUpdate, PutRequest, Store, StoreError
from notebook_exec.store.writer import Outcome

DOC = DocumentId("json:notebook:1")


async def stored_updates(store: Store) -> list[bytes]:
    document = await store.load_document(DOC)
    return [] if document is None else document.updates


async def test_then_comes_after_the_commit_and_in_order(store: Store, told: Any) -> None:
    """R4: Whoever is told that something is durable finds it on disk."""
    other = sqlite3.connect(store.path / "notebook_exec.sqlite")
    seen: list[int] = []

    def then(number: int) -> None:
        (count,) = other.execute("SELECT count(*) FROM updates").fetchone()
        assert count > number
        seen.append(number)

    for number in range(300):
        store.submit(
            [AppendUpdate(DOC, b"x")], lambda durable, n=number: then(n) if durable else None
        )
        if number % 7 == 0:
            await asyncio.sleep(0)
    assert await store.flush()
    other.close()
    assert seen == list(range(300))


async def test_then_is_not_called_within_submit(store: Store, told: Any) -> None:
    store.submit([], told.then("empty"))
    assert told.answers == []
    assert await told.wait_for(1) == [("empty", True)]


async def test_r4_told_within_submit_where_that_is_allowed(store: Store, told: Any) -> None:
    """R4: after the commit all the same, and never before what was submitted earlier is told."""
    other = sqlite3.connect(store.path / "notebook_exec.sqlite")
    counts: list[int] = []

    def then(_durable: bool) -> None:
        counts.append(other.execute("SELECT count(*) FROM updates").fetchone()[0])

    store.submit([AppendUpdate(DOC, b"x")], then, at_once=True)
    assert counts == [1]
    store.submit([AppendUpdate(DOC, b"x")], told.then("first"))
    store.submit([AppendUpdate(DOC, b"x")], told.then("second"), at_once=True)
    assert told.answers == []
    assert await told.wait_for(2) == [("first", True), ("second", True)]
    other.close()


async def test_what_waits_is_written_in_one_transaction(
    store: Store, told: Any, gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One report to the loop for all that was committed at once; the loop goes on meanwhile."""
    outcomes: list[Outcome] = []
    report = store._writer._report
    monkeypatch.setattr(
        store._writer, "_report", lambda outcome: (outcomes.append(outcome), report(outcome))
    )
    hung = gate()
    store.submit([hung], told.then("hung"))
    await asyncio.to_thread(hung.entered.wait, 20)
    for number in range(100):
        store.submit([AppendUpdate(DOC, b"x")], told.then(str(number)))
    assert told.answers == []
    hung.opened.set()
    await told.wait_for(101)
    assert [name for name, _ in told.answers] == ["hung", *map(str, range(100))]
    assert [len(outcome.answers) for outcome in outcomes] == [1, 100]


@pytest.fixture
def broken_group(
    store: Store, told: Any, gate: Any, fails: Any
) -> Callable[[Exception], Awaitable[None]]:
    """Submits three batches that are written together; the one in the middle fails."""

    async def submit(error: Exception) -> None:
        hung = gate()
        store.submit([hung])
        await asyncio.to_thread(hung.entered.wait, 20)
        store.submit([AppendUpdate(DOC, b"1")], told.then("before"))
        store.submit([AppendUpdate(DOC, b"bad"), fails(error)], told.then("wrong"))
        store.submit([AppendUpdate(DOC, b"2")], told.then("after"))
        hung.opened.set()

    return submit


@pytest.mark.parametrize(
    "error",
    [sqlite3.IntegrityError("constraint"), ValueError("no"), OverflowError("int"), TypeError("t")],
)
async def test_a_wrong_batch_harms_no_other(
    store: Store,
    told: Any,
    broken_group: Any,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """A batch that cannot be written is left out whole, said so, and the group goes on."""
    with caplog.at_level(logging.ERROR):
        await broken_group(error)
        await told.wait_for(3)
    assert told.answers == [("before", True), ("wrong", False), ("after", True)]
    assert await stored_updates(store) == [b"1", b"2"]
    assert str(error) in caplog.text


async def test_a_key_is_accepted_once(store: Store, told: Any) -> None:
    """A1: Two requests with one key cannot both be stored, with nothing of the second."""
    store.submit([PutRequest(RequestId("r1"), "key", "h1", 1.0)], told.then("first"))
    store.submit(
        [AppendUpdate(DOC, b"second"), PutRequest(RequestId("r2"), "key", "h2", 2.0)],
        told.then("second"),
    )
    assert await told.wait_for(2) == [("first", True), ("second", False)]
    found = await store.get_request_by_key("key")
    assert found is not None and found.request_id == "r1"
    assert await stored_updates(store) == []


async def test_a_failing_callback_keeps_no_other_from_being_told(store: Store, told: Any) -> None:
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))

    def breaks(durable: bool) -> None:
        raise ZeroDivisionError

    store.submit([], breaks)
    store.submit([], told.then("next"))
    assert await told.wait_for(1) == [("next", True)]
    assert [type(problem["exception"]) for problem in problems] == [ZeroDivisionError]


async def test_close_writes_and_tells_all_first_and_can_be_called_twice(
    tmp_path: Path, told: Any
) -> None:
    store = await Store.open(tmp_path)
    for number in range(50):
        store.submit([AppendUpdate(DOC, b"x")], told.then(str(number)))
    await asyncio.gather(store.close(), store.close())
    assert told.answers == [(str(number), True) for number in range(50)]
    await store.close()
    with pytest.raises(StoreError):
        store.submit([])
    with pytest.raises(StoreError):
        await store.load_document(DOC)
    again = await Store.open(tmp_path)
    assert len(await stored_updates(again)) == 50
    await again.close()
