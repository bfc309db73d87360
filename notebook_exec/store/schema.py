"""The tables of the store, and the way from each version of them to the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from notebook_exec.store.errors import StoreError, StoreTooNew

APPLICATION_ID = 0x4E424558  # "NBEX": other programs' databases are not taken for ours

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE documents (
            id TEXT PRIMARY KEY,
            path TEXT,
            session TEXT,
            agreed_path TEXT,
            agreed_hash TEXT,
            agreed_content BLOB,
            agreed_modified_at REAL
        )""",
        # Rows are read back in the order of seq, which only grows.
        """CREATE TABLE updates (
            seq INTEGER PRIMARY KEY,
            document_id TEXT NOT NULL,
            is_state INTEGER NOT NULL DEFAULT 0,
            data BLOB NOT NULL
        )""",
        "CREATE INDEX updates_by_document ON updates (document_id)",
        """CREATE TABLE executions (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            request_id TEXT NOT NULL,
            kernel_id TEXT NOT NULL,
            document_id TEXT,
            cell_id TEXT,
            state TEXT NOT NULL,
            queued_at REAL NOT NULL,
            ended_at REAL,
            source TEXT NOT NULL,
            rest TEXT NOT NULL
        )""",
        "CREATE INDEX executions_by_request ON executions (request_id)",
        "CREATE INDEX executions_by_document ON executions (document_id, cell_id)",
        "CREATE INDEX executions_by_kernel ON executions (kernel_id)",
        "CREATE INDEX executions_by_end ON executions (ended_at)",
        """CREATE TABLE requests (
            id TEXT PRIMARY KEY,
            idempotency_key TEXT UNIQUE,
            body_hash TEXT,
            accepted_at REAL NOT NULL
        )""",
        """CREATE TABLE kernels (
            id TEXT PRIMARY KEY,
            record TEXT,
            position INTEGER,
            display_ids TEXT
        )""",
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
    # What is needed to go on with kernels that outlived their server.
    (
        "DROP TABLE kernels",
        """CREATE TABLE kernels (
            id TEXT PRIMARY KEY,
            record TEXT,
            position INTEGER,
            widgets TEXT
        )""",
        """CREATE TABLE memories (
            execution_id TEXT PRIMARY KEY,
            kernel_id TEXT NOT NULL,
            memory TEXT NOT NULL
        )""",
        "CREATE INDEX memories_by_kernel ON memories (kernel_id)",
    ),
)
"""``MIGRATIONS[n]`` leads from version n to version n + 1. What was released is never edited."""


def check_version(connection: sqlite3.Connection, versions: int = len(MIGRATIONS)) -> int:
    """The version of the store behind ``connection``; 0 if it is empty. Writes nothing.

    Raises:
        StoreTooNew: it is a later one than ``versions`` (R8).
        StoreError: it is not a store of this program.
    """
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"The store cannot be read ({error}). Put the file aside and start again: "
            "notebooks are then loaded from their files."
        ) from error
    if application != APPLICATION_ID and (tables or application):
        raise StoreError("The file is a database of some other program; it was left as it is.")
    if version > versions:
        raise StoreTooNew(
            f"The store has version {version}, this program knows versions up to {versions}: "
            "a newer notebook_exec wrote it. Install that version, or set another state_dir. "
            "Nothing was changed."
        )
    return int(version)


def migrate(
    connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> None:
    """Bring the store to the newest version, each step in one transaction (R8).

    Raises:
        StoreTooNew, StoreError: as ``check_version``.
    """
    version = check_version(connection, len(migrations))
    for number, statements in enumerate(migrations[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
