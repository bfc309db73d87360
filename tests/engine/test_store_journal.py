"""How documents reach the store, and how their history stays small (D9)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pycrdt import Doc, Text

from notebook_exec.core.model import DocumentId
from notebook_exec.documents.filesync import FileAgreement
from notebook_exec.engine import journal as subject
from notebook_exec.engine.journal import StoreJournal, keep_agreement, load_state
from notebook_exec.store.store import Store

DOCUMENT = DocumentId("json:notebook:1")
FACTOR, SLACK_BYTES = 4, 16 * 2**20


async def test_d9_history_stays_below_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D9: below 4 times the state plus the slack at every moment, and it loads whole."""
    assert (subject.STATE_FACTOR, subject.SLACK_BYTES) <= (FACTOR, SLACK_BYTES)
    slack = 40_000
    monkeypatch.setattr(subject, "SLACK_BYTES", slack * 3 // 4)
    store = await Store.open(tmp_path)
    journal = StoreJournal(store)
    doc: Doc[Text] = Doc()
    journal.state_of = lambda _: doc.get_update()
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    text = doc.get("text", type=Text)
    largest = 0
    for number in range(600):  # a text that is rewritten again and again, and slowly grows
        text += "x" * 500
        if number % 3:
            del text[0:480]
        for update in updates:
            journal.append(DOCUMENT, update, (), lambda _: None)
        updates.clear()
        if number % 20 == 0:
            await store.flush()
            held = await load_state(store, DOCUMENT)
            assert held is not None
            stored = sum(map(len, held.updates))
            largest = max(largest, stored)
            assert stored < FACTOR * len(doc.get_update()) + slack
    assert largest > slack // 2  # the bound was near at times
    await store.flush()
    state = await load_state(store, DOCUMENT)
    assert state is not None
    loaded: Doc[Text] = Doc()
    for update in state.updates:
        loaded.apply_update(update)
    assert str(loaded.get("text", type=Text)) == str(text)
    await store.close()


async def test_d9_a_document_that_cannot_be_read_now_is_compacted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D9: nothing is thrown away meanwhile."""
    monkeypatch.setattr(subject, "SLACK_BYTES", 1000)
    store = await Store.open(tmp_path)
    journal = StoreJournal(store)
    journal.state_of = lambda _: None
    for _ in range(20):
        journal.append(DOCUMENT, b"x" * 100, (), lambda _: None)
    assert store.document_bytes(DOCUMENT) == 2000
    journal.state_of = lambda _: b"y" * 50
    journal.append(DOCUMENT, b"x" * 100, (), lambda _: None)
    await store.flush()
    state = await load_state(store, DOCUMENT)
    assert state is not None and list(state.updates) == [b"y" * 50]
    await store.close()


async def test_r4_then_is_called_after_the_commit(tmp_path: Path) -> None:
    """R4, D7: update and agreement are there when ``then`` is called, in another connection too."""
    store = await Store.open(tmp_path)
    journal = StoreJournal(store)
    agreement = FileAgreement(DOCUMENT, "a.ipynb", "hash", {"c0": "digest"}, "session")
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    journal.append(DOCUMENT, b"update", keep_agreement(agreement), done.set_result)
    assert await asyncio.wait_for(done, 20)
    state = await load_state(store, DOCUMENT)
    assert state is not None
    assert (list(state.updates), state.agreement) == ([b"update"], agreement)
    assert await load_state(store, DocumentId("json:notebook:other")) is None
    await store.close()
