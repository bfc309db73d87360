"""Documents for other extensions, in the way that jupyter-collaboration offers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Doc

from notebook_exec.core.model import DocumentId

from .registry import Documents


class DocumentAccess:
    """What other extensions find as ``settings["jupyter_server_ydoc"]``.

    ``documents`` waits until there are any.
    """

    def __init__(self, documents: Callable[[], Awaitable[Documents]]) -> None:
        self._documents = documents

    async def get_document(
        self,
        *,
        path: str | None = None,
        content_type: str | None = None,
        file_format: str | None = None,
        room_id: str | None = None,
        copy: bool = True,
        create: bool = False,
    ) -> YBaseDoc | None:
        """The document of a room, or of a file of that type and format; None if it is not open.

        ``copy``: a document of the caller's own, whose changes nobody sees; else the one that all
        edit. ``create``: open it if it is not. ValueError, NotFound, InvalidInput.
        """
        of_file = (path, content_type, file_format)
        if (room_id is None and None in of_file) or (room_id is not None and any(of_file)):
            raise ValueError("give either room_id, or path, content_type and file_format")
        documents = await self._documents()
        if room_id is not None:
            document_id = DocumentId(room_id)
        else:
            assert path is not None and content_type is not None and file_format is not None
            document_id = await documents.document_id(path, file_format, content_type)
        live = documents.get(document_id)
        if live is None and create:
            live = await documents.open(document_id)
        if live is None:
            return None
        return copied(live.room.ydocument) if copy else live.room.ydocument


def copied(ydocument: YBaseDoc) -> YBaseDoc:
    """A document of the same type with the same content and history."""
    doc: Doc[Any] = Doc()
    doc.apply_update(ydocument.ydoc.get_update())
    return type(ydocument)(doc)
