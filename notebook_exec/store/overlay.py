"""What is stored, with what waits in memory for room on the disk (R7) on top."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from notebook_exec.core.model import DocumentId, Execution, ExecutionId
from notebook_exec.store.ops import (
    AgreeFile,
    AppendUpdate,
    Compact,
    DropDocument,
    Op,
    PutDocument,
    PutExecution,
    PutRequest,
)
from notebook_exec.store.records import FileAgreement, StoredDocument, StoredRequest
from notebook_exec.store.writer import Batch


def document(
    stored: StoredDocument | None, document_id: DocumentId, waiting: Iterable[Batch]
) -> StoredDocument | None:
    """The document as it will be stored.

    An update may be in it twice if it was written meanwhile: a Y document does not mind.
    """
    for op in _ops(waiting):
        if isinstance(op, DropDocument):
            if op.document_id == document_id:
                stored = None
        elif (
            isinstance(op, AppendUpdate | Compact | AgreeFile | PutDocument)
            and op.document_id == document_id
        ):
            stored = _changed(stored or StoredDocument(document_id), op)
    return stored


def _changed(
    stored: StoredDocument, op: AppendUpdate | Compact | AgreeFile | PutDocument
) -> StoredDocument:
    if isinstance(op, AppendUpdate):
        stored.updates.append(op.update)
    elif isinstance(op, Compact):
        stored.updates = [op.state]
    elif isinstance(op, PutDocument):
        stored.path, stored.session = op.path, op.session
    else:
        content = zlib.decompress(op.content) if op.is_compressed else op.content
        stored.path = op.path
        stored.agreed = FileAgreement(op.path, op.content_hash, content, op.modified_at)
    return stored


def execution(
    stored: Execution | None, execution_id: ExecutionId, waiting: Iterable[Batch]
) -> Execution | None:
    """The execution as it will be stored."""
    for op in _ops(waiting):
        if isinstance(op, PutExecution) and op.execution.id == execution_id:
            stored = op.execution
    return stored


def request(
    stored: StoredRequest | None, idempotency_key: str, waiting: Iterable[Batch]
) -> StoredRequest | None:
    """The first request with that key; a second one is not going to be stored."""
    if stored is not None:
        return stored
    for op in _ops(waiting):
        if isinstance(op, PutRequest) and op.idempotency_key == idempotency_key:
            return StoredRequest(op.request_id, op.idempotency_key, op.body_hash, op.accepted_at)
    return None


def _ops(waiting: Iterable[Batch]) -> Iterator[Op]:
    for batch in waiting:
        yield from batch.ops
