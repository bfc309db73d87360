"""What users should read, told to every page by Jupyter's event stream (SPEC D5, D6, R7)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from notebook_exec.core.model import DocumentId
from notebook_exec.documents.agreement import Notice

log = logging.getLogger(__name__)

SCHEMA_ID = "https://events.jupyter.org/notebook_exec/notice/v1"
_SCHEMA = Path(__file__).parent / "events" / "notice.yaml"


class Notices:
    """Emits notices on ``event_logger``, and logs them."""

    def __init__(self, event_logger: Any) -> None:
        self._events = event_logger
        if SCHEMA_ID not in event_logger.schemas:
            event_logger.register_event_schema(_SCHEMA)

    def of_document(self, document_id: DocumentId, path: str | None, notice: Notice) -> None:
        """To those who have a document open."""
        log.warning("%s: %s", path, notice.text)
        data = {
            "level": "info" if notice.is_over else "warning",
            "message": notice.text,
            "document_id": document_id,
        }
        if path is not None:
            data["path"] = path
        if notice.topic is not None:
            data["topic"] = notice.topic
        self._emit(data)

    def store_in_trouble(self, reason: str) -> None:
        """The disk takes nothing for now (R7)."""
        self._emit(
            {
                "level": "error",
                "topic": "store",
                "message": "The server cannot write to its disk. Cells keep running, but what they "
                f"put out from now on is lost if the server stops. ({reason})",
            }
        )

    def store_recovered(self) -> None:
        """All that was kept is written (R7)."""
        self._emit(
            {
                "level": "info",
                "topic": "store",
                "message": "The server can write to its disk again; nothing is lost.",
            }
        )

    def _emit(self, data: dict[str, str]) -> None:
        self._events.emit(schema_id=SCHEMA_ID, data=data)
