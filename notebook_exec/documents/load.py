"""From a file's content to a new shared document, the same one for the same content (D7)."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from jupyter_ydoc import YNotebook, ydocs
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Doc, Map

from notebook_exec.core.model import DocumentId, InvalidInput, Json
from notebook_exec.documents.digests import digest_of
from notebook_exec.documents.leftovers import server_id
from notebook_exec.documents.undo import release_undo_manager

_NBFORMAT_MINOR = 5  # the first with cell ids


def new_document(type: str, doc: Doc[Any] | None = None) -> YBaseDoc:
    """An empty document of this type; text where ``jupyter_ydoc`` knows no such type (D1)."""
    doc = doc if doc is not None else Doc(client_id=server_id())
    kind = ydocs.get(type, ydocs["file"])
    made: YBaseDoc = kind(doc)
    return made


def prepare(content: Json, type: str, path: str) -> Json:
    """Makes what a contents manager gives into what a document holds. InvalidInput.

    Every cell gets an id, the same at each reading, and the notebook the version that has them.
    Texts have ``\\n`` at the ends of lines, as editors do.
    """
    if type != "notebook":
        return content.replace("\r\n", "\n") if isinstance(content, str) else content
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise InvalidInput(f"{path} is not a notebook of version 4.", field="path")
    cells: list[dict[str, Any]] = []
    seen: set[str] = set()
    for index, given in enumerate(content["cells"] or [_blank_cell()]):
        cell = dict(given)
        cell["id"] = _cell_id(cell, index, seen)
        seen.add(cell["id"])
        if isinstance(cell.get("source"), list):
            cell["source"] = "".join(cell["source"])
        cell.setdefault("metadata", {})
        if cell["cell_type"] == "code":
            cell.setdefault("outputs", [])
            cell.setdefault("execution_count", None)
            cell["outputs"] = [_joined(output) for output in cell["outputs"]]
        cells.append(cell)
    metadata = dict(content.get("metadata") or {})
    metadata.pop("orig_nbformat", None)
    minor = max(int(content.get("nbformat_minor") or 0), _NBFORMAT_MINOR)
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}


def has_crlf(content: Json) -> bool:
    """Whether a text ends all its lines as Windows does, so that it is saved that way again."""
    return (
        isinstance(content, str)
        and "\r\n" in content
        and content.count("\n") == content.count("\r\n")
    )


def _blank_cell() -> dict[str, Any]:
    # As jupyter_ydoc does: a notebook shows at least one cell, and an empty one hides nothing.
    return {"cell_type": "code", "metadata": {"trusted": True}, "outputs": [], "source": ""}


def _cell_id(cell: dict[str, Any], index: int, seen: set[str]) -> str:
    given = cell.get("id")
    if isinstance(given, str) and given and given not in seen:
        return given
    made = digest_of([given, index, cell.get("source", "")])[:8]
    while made in seen:
        made = digest_of(made)[:8]
    return made


def _joined(output: dict[str, Any]) -> dict[str, Any]:
    if output.get("output_type") == "stream" and isinstance(output.get("text"), list):
        return {**output, "text": "".join(output["text"])}
    return output


def session_of(document_id: DocumentId, content_hash: str) -> str:
    """The session of a document that was made of a file with this hash.

    A client of another session has another history, and must not merge it.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{document_id} {content_hash}"))


def client_id_of(session: str) -> int:
    """Who writes the first state: the same for equal content, so that equal structs come of it."""
    digest = hashlib.blake2b(session.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % (2**31 - 1) + 1


async def fill(type: str, content: Json, client_id: int, take: Callable[[bytes], None]) -> None:
    """Builds a document of ``content`` and gives its updates to ``take``, in order.

    One update for each cell, with a turn of the loop after it (D10).
    """
    doc: Doc[Any] = Doc(client_id=client_id)
    ydocument = new_document(type, doc)
    subscription = doc.observe(lambda event: take(event.update))
    try:
        if not isinstance(ydocument, YNotebook):
            ydocument.set(content)
            return
        _fill_meta(doc, content)
        for cell in content["cells"]:
            await asyncio.sleep(0)
            ydocument.append_cell(cell)
    finally:
        doc.unobserve(subscription)
        release_undo_manager(ydocument)


def _fill_meta(doc: Doc[Any], content: dict[str, Any]) -> None:
    ymeta = doc.get("meta", type=Map)
    metadata = dict(content["metadata"])
    # As jupyter_ydoc does; its front ends look these up. Left out of the file again if still blank.
    metadata.setdefault("language_info", {"name": ""})
    metadata.setdefault("kernelspec", {"name": "", "display_name": ""})
    with doc.transaction():
        ymeta["nbformat"] = float(content["nbformat"])
        ymeta["nbformat_minor"] = float(content["nbformat_minor"])
        ymeta["metadata"] = Map(metadata)
