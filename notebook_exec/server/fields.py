"""Readers of single values out of JSON bodies: each error names its field (SPEC A5)."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping

from notebook_exec.core.model import CellId, DocumentId, InvalidInput, Json, KernelId

MAX_PATH_BYTES = 4096
MAX_ID_CHARS = 256

_ID = re.compile(r"[^\s\x00-\x1f\x7f]{1,256}")
_DOCUMENT_ID = re.compile(r"(?:json|text|base64):[\w.+-]{1,64}:[\w-]{1,64}", re.ASCII)
_KERNEL_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_EXECUTION_ID = re.compile(r"[\w-]{1,128}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_DECIMAL = re.compile(r"[0-9]{1,10}", re.ASCII)


def only(body: Mapping[str, Json], known: Collection[str], within: str = "") -> None:
    """Refuse fields that are not known: a misspelt option must not be ignored."""
    for name in body:
        if name not in known:
            shown = clip(name)
            raise InvalidInput(f"unknown field {shown!r}", field=within + shown)


def clip(text: str) -> str:
    """What a client sent, short and printable, to be shown in an error."""
    return text[:100].encode("ascii", "backslashreplace").decode("ascii")


def text(value: Json, field: str, *, limit: int | None = None) -> str:
    """A string that UTF-8 can hold."""
    if not isinstance(value, str):
        raise InvalidInput(f"{field} must be a string", field=field)
    if limit is not None and len(value) > limit:
        raise InvalidInput(f"{field} is longer than {limit} characters", field=field)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput(f"{field} holds a lone surrogate", field=field) from None
    return value


def optional_text(body: Mapping[str, Json], name: str, *, limit: int | None = None) -> str | None:
    """A string, None if it is missing or null."""
    value = body.get(name)
    return None if value is None else text(value, name, limit=limit)


def boolean(body: Mapping[str, Json], name: str, default: bool) -> bool:
    """True or false, ``default`` if missing or null."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} must be true or false", field=name)
    return value


def seconds(value: Json, field: str) -> float:
    """A finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{field} must be a number of seconds", field=field)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 < number < math.inf:
        raise InvalidInput(f"{field} must be a finite number above zero", field=field)
    return number


def path(value: Json, field: str = "path") -> str:
    """A path inside the root, without slashes at its ends (S5)."""
    given = text(value, field)
    cleaned = given.strip("/")
    if not cleaned:
        raise InvalidInput(f"{field} is empty", field=field)
    if "\0" in cleaned:
        raise InvalidInput(f"{field} holds a NUL character", field=field)
    if len(cleaned.encode()) > MAX_PATH_BYTES:
        raise InvalidInput(f"{field} is longer than {MAX_PATH_BYTES} bytes", field=field)
    parts = cleaned.split("/")
    if ".." in parts or "." in parts:
        raise InvalidInput(f"{field} must not hold . or .. as a part", field=field)
    return cleaned


def plain_id(value: Json, field: str) -> str:
    """Any id without spaces and control characters."""
    given = text(value, field)
    if not _ID.fullmatch(given):
        raise InvalidInput(
            f"{field} must have 1 to {MAX_ID_CHARS} characters, none of them a space", field=field
        )
    return given


def cell_id(value: Json, field: str = "cell_id") -> CellId:
    """A cell's id; nbformat's own pattern is narrower than what notebooks in the wild have."""
    return CellId(plain_id(value, field))


def document_id(value: Json, field: str = "document_id") -> DocumentId:
    """A document's id, ``format:type:file_id``."""
    given = text(value, field)
    if not is_document_id(given):
        raise InvalidInput(f"{field} must look like json:notebook:<file id>", field=field)
    return DocumentId(given)


def is_document_id(value: str) -> bool:
    """Whether it is built like a document's id."""
    return bool(_DOCUMENT_ID.fullmatch(value))


def kernel_id(value: Json, field: str = "kernel_id") -> KernelId:
    """A kernel's id."""
    given = text(value, field)
    if not _KERNEL_ID.fullmatch(given):
        raise InvalidInput(f"{field} is no kernel id", field=field)
    return KernelId(given)


def is_execution_id(value: str) -> bool:
    """Whether it can be the id of an execution or a request at all."""
    return bool(_EXECUTION_ID.fullmatch(value))


def sha256(value: Json, field: str) -> str:
    """A SHA-256 in hex; lower case comes out."""
    given = text(value, field)
    if not _SHA256.fullmatch(given):
        raise InvalidInput(f"{field} must be 64 hex digits", field=field)
    return given.lower()


def decimal(value: Json, field: str) -> str:
    """A decimal number in a string, as MurmurHash2 is sent."""
    given = text(value, field)
    if not _DECIMAL.fullmatch(given):
        raise InvalidInput(f"{field} must be a decimal number in a string", field=field)
    return given


def mapping(value: Json, field: str) -> Mapping[str, Json]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{field} must be an object", field=field)
    return value


def items(value: Json, field: str) -> list[Json]:
    """A list that is not empty."""
    if not isinstance(value, list):
        raise InvalidInput(f"{field} must be a list", field=field)
    if not value:
        raise InvalidInput(f"{field} is empty", field=field)
    return value
