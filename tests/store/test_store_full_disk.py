"""A disk that takes nothing more, and takes it again later."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from notebook_exec.core.model import DocumentId, Execution, RequestId
from notebook_exec.store import (
    AgreeFile,
    AppendUpdate,
    Compact,
    PutDocument,
    PutExecution,
    PutRequest,
    Store,
)

DOC = DocumentId("json:notebook:1")
WAIT_S = 20.0


class Disk:
    """A store whose file cannot grow while it is full, and what the store says of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.said: list[str] = []
        self.recovered = asyncio.Event()
        store.on_trouble = self.said.append
        store.on_recovered = self._recovered

    def _recovered(self) -> None:
        self.said.append("recovered")
        self.recovered.set()

    def set_full(self, is_full: bool) -> None:
        # A small count means: not a page more than there is now.
        pages = 1 if is_full else 1_000_000
        self.store._writer._connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    async def wait_until_recovered(self) -> None:
        await asyncio.wait_for(self.recovered.wait(), WAIT_S)


@pytest_asyncio.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    store = await Store.open(tmp_path / "state", retry_s=0.05)
    yield Disk(store)
    await store.close()


async def updates(store: Store) -> list[bytes]:
    document = await store.load_document(DOC)
    return [] if document is None else document.updates


BIG = b"x" * 200_000


async def test_work_goes_on_in_memory_and_is_written_when_there_is_room(
    disk: Disk, told: Any
) -> None:
    """R7: Told once, kept in order, nothing written before is damaged, recovers by itself."""
    store = disk.store
    store.submit([AppendUpdate(DOC, b"before")])
    assert await store.flush()
    disk.set_full(True)
    sent = [BIG + bytes([number]) for number in range(5)]
    for number, update in enumerate(sent):
        store.submit([AppendUpdate(DOC, update)], told.then(str(number)))
        await told.wait_for(number + 1)
    assert told.answers == [(str(number), False) for number in range(5)]
    assert len(disk.said) == 1 and "full" in disk.said[0]
    assert await store.flush() is False

    disk.set_full(False)
    await disk.wait_until_recovered()
    assert disk.said[1:] == ["recovered"]
    store.submit([AppendUpdate(DOC, b"after")], told.then("after"))
    await told.wait_for(6)
    assert told.answers[5:] == [("after", True)]
    assert await updates(store) == [b"before", *sent, b"after"]
    check = sqlite3.connect(store.path / "notebook_exec.sqlite")
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()


async def test_reads_see_what_is_kept_in_memory(
    disk: Disk, make_execution: Callable[..., Execution]
) -> None:
    """R7: A document that is opened while the disk is full has all that was done to it."""
    store = disk.store
    store.submit([AppendUpdate(DOC, b"1"), AppendUpdate(DOC, b"2")])
    await store.flush()
    disk.set_full(True)
    execution = make_execution("e1")
    store.submit([AppendUpdate(DOC, BIG), PutDocument(DOC, "a.ipynb", "session")])
    store.submit([PutExecution(execution), PutRequest(RequestId("r1"), "key", "hash", 1.0)])
    store.submit([AgreeFile(DOC, "b.ipynb", "h", b"content", 3.0)])
    document = await store.load_document(DOC)
    assert document is not None and document.agreed is not None
    assert document.updates == [b"1", b"2", BIG]
    assert (document.path, document.session) == ("b.ipynb", "session")
    assert document.agreed.content == b"content"
    assert await store.get_execution(execution.id) == execution
    request = await store.get_request_by_key("key")
    assert request is not None and request.request_id == "r1"
    disk.set_full(False)
    await disk.wait_until_recovered()
    assert await store.load_document(DOC) == document
    assert await store.get_execution(execution.id) == execution


async def test_compaction_bounds_what_is_kept_in_memory(disk: Disk) -> None:
    """R7: Updates that a state says all over again are not kept beside it."""
    store = disk.store
    disk.set_full(True)
    for _ in range(10):
        store.submit([AppendUpdate(DOC, BIG)])
    store.submit([Compact(DOC, b"state" + BIG)])
    store.submit([AppendUpdate(DOC, b"later")])
    assert await store.flush() is False
    assert sum(len(batch.ops) for batch in store._unwritten) == 2
    disk.set_full(False)
    await disk.wait_until_recovered()
    assert await updates(store) == [b"state" + BIG, b"later"]


async def test_a_wrong_batch_does_not_block_the_recovery(disk: Disk, fails: Any) -> None:
    """R7: What can never be written is left out when the rest is."""
    store = disk.store
    disk.set_full(True)
    store.submit([AppendUpdate(DOC, BIG)])
    store.submit([AppendUpdate(DOC, b"bad"), fails(ValueError("wrong"))])
    store.submit([AppendUpdate(DOC, b"good")])
    assert await store.flush() is False
    disk.set_full(False)
    await disk.wait_until_recovered()
    assert await updates(store) == [BIG, b"good"]


async def test_closing_on_a_full_disk_ends_and_leaves_the_store_whole(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """R7: Nothing written before is damaged, even if the server stops meanwhile."""
    store = disk.store
    store.submit([AppendUpdate(DOC, b"before")])
    await store.flush()
    disk.set_full(True)
    store.submit([AppendUpdate(DOC, BIG)])
    await store.close()
    assert "lost" in caplog.text
    again = await Store.open(store.path)
    assert await updates(again) == [b"before"]
    await again.close()


async def test_a_file_that_cannot_grow_is_a_full_disk_too(disk: Disk, told: Any) -> None:
    """R7: The write itself fails, as with a quota, in the middle of a transaction."""
    store = disk.store
    store.submit([AppendUpdate(DOC, b"before")])
    await store.flush()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        sent = [bytes([number]) * 150_000 for number in range(20)]
        for number, update in enumerate(sent):
            store.submit([AppendUpdate(DOC, update)], told.then(str(number)))
            await told.wait_for(number + 1)
        assert not told.answers[-1][1]
        assert len(disk.said) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await disk.wait_until_recovered()
    assert await updates(store) == [b"before", *sent]
