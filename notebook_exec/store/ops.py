"""What can be written to the store. Each op knows its own statements."""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from notebook_exec.core.model import (
    DocumentId,
    Execution,
    ExecutionId,
    Json,
    KernelId,
    RequestId,
)
from notebook_exec.store.codec import encode_json, encode_rest, encode_source

_COMPRESSION = 1  # notebooks shrink well at any level, and the writer must not be held up


class Op(Protocol):
    """One change. It is handed over: what it holds must not be changed afterwards."""

    def apply(self, connection: sqlite3.Connection) -> None:
        """Make the change in the transaction that is open. Runs in the writer thread."""


# --- documents ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutDocument:
    """What is known of a document besides its content."""

    document_id: DocumentId
    path: str | None
    session: str | None = None

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO documents (id, path, session) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET path = excluded.path, session = excluded.session",
            (self.document_id, self.path, self.session),
        )


@dataclass(frozen=True, slots=True)
class AppendUpdate:
    """A Y update that follows those stored before."""

    document_id: DocumentId
    update: bytes

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO updates (document_id, data) VALUES (?, ?)",
            (self.document_id, self.update),
        )


@dataclass(frozen=True, slots=True)
class Compact:
    """One Y update that says all that the updates before it said (D9)."""

    document_id: DocumentId
    state: bytes

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM updates WHERE document_id = ?", (self.document_id,))
        connection.execute(
            "INSERT INTO updates (document_id, is_state, data) VALUES (?, 1, ?)",
            (self.document_id, self.state),
        )


@dataclass(frozen=True, slots=True)
class AgreeFile:
    """Document and file say the same now (D5).

    ``content``: the bytes of the file, kept compressed. Give big ones as ``zlib.compress`` made
    them, with ``is_compressed``, so that the writer is not held up.
    ``modified_at``: the file's mtime, in seconds since the epoch.
    """

    document_id: DocumentId
    path: str
    content_hash: str
    content: bytes
    modified_at: float | None = None
    is_compressed: bool = False

    def apply(self, connection: sqlite3.Connection) -> None:
        content = self.content if self.is_compressed else zlib.compress(self.content, _COMPRESSION)
        connection.execute(
            "INSERT INTO documents"
            " (id, path, agreed_path, agreed_hash, agreed_content, agreed_modified_at)"
            " VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET path = excluded.path,"
            " agreed_path = excluded.agreed_path, agreed_hash = excluded.agreed_hash,"
            " agreed_content = excluded.agreed_content,"
            " agreed_modified_at = excluded.agreed_modified_at",
            (
                self.document_id,
                self.path,
                self.path,
                self.content_hash,
                content,
                self.modified_at,
            ),
        )


@dataclass(frozen=True, slots=True)
class DropDocument:
    """Forget a document. Its executions stay: they are history."""

    document_id: DocumentId

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM updates WHERE document_id = ?", (self.document_id,))
        connection.execute("DELETE FROM documents WHERE id = ?", (self.document_id,))


# --- executions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutExecution:
    """An execution as it stands now. Its source and ids never change (Q3).

    ``is_new``: nothing is stored of it yet.
    """

    execution: Execution
    is_new: bool = False

    def apply(self, connection: sqlite3.Connection) -> None:
        execution = self.execution
        rest = encode_rest(execution)
        state, ended_at = execution.state.value, execution.ended_at
        # The source may be large and is written once.
        changed = 0
        if not self.is_new:
            changed = connection.execute(
                "UPDATE executions SET state = ?, ended_at = ?, rest = ? WHERE id = ?",
                (state, ended_at, rest, execution.id),
            ).rowcount
        if not changed:
            connection.execute(
                "INSERT INTO executions (id, request_id, kernel_id, document_id, cell_id, state,"
                " queued_at, ended_at, source, rest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    execution.id,
                    execution.request_id,
                    execution.kernel_id,
                    execution.document_id,
                    execution.cell_id,
                    state,
                    execution.queued_at,
                    ended_at,
                    encode_source(execution.source),
                    rest,
                ),
            )


@dataclass(frozen=True, slots=True)
class PutRequest:
    """A request was accepted; once only for each idempotency key (A1).

    ``accepted_at``: seconds since the epoch.
    """

    request_id: RequestId
    idempotency_key: str | None
    body_hash: str | None
    accepted_at: float = field(default_factory=time.time)

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO requests (id, idempotency_key, body_hash, accepted_at)"
            " VALUES (?, ?, ?, ?)",
            (self.request_id, self.idempotency_key, self.body_hash, self.accepted_at),
        )


@dataclass(frozen=True, slots=True)
class PruneHistory:
    """Forget up to ``limit`` executions that ended before ``before``, and their requests (A2).

    The file does not shrink, but the room in it is used again.
    Requests go with their last execution, so that a key is safe as long as its record is kept.
    """

    before: float  # seconds since the epoch
    limit: int

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "DELETE FROM executions WHERE seq IN"
            " (SELECT seq FROM executions WHERE ended_at < ? ORDER BY ended_at LIMIT ?)",
            (self.before, self.limit),
        )
        connection.execute(
            "DELETE FROM requests WHERE accepted_at < ? AND NOT EXISTS"
            " (SELECT 1 FROM executions WHERE executions.request_id = requests.id)",
            (self.before,),
        )


# --- kernels --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutKernel:
    """What must be known to find a kernel again: name, connection, path, provisioner info."""

    kernel_id: KernelId
    record: Mapping[str, Json]

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO kernels (id, record) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            (self.kernel_id, encode_json(dict(self.record))),
        )


@dataclass(frozen=True, slots=True)
class SetPosition:
    """What the kernel's journal holds up to ``position`` is stored, whatever it was about.

    So it belongs into one transaction with all that came of these messages.
    """

    kernel_id: KernelId
    position: int

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO kernels (id, position) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET position = excluded.position",
            (self.kernel_id, self.position),
        )


@dataclass(frozen=True, slots=True)
class SetWidgets:
    """The Output widgets of a kernel, and what they hold (O12)."""

    kernel_id: KernelId
    widgets: Json

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO kernels (id, widgets) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET widgets = excluded.widgets",
            (self.kernel_id, encode_json(self.widgets)),
        )


@dataclass(frozen=True, slots=True)
class PutMemory:
    """What a run's outputs need beside themselves to go on; forgotten if it is empty."""

    execution_id: ExecutionId
    kernel_id: KernelId
    memory: Mapping[str, Json]

    def apply(self, connection: sqlite3.Connection) -> None:
        if not self.memory:
            connection.execute("DELETE FROM memories WHERE execution_id = ?", (self.execution_id,))
            return
        connection.execute(
            "INSERT INTO memories (execution_id, kernel_id, memory) VALUES (?, ?, ?)"
            " ON CONFLICT (execution_id) DO UPDATE SET memory = excluded.memory",
            (self.execution_id, self.kernel_id, encode_json(dict(self.memory))),
        )


@dataclass(frozen=True, slots=True)
class DropKernel:
    """Forget a kernel that is gone, with all that was kept to go on with it."""

    kernel_id: KernelId

    def apply(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM memories WHERE kernel_id = ?", (self.kernel_id,))
        connection.execute("DELETE FROM kernels WHERE id = ?", (self.kernel_id,))


# --- anything else --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetMeta:
    """A named value of the server as a whole; None takes it out."""

    key: str
    value: str | None

    def apply(self, connection: sqlite3.Connection) -> None:
        if self.value is None:
            connection.execute("DELETE FROM meta WHERE key = ?", (self.key,))
        else:
            connection.execute(
                "INSERT INTO meta (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (self.key, self.value),
            )
