"""From whatever a kernel sent to outputs that JSON, nbformat and a document can hold (O7, O14).

What cannot be held is replaced by something visible; nothing here raises.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from typing import Any

from notebook_exec.core.model import ExecutionError, Json, Output

_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON_MIME = re.compile(r"application/(.*\+)?json")
_MAX_DEPTH = 100  # far below the recursion limits of all who read it after us
_INT64 = 1 << 63
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
TOO_DEEP = "[nested too deeply]"


def clean_text(value: Any) -> str:
    """``value`` as a text that UTF-8 can hold."""
    if isinstance(value, str):
        return str(value) if _is_encodable(value) else _SURROGATE.sub(REPLACEMENT, value)
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return clean_text("".join(value))  # nbformat's multi-line string
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode(errors="replace")
    return json.dumps(clean_json(value), ensure_ascii=False)


def clean_json(value: Any, depth: int = 0) -> Json:
    """A copy of ``value`` with nothing in it that JSON, or a Y document, cannot hold."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        if depth >= _MAX_DEPTH:
            return TOO_DEEP
        return {clean_text(key): clean_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_json(item, depth + 1) for item in value] if depth < _MAX_DEPTH else TOO_DEEP
    return _clean_scalar(value)


def _clean_scalar(value: Any) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -_INT64 <= value < _INT64 else _number_text(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else json.dumps(float(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(bytes(value)).decode()
    return clean_text(repr(value))


def clean_metadata(value: Any) -> dict[str, Json]:
    """Metadata of an output: always a dict."""
    return clean_json(value) if isinstance(value, dict) else {}


def clean_data(value: Any) -> dict[str, Json]:
    """A mime bundle. Only JSON mime types hold anything but text."""
    if not isinstance(value, dict):
        return {} if value is None else {"text/plain": clean_text(value)}
    data: dict[str, Json] = {}
    for key, item in value.items():
        mime = clean_text(key)
        if _JSON_MIME.fullmatch(mime):
            data[mime] = clean_json(item)
        elif isinstance(item, (bytes, bytearray, memoryview)) and not mime.startswith("text/"):
            data[mime] = b64encode(bytes(item)).decode()
        else:
            data[mime] = clean_text(item)
    return data


def clean_count(value: Any) -> int | None:
    """An execution count."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 <= value < _INT64:  # also false for NaN
        return None
    return int(value) if value == int(value) else None


def display_data(content: dict[str, Json]) -> Output:
    """The output of a ``display_data`` message, or of a page payload."""
    return {
        "output_type": "display_data",
        "data": clean_data(content.get("data")),
        "metadata": clean_metadata(content.get("metadata")),
    }


def execute_result(content: dict[str, Json]) -> Output:
    """The output of an ``execute_result`` message."""
    return {
        "output_type": "execute_result",
        "execution_count": clean_count(content.get("execution_count")),
        "data": clean_data(content.get("data")),
        "metadata": clean_metadata(content.get("metadata")),
    }


def error(content: dict[str, Json]) -> Output:
    """The output of an ``error`` message."""
    traceback = content.get("traceback")
    if isinstance(traceback, (list, tuple)):
        lines = [clean_text(line) for line in traceback]
    else:
        lines = clean_text(traceback).splitlines()
    return {
        "output_type": "error",
        "ename": clean_text(content.get("ename")),
        "evalue": clean_text(content.get("evalue")),
        "traceback": lines,
    }


def own_error(told: ExecutionError) -> Output:
    """The output of an error of ours: the kernel died, the server stopped …"""
    content = {"ename": told.ename, "evalue": told.evalue, "traceback": list(told.traceback)}
    return error(content)


def stream_name(value: Any) -> str:
    """``stdout`` or ``stderr``: what has another name would not be shown by front ends."""
    return "stderr" if value == "stderr" else "stdout"


def stored_output(value: Any) -> Output:
    """An output as a document or a widget holds it, made valid."""
    content = value if isinstance(value, dict) else {}
    kind = content.get("output_type")
    if kind == "stream":
        name, text = stream_name(content.get("name")), clean_text(content.get("text"))
        return {"output_type": "stream", "name": name, "text": text}
    if kind == "error":
        return error(content)
    return execute_result(content) if kind == "execute_result" else display_data(content)


def size_bytes(value: Json) -> int:
    """About how much room ``value`` takes as JSON."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if isinstance(value, dict):
        return sum(len(key) + size_bytes(item) + 4 for key, item in value.items())
    if isinstance(value, list):
        return sum(size_bytes(item) + 1 for item in value)
    return 8


def _is_encodable(text: str) -> bool:
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number_text(value: int) -> str:
    # str() refuses integers of more than 4,300 digits.
    return str(value) if value.bit_length() < 1 << 13 else hex(value)
