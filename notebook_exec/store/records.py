"""What the store gives back, besides executions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from notebook_exec.core.model import DocumentId, Json, KernelId, RequestId


@dataclass(frozen=True, slots=True)
class FileAgreement:
    """The file as it was when document and file last said the same (D5)."""

    path: str
    content_hash: str
    content: bytes
    modified_at: float | None  # the file's mtime, seconds since the epoch


@dataclass(slots=True)
class StoredDocument:
    """A shared document as the store has it; its state is all of ``updates`` applied in order."""

    document_id: DocumentId
    path: str | None = None
    session: str | None = None
    updates: list[bytes] = field(default_factory=list)
    agreed: FileAgreement | None = None


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request that was accepted (A1)."""

    request_id: RequestId
    idempotency_key: str | None
    body_hash: str | None
    accepted_at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class StoredKernel:
    """What is known of a kernel; each part is None until it was stored.

    ``record``: what adoption needs. ``position``: up to where its journal is in the documents.
    ``widgets``: its Output widgets.
    """

    kernel_id: KernelId
    record: Mapping[str, Json] | None
    position: int | None
    widgets: Json
