"""How documents reach the store: updates and what goes with them, in one transaction (R4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import cast

from notebook_exec.core.model import DocumentId
from notebook_exec.documents.filesync import FileAgreement
from notebook_exec.documents.registry import StoredState
from notebook_exec.store.ops import AgreeFile, AppendUpdate, Compact, Op, PutDocument
from notebook_exec.store.store import Store

STATE_FACTOR = 3
SLACK_BYTES = 12 * 2**20
"""Compaction keeps what is stored below 4 times the state plus 16 MiB (D9), with some room."""


class StoreJournal:
    """A ``documents.room.Journal`` over the store.

    ``state_of`` gives a loaded document's whole state as one Y update, for compaction.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._compact_at: dict[DocumentId, int] = {}
        self.state_of: Callable[[DocumentId], bytes | None] = lambda _: None

    def append(
        self,
        document_id: DocumentId,
        update: bytes,
        alongside: Sequence[object],
        then: Callable[[bool], None],
    ) -> None:
        """Commit an update (none if it is empty) with store operations; then call ``then``."""
        ops = cast(list[Op], list(alongside))
        if update:
            ops.insert(0, AppendUpdate(document_id, update))
        self._store.submit(ops, then)
        self._compact(document_id)

    def _compact(self, document_id: DocumentId) -> None:
        stored = self._store.document_bytes(document_id)
        if stored < self._compact_at.get(document_id, SLACK_BYTES):
            return
        state = self.state_of(document_id)
        if state is None:
            return
        self._compact_at[document_id] = SLACK_BYTES + STATE_FACTOR * len(state)
        if stored >= self._compact_at[document_id]:
            self._store.submit([Compact(document_id, state)])


def keep_agreement(agreement: FileAgreement) -> list[Op]:
    """The store operations that keep what a document and its file agreed on (D5)."""
    kept = {"agreed": agreement.digests, "saving": agreement.saving}
    content = json.dumps(kept).encode()
    return [
        AgreeFile(agreement.document_id, agreement.path, agreement.hash, content),
        PutDocument(agreement.document_id, agreement.path, agreement.session),
    ]


async def load_state(store: Store, document_id: DocumentId) -> StoredState | None:
    """What the store holds of a document, as ``documents`` loads it (D7)."""
    stored = await store.load_document(document_id)
    if stored is None:
        return None
    agreement = None
    if stored.agreed is not None:
        kept = json.loads(stored.agreed.content)
        if not isinstance(kept, dict) or "agreed" not in kept:  # as version 0.1 kept it
            kept = {"agreed": kept, "saving": None}
        agreement = FileAgreement(
            document_id=document_id,
            path=stored.agreed.path,
            hash=stored.agreed.content_hash,
            digests=kept["agreed"],
            session=stored.session or "",
            saving=kept["saving"],
        )
    return StoredState(stored.updates, agreement)
