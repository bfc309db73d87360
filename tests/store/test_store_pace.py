"""What is written on the event loop itself, and what is left to the writer's thread."""

from __future__ import annotations

import sqlite3
from typing import Any

from notebook_exec.core.model import DocumentId, ExecutionId, KernelId
from notebook_exec.store import AppendUpdate, Store
from notebook_exec.store.ops import Op, PutMemory, SetMeta, SetPosition
from notebook_exec.store.pace import Pace

DOC = DocumentId("json:notebook:1")
KERNEL = KernelId("k")
SMALL: list[Op] = [AppendUpdate(DOC, b"x"), SetPosition(KERNEL, 1)]


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def allowed(pace: Pace, times: int) -> int:
    return sum(pace.allows(SMALL) for _ in range(times))


def test_l1_only_what_is_small_is_written_on_the_loop() -> None:
    """L1: a megabyte, a file's content, or hundreds of changes are left to the thread."""
    pace = Pace(is_allowed=True)
    assert pace.allows(SMALL)
    assert not pace.allows([AppendUpdate(DOC, bytes(2**20))])
    assert not pace.allows([AppendUpdate(DOC, b"x")] * 100)
    assert not pace.allows([SetMeta("key", "value")])
    assert pace.allows([PutMemory(ExecutionId("e"), KERNEL, {"cursor": 1})])
    assert not pace.allows([PutMemory(ExecutionId("e"), KERNEL, {"outputs": []})])


def test_r9_nothing_is_where_each_commit_waits_for_the_disk() -> None:
    """R9: a network file system never holds the event loop."""
    assert allowed(Pace(is_allowed=False), 10) == 0


def test_l1_a_crowd_is_written_together() -> None:
    """L1: when changes come in crowds, the thread writes many in one transaction."""
    clock = Clock()
    pace = Pace(is_allowed=True, clock=clock)
    at_first = allowed(pace, 1000)
    assert 0 < at_first < 100
    clock.now_s += 0.1
    assert 0 < allowed(pace, 1000) < 100


def test_l1_after_a_slow_commit_the_loop_is_left_alone() -> None:
    """L1: a disk that was slow once may be so again."""
    clock = Clock()
    pace = Pace(is_allowed=True, clock=clock)
    with pace.measured():
        clock.now_s += 0.5
    assert allowed(pace, 10) == 0
    clock.now_s += 60.0
    assert allowed(pace, 10) == 10


async def test_r4_a_small_change_is_committed_before_anything_else_happens(
    store: Store, told: Any
) -> None:
    """R4: it is there for others at once, and told no sooner than that."""
    other = sqlite3.connect(store.path / "notebook_exec.sqlite")
    store.submit([AppendUpdate(DOC, b"x")], told.then("small"))
    assert other.execute("SELECT count(*) FROM updates").fetchone() == (1,)
    assert told.answers == []
    assert await told.wait_for(1) == [("small", True)]
    other.close()


async def test_r4_small_and_large_changes_keep_their_order(store: Store, told: Any) -> None:
    """R4: what follows a change that the thread has goes to the thread too."""
    for number in range(20):
        store.submit([AppendUpdate(DOC, bytes(200_000 if number % 3 == 0 else 1))])
        store.submit([], told.then(str(number)))
    await told.wait_for(20)
    assert [name for name, _ in told.answers] == list(map(str, range(20)))
    document = await store.load_document(DOC)
    assert document is not None
    assert [len(u) for u in document.updates] == [200_000 if n % 3 == 0 else 1 for n in range(20)]
