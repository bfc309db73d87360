"""Who may open a store, which versions, and with what modes its files are made."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from notebook_exec.core.model import DocumentId
from notebook_exec.store import (
    AppendUpdate,
    Store,
    StoreError,
    StoreInUse,
    StoreTooNew,
    connect,
    lock,
    schema,
)
from notebook_exec.store.filesystem import type_of

DOC = DocumentId("json:notebook:1")
HOLDER = """
import asyncio, sys
from pathlib import Path
from notebook_exec.store import Store

async def hold() -> None:
    store = await Store.open(Path(sys.argv[1]))
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """A process that has the store open."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    return holder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_files_and_folder_are_the_owner_s_alone(tmp_path: Path) -> None:
    """S3: Folder 0700, every file 0600, whatever the umask."""
    folder = tmp_path / "deep" / "state"
    umask = os.umask(0)
    try:
        store = await Store.open(folder)
        store.submit([AppendUpdate(DOC, b"x")])
        await store.flush()
        assert mode(folder) == 0o700
        names = {file.name for file in folder.iterdir()}
        assert names >= {"notebook_exec.sqlite", "notebook_exec.sqlite-wal"}
        assert {file.name: oct(mode(file)) for file in folder.iterdir()} == {
            name: oct(0o600) for name in names
        }
        await store.close()
    finally:
        os.umask(umask)


async def test_a_store_is_open_once(tmp_path: Path) -> None:
    """Two servers never write to one store."""
    store = await Store.open(tmp_path)
    with pytest.raises(StoreInUse, match=str(os.getpid())):
        await Store.open(tmp_path)
    await store.close()
    again = await Store.open(tmp_path)
    await again.close()


async def test_the_lock_of_a_dead_process_is_no_obstacle(tmp_path: Path) -> None:
    """R2: After SIGKILL the next server opens the store at once."""
    with hold(tmp_path) as holder:
        with pytest.raises(StoreInUse, match=str(holder.pid)):
            await Store.open(tmp_path)
        holder.kill()
        holder.wait()
    store = await Store.open(tmp_path)
    await store.close()


async def test_an_older_store_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R8: Each missing step is done, and what was stored stays."""
    store = await Store.open(tmp_path)
    store.submit([AppendUpdate(DOC, b"old")])
    await store.close()
    steps = (
        ("ALTER TABLE documents ADD COLUMN colour TEXT",),
        ("INSERT INTO meta VALUES ('migrated', 'yes')",),
    )
    monkeypatch.setattr(schema.migrate, "__defaults__", ((*schema.MIGRATIONS, *steps),))
    monkeypatch.setattr(schema.check_version, "__defaults__", (len(schema.MIGRATIONS) + 2,))
    store = await Store.open(tmp_path)
    assert await store.get_meta("migrated") == "yes"
    document = await store.load_document(DOC)
    assert document is not None and document.updates == [b"old"]
    await store.close()
    store = await Store.open(tmp_path)  # nothing is done twice
    await store.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    """R8: A step is done whole or not at all."""
    database = tmp_path / "db"
    connect.prepare(database)
    connection = sqlite3.connect(database, isolation_level=None)
    bad = (*schema.MIGRATIONS, ("CREATE TABLE half (a)", "CREATE TABLE documents (a)"))
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, bad)
    assert schema.check_version(connection) == len(schema.MIGRATIONS)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall()
    assert tables == []
    connection.close()


async def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    """R8: Not a byte is changed, and the message says what to do."""
    store = await Store.open(tmp_path)
    await store.close()
    database = tmp_path / "notebook_exec.sqlite"
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    for _ in range(2):
        with pytest.raises(StoreTooNew, match="newer notebook_exec"):
            await Store.open(tmp_path)
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before


@pytest.mark.parametrize("kind", ["text", "other program"])
async def test_what_is_not_a_store_is_left_alone(tmp_path: Path, kind: str) -> None:
    """R8: A file that is not ours is not written to."""
    database = tmp_path / "notebook_exec.sqlite"
    if kind == "text":
        database.write_text("not a database, but long enough to look like one" * 100)
    else:
        connection = sqlite3.connect(database)
        connection.execute("CREATE TABLE theirs (a)")
        connection.close()
    before = database.read_bytes()
    with pytest.raises(StoreError):
        await Store.open(tmp_path)
    assert database.read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        await Store.open(tmp_path / "file" / "state")


async def test_a_file_system_without_locks_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R9: Without a lock two servers could corrupt the store, so it is not opened."""

    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(StoreError, match="No locks available") as raised:
        await Store.open(tmp_path)
    assert not isinstance(raised.value, StoreInUse)


MOUNTS = """\
overlay / overlay rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sda1 /home/local ext4 rw 0 0
//nas/x /mnt/with\\040blank cifs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/tmp/x", "overlay"),
        ("/home/ada/state", "nfs4"),
        ("/home/local/state", "ext4"),
        ("/homes", "overlay"),
        ("/mnt/with blank/state", "cifs"),
    ],
)
def test_file_system_of_a_folder(folder: str, expected: str) -> None:
    """R9: The innermost mount counts."""
    assert type_of(Path(folder), MOUNTS.splitlines()) == expected


async def test_on_a_network_file_system_no_wal_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R9: Slower, every commit synced, and all else the same; also a WAL store moved there."""
    store = await Store.open(tmp_path)
    store.submit([AppendUpdate(DOC, b"1")])
    await store.close()
    monkeypatch.setattr(connect, "is_on_network", lambda folder: True)
    store = await Store.open(tmp_path)
    assert store._writer._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert store._writer._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    for _ in range(20):
        store.submit([AppendUpdate(DOC, b"2")])
        assert await store.load_document(DOC) is not None
    document = await store.load_document(DOC)
    assert document is not None and document.updates == [b"1", *[b"2"] * 20]
    assert not (tmp_path / "notebook_exec.sqlite-wal").exists()
    await store.close()
