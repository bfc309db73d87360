"""How documents reach the store: updates and what goes with them, in one transaction (R4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from notebook_exec.core.model import DocumentId
from notebook_exec.store.ops import AppendUpdate, Compact, Op
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
