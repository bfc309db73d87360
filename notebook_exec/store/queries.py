"""What can be read from the store. Each function is run in the reader's thread."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Sequence
from typing import Any

from notebook_exec.core.model import (
    CellId,
    DocumentId,
    Execution,
    ExecutionId,
    ExecutionState,
    Json,
    KernelId,
    RequestId,
)
from notebook_exec.store.codec import COLUMNS, decode_execution
from notebook_exec.store.records import FileAgreement, StoredDocument, StoredKernel, StoredRequest

_FINAL = tuple(state.value for state in ExecutionState if state.is_final)


def load_document(connection: sqlite3.Connection, document_id: DocumentId) -> StoredDocument | None:
    """All that is stored of a document; None if nothing is."""
    # One read transaction, so that a compaction does not come between the two statements.
    connection.execute("BEGIN")
    try:
        row = connection.execute(
            "SELECT path, session, agreed_path, agreed_hash, agreed_content, agreed_modified_at"
            " FROM documents WHERE id = ?",
            (document_id,),
        ).fetchone()
        updates = [
            bytes(data)
            for (data,) in connection.execute(
                "SELECT data FROM updates WHERE document_id = ? ORDER BY seq", (document_id,)
            )
        ]
    finally:
        connection.execute("COMMIT")
    if row is None:
        return StoredDocument(document_id, updates=updates) if updates else None
    path, session, agreed_path, content_hash, content, modified_at = row
    agreed = None
    if agreed_path is not None:
        agreed = FileAgreement(agreed_path, content_hash, zlib.decompress(content), modified_at)
    return StoredDocument(document_id, path, session, updates, agreed)


def updates_bytes(connection: sqlite3.Connection, document_id: DocumentId) -> int:
    """How many bytes of updates came since the document's last compaction."""
    (total,) = connection.execute(
        "SELECT coalesce(sum(length(data)), 0) FROM updates WHERE document_id = ? AND NOT is_state",
        (document_id,),
    ).fetchone()
    return int(total)


def get_execution(connection: sqlite3.Connection, execution_id: ExecutionId) -> Execution | None:
    """The execution with that id."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM executions WHERE id = ?", (execution_id,)
    ).fetchone()
    return None if row is None else decode_execution(row)


def find_executions(
    connection: sqlite3.Connection,
    *,
    document_id: DocumentId | None,
    cell_id: CellId | None,
    kernel_id: KernelId | None,
    request_id: RequestId | None,
    states: Sequence[ExecutionState] | None,
    limit: int,
) -> list[Execution]:
    """The newest ``limit`` executions that fit all that is not None, oldest first."""
    conditions, values = ["1"], list[Any]()
    for column, value in (
        ("document_id", document_id),
        ("cell_id", cell_id),
        ("kernel_id", kernel_id),
        ("request_id", request_id),
    ):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if states is not None:
        conditions.append(f"state IN ({', '.join('?' * len(states))})")
        values.extend(state.value for state in states)
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM executions WHERE {' AND '.join(conditions)}"
        " ORDER BY seq DESC LIMIT ?",
        (*values, limit),
    ).fetchall()
    return [decode_execution(row) for row in reversed(rows)]


def unfinished_executions(connection: sqlite3.Connection) -> list[Execution]:
    """Every execution that had not ended, in the order of submission."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM executions WHERE ended_at IS NULL"
        f" AND state NOT IN ({', '.join('?' * len(_FINAL))}) ORDER BY seq",
        _FINAL,
    )
    return [decode_execution(row) for row in rows]


def get_request_by_key(
    connection: sqlite3.Connection, idempotency_key: str
) -> StoredRequest | None:
    """The request that was accepted with that key (A1)."""
    row = connection.execute(
        "SELECT id, idempotency_key, body_hash, accepted_at FROM requests"
        " WHERE idempotency_key = ?",
        (idempotency_key,),
    ).fetchone()
    return None if row is None else StoredRequest(*row)


def kernels(connection: sqlite3.Connection) -> list[StoredKernel]:
    """Every kernel that something is stored of."""
    rows = connection.execute("SELECT id, record, position, widgets FROM kernels ORDER BY id")
    return [
        StoredKernel(
            id_,
            None if record is None else json.loads(record),
            position,
            None if widgets is None else json.loads(widgets),
        )
        for id_, record, position, widgets in rows
    ]


def memories(
    connection: sqlite3.Connection, kernel_id: KernelId
) -> dict[ExecutionId, dict[str, Json]]:
    """What is kept for the runs of a kernel by ``PutMemory``."""
    rows = connection.execute(
        "SELECT execution_id, memory FROM memories WHERE kernel_id = ?", (kernel_id,)
    )
    return {ExecutionId(id_): json.loads(memory) for id_, memory in rows}


def get_meta(connection: sqlite3.Connection, key: str) -> str | None:
    """The value that was set under ``key``."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def prunable(connection: sqlite3.Connection, before: float) -> bool:
    """Whether there are executions that ended before ``before``."""
    row = connection.execute(
        "SELECT 1 FROM executions WHERE ended_at < ? LIMIT 1", (before,)
    ).fetchone()
    return row is not None
