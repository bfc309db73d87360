"""What is left after the process or the machine died."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from notebook_exec.core.model import DocumentId
from notebook_exec.store import AppendUpdate, Store, connect, sync
from notebook_exec.store.sync import Syncer

DOC = DocumentId("json:notebook:1")
WAIT_S = 20.0

WRITES_FOR_EVER = """
import asyncio, itertools, sys
from pathlib import Path
from notebook_exec.store import AppendUpdate, Compact, SetPosition, Store

async def write() -> None:
    store = await Store.open(Path(sys.argv[1]))
    for number in itertools.count():
        def then(durable: bool, number: int = number) -> None:
            print(number, durable, flush=True)
        store.submit(
            [AppendUpdate("doc", b"%d" % number + b" " * 500), SetPosition("kernel", number)], then
        )
        if number % 5 == 0:
            await asyncio.sleep(0.0002)

asyncio.run(write())
"""


def run_and_kill(folder: Path, lines: int) -> list[str]:
    """What a process that writes said until it was killed, after that many lines or more."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITES_FOR_EVER, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        return told + process.stdout.readlines()


@pytest.mark.parametrize("lines", [1, 300, 5000])
async def test_what_was_said_to_be_durable_survives_sigkill(tmp_path: Path, lines: int) -> None:
    """R4: Killed at any moment, all that anyone was told of is there, in order, and whole."""
    told = await asyncio.to_thread(run_and_kill, tmp_path, lines)
    complete = [line for line in told if line.endswith("\n")]
    assert complete == [f"{number} True\n" for number in range(len(complete))]
    store = await Store.open(tmp_path)
    document = await store.load_document(DocumentId("doc"))
    assert document is not None
    numbers = [int(update) for update in document.updates]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= len(complete)
    # Updates and position are one transaction: neither is ahead of the other.
    (kernel,) = await store.kernels()
    assert kernel.position == numbers[-1]
    await store.close()


async def test_commits_are_synced_soon_after(tmp_path: Path) -> None:
    """R6: A commit is on the disk itself at most a second later, the log's file that is."""
    database = tmp_path / "db"
    assert connect.prepare(database)
    synced: list[Path] = []
    happened = threading.Event()

    def note(path: Path) -> None:
        synced.append(path)
        happened.set()

    syncer = Syncer(database, connect.open_checkpointer(database), interval_s=0.0, sync=note)
    writer = connect.open_writer(database, uses_wal=True)
    syncer.start()
    for count in (1, 2):
        writer.execute("INSERT INTO meta VALUES (?, 'x')", (str(count),))
        happened.clear()
        syncer.wrote()
        assert await asyncio.to_thread(happened.wait, WAIT_S)
        assert len(synced) == count  # and not while nothing is written
    assert set(synced) == {tmp_path / "db-wal"}
    syncer.stop()
    assert await asyncio.to_thread(syncer.join, WAIT_S)
    writer.close()


async def test_the_store_syncs_what_it_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R6: The syncer is told of every commit of the store."""
    happened = threading.Event()
    monkeypatch.setattr(sync, "_sync_data", lambda fd: happened.set())
    store = await Store.open(tmp_path, sync_interval_s=0.0)
    for _ in range(2):
        happened.clear()
        store.submit([AppendUpdate(DOC, b"x")])
        assert await asyncio.to_thread(happened.wait, WAIT_S)
    await store.close()


async def test_a_disk_that_cannot_sync_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """R7: The syncer goes on after an error; the writer is the one that tells."""
    database = tmp_path / "db"
    connect.prepare(database)
    happened = threading.Semaphore(0)

    def fail(path: Path) -> None:
        happened.release()
        raise OSError("no")

    syncer = Syncer(database, connect.open_checkpointer(database), interval_s=0.0, sync=fail)
    syncer.start()
    for _ in range(3):
        syncer.wrote()
        assert await asyncio.to_thread(happened.acquire, timeout=WAIT_S)
    syncer.stop()
    assert await asyncio.to_thread(syncer.join, WAIT_S)
    assert "could not be synced" in caplog.text


async def test_the_log_begins_anew(tmp_path: Path) -> None:
    """The write-ahead log is checkpointed, and cut, while the store is written to without pause."""
    store = await Store.open(tmp_path, sync_interval_s=0.0)
    log, size, count = tmp_path / "notebook_exec.sqlite-wal", 0, 0
    while log.stat().st_size >= size:  # how soon depends on the disk
        size = log.stat().st_size
        store.submit([AppendUpdate(DOC, b"x" * 100_000)])
        await store.flush()
        count += 1
        assert count < 10_000
    await store.close()
    check = sqlite3.connect(tmp_path / "notebook_exec.sqlite")
    assert check.execute("SELECT count(*) FROM updates").fetchone() == (count,)
    check.close()
