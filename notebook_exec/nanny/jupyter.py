"""Jupyter messages as a proxy sees them: who sent it, what does it answer, is it signed."""

from __future__ import annotations

import hmac
import json
import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from notebook_exec.core.mac import Mac

DELIMITER = b"<IDS|MSG>"
_PARTS = 4  # header, parent_header, metadata, content


class Header(NamedTuple):
    """What a proxy needs of a header."""

    msg_id: str
    msg_type: str
    session: str


class Message(NamedTuple):
    """A message taken apart; ``frames`` begin with the delimiter."""

    identities: list[bytes]
    frames: list[bytes]

    @property
    def header_frame(self) -> bytes:
        return self.frames[2]

    @property
    def parent_frame(self) -> bytes:
        return self.frames[3]

    @property
    def content_frame(self) -> bytes:
        return self.frames[5]


def split(frames: list[bytes]) -> Message | None:
    """None if it is no message."""
    try:
        start = frames.index(DELIMITER)
    except ValueError:
        return None
    if len(frames) < start + 2 + _PARTS:
        return None
    return Message(frames[:start], frames[start:])


def header(frame: bytes) -> Header:
    """What ``frame`` says; empty strings where it does not."""
    try:
        fields = json.loads(frame)
        return Header(*(str(fields.get(name) or "") for name in Header._fields))
    except (ValueError, AttributeError, RecursionError):
        return Header("", "", "")


def content(message: Message) -> dict[str, Any]:
    """What ``message`` says; nothing where that is no object."""
    try:
        fields = json.loads(message.content_frame)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


class Signer:
    """Signs what the nanny says itself, and checks what it acts on."""

    def __init__(self, key: bytes, scheme: str) -> None:
        """Raises ``ValueError`` for an unknown scheme."""
        mac = Mac(key, scheme.removeprefix("hmac-"))
        self._mac = mac if key else None
        self._session = os.urandom(16).hex()
        self.session_mark = self._session.encode()  # in the parent header of what answers us
        self.kernel_session = ""
        """Of the process heard last: a client that meets another takes it for a new kernel."""
        self._count = 0

    def is_signed(self, frames: Sequence[bytes]) -> bool:
        """Whether ``frames``, delimiter first, carry the right signature."""
        return self.is_signature(frames[1], frames[2 : 2 + _PARTS])

    def is_signature(self, signature: bytes, parts: Sequence[bytes]) -> bool:
        """Whether ``signature`` is the one of ``parts``."""
        return self._mac is None or hmac.compare_digest(self.sign(parts), signature)

    def sign(self, parts: Sequence[bytes]) -> bytes:
        """The signature of ``parts``."""
        return b"" if self._mac is None else self._mac.of(b"".join(parts)).hex().encode()

    def build(
        self, msg_type: str, content: dict[str, Any] | bytes, parent: bytes = b"{}"
    ) -> list[bytes]:
        """A message in the kernel's name, delimiter first. ``parent`` is a header as it came."""
        return self._build(self.kernel_session or self._session, msg_type, content, parent)

    def ask(self, msg_type: str) -> list[bytes]:
        """A request of the nanny's own; what answers it bears ``session_mark``."""
        return self._build(self._session, msg_type, {}, b"{}")

    def _build(
        self, session: str, msg_type: str, content: dict[str, Any] | bytes, parent: bytes
    ) -> list[bytes]:
        self._count += 1
        now = time.time()
        date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
        fields = {
            "msg_id": f"{self._session}_{self._count}",
            "msg_type": msg_type,
            "session": session,
            "username": "nanny",
            "date": date,
            "version": "5.4",
        }
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        parts = [json.dumps(fields).encode(), parent, b"{}", body]
        return [DELIMITER, self.sign(parts), *parts]
