"""Documents, kernels and named values come back as they were stored."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

from notebook_exec.core.model import DocumentId, ExecutionId, KernelId
from notebook_exec.store import (
    AgreeFile,
    AppendUpdate,
    Compact,
    DropDocument,
    DropKernel,
    FileAgreement,
    PutDocument,
    PutKernel,
    PutMemory,
    SetPosition,
    SetWidgets,
    Store,
    StoredDocument,
    StoredKernel,
)

DOC, OTHER = DocumentId("json:notebook:1"), DocumentId("json:notebook:2")
KERNEL = KernelId("k1")


async def test_updates_come_back_in_order_after_reopening(tmp_path: Path) -> None:
    """R6: What was committed is there after the start."""
    store = await Store.open(tmp_path)
    updates = [bytes([number]) * number for number in range(200)]
    for update in updates:
        store.submit([AppendUpdate(DOC, update), AppendUpdate(OTHER, b"x")])
    await store.close()
    store = await Store.open(tmp_path)
    document = await store.load_document(DOC)
    assert document == StoredDocument(DOC, updates=updates)
    assert await store.load_document(DocumentId("none")) is None
    await store.close()


async def test_a_read_sees_what_was_submitted_before(store: Store) -> None:
    for number in range(50):
        store.submit([AppendUpdate(DOC, b"x")])
        document = await store.load_document(DOC)
        assert document is not None
        assert len(document.updates) == number + 1


async def test_compaction_replaces_what_came_before_it_alone(store: Store) -> None:
    """D9: One state instead of the updates up to it, in order with all else."""
    store.submit([AppendUpdate(DOC, b"a"), AppendUpdate(OTHER, b"o"), AppendUpdate(DOC, b"b")])
    store.submit([Compact(DOC, b"ab"), AppendUpdate(DOC, b"c")])
    store.submit([AppendUpdate(DOC, b"d")])
    document, other = await store.load_document(DOC), await store.load_document(OTHER)
    assert document is not None and document.updates == [b"ab", b"c", b"d"]
    assert other is not None and other.updates == [b"o"]


async def test_bytes_since_the_last_compaction_are_counted(tmp_path: Path) -> None:
    """D9: The engine learns when to compact, also after a restart."""
    store = await Store.open(tmp_path)
    assert store.document_bytes(DOC) == 0
    store.submit([AppendUpdate(DOC, b"12345"), AppendUpdate(OTHER, b"1")])
    assert store.document_bytes(DOC) == 5
    store.submit([Compact(DOC, b"1234567")])
    assert store.document_bytes(DOC) == 0
    store.submit([AppendUpdate(DOC, b"123")])
    await store.close()
    store = await Store.open(tmp_path)
    await store.load_document(DOC)
    assert store.document_bytes(DOC) == 3
    store.submit([AppendUpdate(DOC, b"12")])
    await store.load_document(DOC)
    assert store.document_bytes(DOC) == 5
    await store.close()


async def test_the_store_does_not_grow_with_a_document_s_history(tmp_path: Path) -> None:
    """D9: What the store holds stays below 4 times the state plus 16 MiB."""
    store = await Store.open(tmp_path)
    state = b"s" * 100_000
    for _ in range(400):  # 200 MB of updates in all, compacted at each MB
        for _ in range(10):
            store.submit([AppendUpdate(DOC, b"u" * 50_000)])
        store.submit([Compact(DOC, state)])
        await store.flush()
    held = (tmp_path / "notebook_exec.sqlite").stat().st_size
    await store.close()
    assert held < 4 * len(state) + 16 * 2**20


async def test_file_agreement_and_document_data_come_back(store: Store) -> None:
    """D5: What file and document last agreed on is known."""
    content = b'{"cells": []}' * 1000
    store.submit([PutDocument(DOC, "a.ipynb", "session-1")])
    assert await store.load_document(DOC) == StoredDocument(DOC, "a.ipynb", "session-1")
    store.submit([AgreeFile(DOC, "b.ipynb", "h1", content, 12.25)])
    document = await store.load_document(DOC)
    assert document == StoredDocument(
        DOC, "b.ipynb", "session-1", [], FileAgreement("b.ipynb", "h1", content, 12.25)
    )
    packed = zlib.compress(b"other")
    store.submit([AgreeFile(DOC, "b.ipynb", "h2", packed, None, is_compressed=True)])
    document = await store.load_document(DOC)
    assert document is not None
    assert document.agreed == FileAgreement("b.ipynb", "h2", b"other", None)


async def test_agreed_content_is_kept_compressed(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    store.submit([AgreeFile(DOC, "a.ipynb", "h", b"x" * 1_000_000, 1.0)])
    await store.close()
    connection = sqlite3.connect(tmp_path / "notebook_exec.sqlite")
    (size,) = connection.execute("SELECT length(agreed_content) FROM documents").fetchone()
    connection.close()
    assert size < 10_000


async def test_a_dropped_document_is_gone(store: Store) -> None:
    store.submit([PutDocument(DOC, "a.ipynb"), AppendUpdate(DOC, b"a"), AppendUpdate(OTHER, b"o")])
    store.submit([DropDocument(DOC)])
    assert await store.load_document(DOC) is None
    assert store.document_bytes(DOC) == 0
    assert await store.load_document(OTHER) is not None


async def test_kernels_come_back_with_all_that_is_needed_to_go_on(store: Store) -> None:
    """R2: What adoption needs is known after a restart, and forgotten with the kernel."""
    record = {"name": "python3", "provisioner": {"pid": 7, "ports": [1, 2]}}
    widgets = {"comm": {"msg_id": "e1", "outputs": [], "memory": {}}}
    run, other = ExecutionId("e1"), ExecutionId("e2")
    store.submit([SetPosition(KERNEL, 3)])
    assert await store.kernels() == [StoredKernel(KERNEL, None, 3, None)]
    store.submit([PutKernel(KERNEL, record), SetWidgets(KERNEL, widgets)])
    store.submit([SetPosition(KERNEL, 2**53)])
    assert await store.kernels() == [StoredKernel(KERNEL, record, 2**53, widgets)]
    store.submit([PutMemory(run, KERNEL, {"cursor": "a"}), PutMemory(other, KERNEL, {"b": 1})])
    store.submit([PutMemory(run, KERNEL, {"cursor": "b"}), PutMemory(other, KERNEL, {})])
    assert await store.memories(KERNEL) == {run: {"cursor": "b"}}
    store.submit([DropKernel(KERNEL)])
    assert await store.kernels() == []
    assert await store.memories(KERNEL) == {}


async def test_what_is_submitted_together_is_one_transaction(store: Store) -> None:
    """R2: Two documents that one kernel writes to are stored up to the same position."""
    told: list[str] = []

    with store.together():
        store.submit([AppendUpdate(DOC, b"a")], lambda durable: told.append("a"))
        with store.together():
            store.submit([AppendUpdate(OTHER, b"b")], lambda durable: told.append("b"))
        store.submit([_Wrong()], lambda durable: told.append("c"))
    await store.flush()
    assert told == ["a", "b", "c"]
    assert await store.load_document(DOC) is None
    assert await store.load_document(OTHER) is None


class _Wrong:
    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO meta (key, value) VALUES ('key', NULL)")


async def test_named_values(store: Store) -> None:
    assert await store.get_meta("session") is None
    await store.set_meta("session", "one")
    await store.set_meta("session", "two")
    assert await store.get_meta("session") == "two"
    await store.set_meta("session", None)
    assert await store.get_meta("session") is None
