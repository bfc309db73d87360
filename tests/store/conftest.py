"""Stores in temporary folders, and ops that stop or break the writer on purpose."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from notebook_exec.core.model import (
    CellId,
    DocumentId,
    Execution,
    ExecutionId,
    KernelId,
    RequestId,
    User,
)
from notebook_exec.store import Store

WAIT_S = 20.0


@dataclass(frozen=True)
class Gate:
    """An op that holds the writer until it is opened."""

    entered: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def apply(self, connection: sqlite3.Connection) -> None:
        self.entered.set()
        assert self.opened.wait(WAIT_S)


@dataclass(frozen=True)
class Fails:
    """An op that cannot be applied."""

    error: Exception

    def apply(self, connection: sqlite3.Connection) -> None:
        raise self.error


class Told:
    """Collects what ``then`` is told, with a name for each batch."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, bool]] = []
        self._changed = asyncio.Event()

    def then(self, name: str) -> Callable[[bool], None]:
        def told(durable: bool) -> None:
            self.answers.append((name, durable))
            self._changed.set()

        return told

    async def wait_for(self, count: int) -> list[tuple[str, bool]]:
        async def wait() -> None:
            while len(self.answers) < count:
                self._changed.clear()
                await self._changed.wait()

        await asyncio.wait_for(wait(), WAIT_S)
        return self.answers


@pytest.fixture
def gate() -> type[Gate]:
    return Gate


@pytest.fixture
def fails() -> type[Fails]:
    return Fails


@pytest_asyncio.fixture
async def told() -> Told:
    return Told()


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "state")
    yield store
    await store.close()


@pytest.fixture
def make_execution() -> Callable[..., Execution]:
    def make(
        id_: str, *, document: str | None = "json:notebook:1", cell: str | None = "a"
    ) -> Execution:
        return Execution(
            id=ExecutionId(id_),
            request_id=RequestId("r1"),
            kernel_id=KernelId("k1"),
            document_id=None if document is None else DocumentId(document),
            cell_id=None if cell is None else CellId(cell),
            source="1 + 1",
            requested_by=User("ada", "Ada"),
            queued_at=1.5,
        )

    return make
