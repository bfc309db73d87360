"""What document and file agree on, and what the one who keeps them together needs of others."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from notebook_exec.core.model import CellId, DocumentId, InvalidInput, Json


@dataclass(frozen=True, slots=True)
class FileAgreement:
    """Document and file said the same; stored, so that after a restart it is known who changed.

    ``digests``: ``serialize.Digest`` as JSON, of what the file held. ``saving``: of what was about
    to be written, so that a save whose end no server lived to see is known for our own.
    """

    document_id: DocumentId
    path: str
    hash: str
    digests: Json
    session: str
    saving: Json = None


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Delays in seconds."""

    save_delay_s: float = 1.0
    poll_s: float = 1.0
    retry_s: float = 30.0  # at most so long between two tries of a save that fails


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the users of a document should read.

    ``topic``: which trouble it is about, if a later notice may say that it ``is_over``.
    """

    text: str
    topic: Literal["saving", "missing"] | None = None
    is_over: bool = False


class SyncHost(Protocol):
    """What a FileSync needs to know of, and has to tell, the rest of the program."""

    def is_running(self, cell_id: CellId) -> bool:
        """Whether an execution writes the outputs of this cell."""

    def notice(self, notice: Notice) -> None:
        """Something the users of this document should read."""

    def store(self, agreement: FileAgreement) -> Sequence[object]:
        """The store's operations that keep ``agreement``."""

    def settled(self) -> None:
        """Nothing is unsaved, or the file is gone."""


def split_id(document_id: DocumentId) -> tuple[str, str, str]:
    """Format, type and file id of a document. InvalidInput."""
    parts = document_id.split(":", 2)
    if len(parts) != 3 or not all(parts):
        raise InvalidInput(
            f"{document_id!r} is not a document id (format:type:file id).", field="document_id"
        )
    return parts[0], parts[1], parts[2]


def name_beside(path: str, now: float) -> str:
    """Where the document's version is kept when the file's wins."""
    stem, extension = posixpath.splitext(path)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return f"{stem}.conflict-{stamp}-{int(now * 1000) % 1000:03d}{extension}"
