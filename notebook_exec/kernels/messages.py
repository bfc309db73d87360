"""Jupyter messages on the wire: built and signed, checked and parsed.

https://jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol
"""

from __future__ import annotations

import hmac
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from notebook_exec.core.mac import Mac
from notebook_exec.core.model import Json, KernelMessage, Prompt

DELIMITER = b"<IDS|MSG>"
PROTOCOL_VERSION = "5.3"
USERNAME = "notebook_exec"
"""In the headers of all that we ask of kernels."""


class ProtocolError(Exception):
    """A message that breaks the protocol; its text says how, without the message's content."""


class Parent(NamedTuple):
    """What matters of a ``parent_header``."""

    msg_id: str = ""
    msg_type: str = ""
    session: str = ""


Received = tuple[KernelMessage, Parent]


def _lenient_int(digits: str) -> int | float:
    """An integer that has more digits than Python converts becomes a float."""
    try:
        return int(digits)
    except ValueError:
        return float(digits) if len(digits) < 400 else math.copysign(math.inf, _sign(digits))


def _sign(digits: str) -> float:
    return -1.0 if digits.startswith("-") else 1.0


# Control characters in strings are against JSON, but what they say is clear.
_decode = json.JSONDecoder(strict=False).decode
_decode_leniently = json.JSONDecoder(strict=False, parse_int=_lenient_int).decode


def _text(frame: bytes) -> str:
    """UTF-8, with lone surrogates as they are; what is no UTF-8 is replaced visibly (O14)."""
    try:
        return frame.decode()
    except UnicodeDecodeError:
        pass
    try:
        return frame.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return frame.decode("utf-8", "replace")


def _parse_json(frame: bytes, what: str) -> dict[str, Json]:
    if frame == b"{}":
        return {}
    text = _text(frame)
    try:
        try:
            value = _decode(text)
        except ValueError:
            value = _decode_leniently(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"{what} is no JSON") from error
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} is no object")
    return value


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""


def parse_prompt(content: str) -> Prompt:
    """What the content of an ``input_request`` asks, as it was sent."""
    try:
        return prompt_of(_parse_json(content.encode(), "content"))
    except ProtocolError:
        return Prompt("", password=False)


def prompt_of(fields: dict[str, Json]) -> Prompt:
    """What the content of an ``input_request`` asks."""
    return Prompt(_string(fields.get("prompt")), fields.get("password") is True)


def answer_told(
    request: str, prompt: str, value: str | None, position: int | None = None
) -> KernelMessage:
    """That the kernel was answered, as ``LinkListener.on_messages`` tells it."""
    content = {"prompt": prompt, "value": value}
    return KernelMessage("stdin", "input_reply", request, content, position=position)


class Wire:
    """Signs and parses the messages of one connection."""

    def __init__(self, key: bytes, scheme: str, *, session: str, username: str = USERNAME) -> None:
        """``scheme`` is ``hmac-`` and the name of a hash; an empty ``key`` means no signatures.

        Raises ``ValueError`` for a scheme that is not known.
        """
        kind, _, digest = scheme.partition("-")
        if kind != "hmac":
            raise ValueError(f"unknown signature scheme {scheme!r}")
        mac = Mac(key, digest)  # raises if there is no such hash
        self.session = session
        self._mac = mac if key else None
        self._username = username
        # Messages of one cell come in a row: their parent header is parsed once.
        self._last_parent_frame = b"{}"
        self._last_parent = Parent()

    def build(
        self,
        msg_type: str,
        msg_id: str,
        content: Mapping[str, Json],
        *,
        metadata: Mapping[str, Json] | None = None,
        parent_header: bytes = b"{}",
    ) -> list[bytes]:
        """The frames of a request."""
        header = {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "session": self.session,
            "username": self._username,
            "date": datetime.now(timezone.utc).isoformat(),
            "version": PROTOCOL_VERSION,
        }
        signed = [
            json.dumps(header).encode(),
            parent_header,
            json.dumps(metadata or {}).encode(),
            json.dumps(content).encode(),
        ]
        return [DELIMITER, self._sign(signed), *signed]

    def parse(self, channel: str, frames: Sequence[bytes]) -> Received:
        """The message in ``frames``. Raises ``ProtocolError``, and nothing else (O14)."""
        start = self._check(frames)
        header = _parse_json(frames[start], "header")
        msg_type = header.get("msg_type")
        if not isinstance(msg_type, str) or not msg_type:
            raise ProtocolError("header has no msg_type")
        parent = self._parent(frames[start + 1])
        metadata_frame = frames[start + 2]
        message = KernelMessage(
            channel,
            msg_type,
            parent.msg_id,
            _parse_json(frames[start + 3], "content"),
            {} if metadata_frame == b"{}" else _parse_json(metadata_frame, "metadata"),
            _string(header.get("date")),
            _string(header.get("msg_id")),
            tuple(frames[start + 4 :]),
        )
        return message, parent

    def header_frame(self, frames: Sequence[bytes]) -> bytes:
        """The header of a message that ``parse`` accepted, as it came."""
        return frames[frames.index(DELIMITER) + 2]

    def _check(self, frames: Sequence[bytes]) -> int:
        """Where the header is. Before the delimiter are a ROUTER's identities or a topic."""
        try:
            start = frames.index(DELIMITER) + 2
        except ValueError:
            raise ProtocolError("no delimiter") from None
        if len(frames) < start + 4:
            raise ProtocolError("frames are missing")
        if self._mac is not None and not hmac.compare_digest(
            self._sign(frames[start : start + 4]), frames[start - 1]
        ):
            raise ProtocolError("signature is wrong")
        return start

    def _sign(self, parts: Sequence[bytes]) -> bytes:
        return b"" if self._mac is None else self._mac.of(b"".join(parts)).hex().encode()

    def _parent(self, frame: bytes) -> Parent:
        if frame != self._last_parent_frame:
            fields = _parse_json(frame, "parent_header")
            parent = Parent(
                _string(fields.get("msg_id")),
                _string(fields.get("msg_type")),
                _string(fields.get("session")),
            )
            self._last_parent_frame, self._last_parent = frame, parent
        return self._last_parent
