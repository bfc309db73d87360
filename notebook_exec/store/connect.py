"""Opening the database file, with the journal mode that its file system allows."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from notebook_exec.store.filesystem import is_on_network
from notebook_exec.store.schema import check_version, migrate

_BUSY_TIMEOUT_S = 10.0
_WAL_PAGES = 4096  # 16 MiB: the Syncer checkpoints long before, unless it falls behind
_WAL_LIMIT_BYTES = 32 * 2**20


def prepare(database: Path) -> bool:
    """Make the file if there is none, bring it up to date, and say whether it uses a WAL.

    The WAL needs memory shared by all who have the file open, which network file systems do not
    give (R9): there, a rollback journal is used, and every commit is synced. Slower, and safe.

    Raises:
        StoreTooNew, StoreError: it is not for this program; it was left as it is (R8).
    """
    # SQLite gives its side files the mode of the database (S3).
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    database.chmod(0o600)
    connection = _connect(database)
    try:
        check_version(connection)
        uses_wal = not is_on_network(database.parent)
        connection.execute(f"PRAGMA journal_mode = {'WAL' if uses_wal else 'DELETE'}")
        migrate(connection)
    finally:
        connection.close()
    return uses_wal


def open_writer(database: Path, *, uses_wal: bool) -> sqlite3.Connection:
    """The connection that writes."""
    connection = _connect(database)
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if uses_wal else 'FULL'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
    return connection


def open_reader(database: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = _connect(database)
    connection.execute("PRAGMA query_only = 1")
    return connection


def open_checkpointer(database: Path) -> sqlite3.Connection:
    """The connection that checkpoints. NORMAL syncs as much as a checkpoint needs.

    It waits for readers only briefly: commits may be waiting for it.
    """
    connection = _connect(database)
    connection.execute("PRAGMA busy_timeout = 1000")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _connect(database: Path) -> sqlite3.Connection:
    # Opened in one thread, then used in another, never in two at a time.
    return sqlite3.connect(
        database,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
