"""What users should read goes out as events that fit their schema."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jupyter_events import EventLogger

from notebook_exec.core.model import DocumentId
from notebook_exec.documents.agreement import Notice
from notebook_exec.server.notices import SCHEMA_ID, Notices


@pytest.fixture
def emitted() -> tuple[EventLogger, asyncio.Queue[dict[str, Any]]]:
    events = EventLogger()
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    Notices(events)

    async def listen(logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
        queue.put_nowait(data)

    events.add_listener(schema_id=SCHEMA_ID, listener=listen)
    return events, queue


async def test_a_conflict_names_document_and_path(
    emitted: tuple[EventLogger, asyncio.Queue[dict[str, Any]]],
) -> None:
    """D5: the version that lost is named in a notice."""
    events, queue = emitted
    Notices(events).of_document(DocumentId("json:notebook:1"), "a.ipynb", Notice("kept as b.ipynb"))
    told = await asyncio.wait_for(queue.get(), 10)
    assert told["message"] == "kept as b.ipynb"
    assert (told["document_id"], told["path"]) == ("json:notebook:1", "a.ipynb")
    assert told["level"] == "warning"
    assert "topic" not in told


async def test_a_trouble_and_its_end_share_a_topic(
    emitted: tuple[EventLogger, asyncio.Queue[dict[str, Any]]],
) -> None:
    """D4: pages take back what they said when a document can be saved again."""
    events, queue = emitted
    for notice in (Notice("no room", "saving"), Notice("room", "saving", is_over=True)):
        Notices(events).of_document(DocumentId("json:notebook:1"), None, notice)
    told = [await asyncio.wait_for(queue.get(), 10) for _ in range(2)]
    assert [(one["level"], one["topic"]) for one in told] == [
        ("warning", "saving"),
        ("info", "saving"),
    ]


async def test_a_full_disk_is_told_and_its_end_too(
    emitted: tuple[EventLogger, asyncio.Queue[dict[str, Any]]],
) -> None:
    """R7: the user is told, also that it is over."""
    events, queue = emitted
    notices = Notices(events)
    notices.store_in_trouble("database or disk is full")
    first = await asyncio.wait_for(queue.get(), 10)
    assert first["level"] == "error"
    assert "disk is full" in first["message"]
    notices.store_recovered()
    over = await asyncio.wait_for(queue.get(), 10)
    assert (over["level"], over["topic"]) == ("info", first["topic"])
