"""Bodies of requests to run something, turned into Submissions (SPEC A1, A8)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Literal

from notebook_exec.core.model import (
    CellId,
    DocumentId,
    InsertCell,
    InvalidInput,
    Json,
    KernelId,
    LimitExceeded,
    OnError,
    User,
)
from notebook_exec.engine.api import CellRequest, Submission

from . import fields

_FIELDS = frozenset(
    {
        "path",
        "document_id",
        "cells",
        "code",
        "insert",
        "kernel",
        "on_error",
        "client_id",
        "time_limit",
        "allow_stdin",
        "record_timing",
        "expected_revision",
    }
)
_WHAT = ("cells", "code", "insert")
_CELL_FIELDS = frozenset({"cell_id", "source", "expected_sha256"})
_INSERT_FIELDS = frozenset({"source", "index", "after", "cell_type", "metadata"})
_KERNEL_FIELDS = frozenset({"id", "name"})
_MAX_KEY_CHARS = 255
_MAX_INDEX = 2**31


def submission(
    body: Mapping[str, Json],
    user: User,
    *,
    max_cells: int,
    idempotency_key: str | None = None,
    body_sha256: str | None = None,
) -> Submission:
    """Check the body of ``POST /api/executions``. InvalidInput, LimitExceeded."""
    fields.only(body, _FIELDS)
    what = [name for name in _WHAT if body.get(name) is not None]
    if len(what) != 1:
        raise InvalidInput(
            "exactly one of cells, code and insert must be given",
            field=what[1] if what else "cells",
        )
    path, document_id = _notebook(body)
    kernel_id, kernel_name = _kernel(body.get("kernel"))
    code = fields.optional_text(body, "code")
    if path is None and document_id is None and (code is None or kernel_id is None):
        raise InvalidInput("path or document_id must be given", field="path")
    revision = fields.optional_text(body, "expected_revision", limit=fields.MAX_ID_CHARS)
    if revision is not None and path is None and document_id is None:
        raise InvalidInput("a revision needs a notebook", field="expected_revision")
    time_limit = body.get("time_limit")
    return Submission(
        path=path,
        document_id=document_id,
        cells=cells(body.get("cells"), max_cells) if what[0] == "cells" else (),
        requested_by=user,
        kernel_id=kernel_id,
        kernel_name=kernel_name,
        on_error=_on_error(body.get("on_error")),
        client_id=_client_id(body.get("client_id")),
        time_limit_s=None if time_limit is None else fields.seconds(time_limit, "time_limit"),
        allow_stdin=fields.boolean(body, "allow_stdin", True),
        record_timing=fields.boolean(body, "record_timing", False),
        idempotency_key=idempotency_key,
        body_sha256=body_sha256,
        code=code,
        insert=_insert(body["insert"]) if what[0] == "insert" else None,
        expected_revision=revision,
    )


def cells(value: Json, max_cells: int) -> tuple[CellRequest, ...] | Literal["all"]:
    """The field ``cells``: "all", or a list of ids and objects."""
    if value == "all":
        return "all"
    if isinstance(value, str):
        raise InvalidInput('cells must be a list or "all"', field="cells")
    given = fields.items(value, "cells")
    if len(given) > max_cells:
        raise LimitExceeded(f"cells has more than {max_cells} entries", field="cells")
    return tuple(_cell(entry, f"cells[{index}]") for index, entry in enumerate(given))


def _cell(entry: Json, field: str) -> CellRequest:
    if isinstance(entry, str):
        return CellRequest(fields.cell_id(entry, field))
    if not isinstance(entry, dict):
        raise InvalidInput(f"{field} must be a cell id or an object", field=field)
    fields.only(entry, _CELL_FIELDS, f"{field}.")
    if "cell_id" not in entry:
        raise InvalidInput(f"{field}.cell_id is missing", field=f"{field}.cell_id")
    source = entry.get("source")
    expected = entry.get("expected_sha256")
    return CellRequest(
        fields.cell_id(entry["cell_id"], f"{field}.cell_id"),
        source=None if source is None else fields.text(source, f"{field}.source"),
        expected_sha256=(
            None if expected is None else fields.sha256(expected, f"{field}.expected_sha256")
        ),
    )


def _notebook(body: Mapping[str, Json]) -> tuple[str | None, DocumentId | None]:
    path, document_id = body.get("path"), body.get("document_id")
    if path is not None and document_id is not None:
        raise InvalidInput("path and document_id are both given", field="document_id")
    return (
        None if path is None else fields.path(path),
        None if document_id is None else fields.document_id(document_id),
    )


def _kernel(value: Json) -> tuple[KernelId | None, str | None]:
    if value is None:
        return None, None
    kernel = fields.mapping(value, "kernel")
    fields.only(kernel, _KERNEL_FIELDS, "kernel.")
    if (kernel.get("id") is None) == (kernel.get("name") is None):
        raise InvalidInput("kernel must have either id or name", field="kernel")
    if kernel.get("id") is not None:
        return fields.kernel_id(kernel["id"], "kernel.id"), None
    return None, fields.plain_id(kernel["name"], "kernel.name")


def _on_error(value: Json) -> OnError:
    if value is None:
        return OnError.STOP
    if value not in ("stop", "continue"):
        raise InvalidInput('on_error must be "stop" or "continue"', field="on_error")
    return OnError(value)


def _client_id(value: Json) -> str | None:
    return None if value is None else fields.plain_id(value, "client_id")


def _insert(value: Json) -> InsertCell:
    given = fields.mapping(value, "insert")
    fields.only(given, _INSERT_FIELDS, "insert.")
    if given.get("cell_type", "code") != "code":
        raise InvalidInput("only code cells can be run", field="insert.cell_type")
    if given.get("source") is None:
        raise InvalidInput("insert.source is missing", field="insert.source")
    index, after = given.get("index"), given.get("after")
    if index is not None and after is not None:
        raise InvalidInput("index and after are both given", field="insert.after")
    if index is not None and (
        isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < _MAX_INDEX
    ):
        raise InvalidInput("insert.index must be a number from 0 on", field="insert.index")
    return InsertCell(
        after=None if after is None else fields.cell_id(after, "insert.after"),
        cell=new_cell(fields.text(given["source"], "insert.source"), given.get("metadata")),
        index=index,
    )


def new_cell(source: str, metadata: Json = None) -> dict[str, Json]:
    """A new code cell in nbformat 4.5, with an id of its own."""
    return {
        "id": CellId(str(uuid.uuid4())),
        "cell_type": "code",
        "source": source,
        "metadata": {} if metadata is None else dict(_metadata(metadata)),
        "outputs": [],
        "execution_count": None,
    }


def _metadata(value: Json) -> Mapping[str, Json]:
    """Metadata goes into the document as it is, so all of it must be what a document can hold."""
    metadata = fields.mapping(value, "insert.metadata")
    waiting: list[Json] = [metadata]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            for key in part:
                fields.text(key, "insert.metadata")
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, str):
            fields.text(part, "insert.metadata")
        elif isinstance(part, int) and not -(2**53) < part < 2**53:
            raise InvalidInput("insert.metadata holds a number too large", field="insert.metadata")
    return metadata


def idempotency_key(header: str | None, scope: str) -> str | None:
    """The header ``Idempotency-Key``, made unique within ``scope``. InvalidInput."""
    if header is None:
        return None
    if not 0 < len(header) <= _MAX_KEY_CHARS or not header.isprintable():
        raise InvalidInput(
            f"Idempotency-Key must have 1 to {_MAX_KEY_CHARS} printable characters",
            field="Idempotency-Key",
        )
    return f"{scope}\n{header}"
