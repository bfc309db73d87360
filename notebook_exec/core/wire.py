"""Frames between the server and a nanny (``docs/nanny-protocol.md``): sealed, opened, journalled.

The nanny imports this module, and is to stay small: standard library only, nothing heavy in it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from notebook_exec.core.mac import Mac

VERSION = 1

NOTICE_CHANNEL = "notice"
_CHANNELS = ("iopub", "shell", "control", "stdin", NOTICE_CHANNEL)
_CODES = {name: code for code, name in enumerate(_CHANNELS, start=1)}


class WireError(Exception):
    """A frame that is not what it must be. The text says why, without the frame's content."""


class Kind(IntEnum):
    """What a message of the link is. Numbers are never used again for something else."""

    HELLO = 1  # to the nanny, first: versions, nonce, epoch, holder
    WELCOME = 2  # to the server: version, nonce, lease, status
    DONE = 3  # to the server: the answer to the command whose number is ``re``
    ERROR = 4  # to the server: code, message, ``re`` if a command caused it
    NOTICE = 5  # to the server, unasked: what happened to the kernel's process
    PING = 6  # either way: nothing but "I am here"
    ATTACH = 10  # command: position, credit
    JOURNAL = 11  # to the server: records of the journal
    ACK = 12  # to the nanny: all up to ``position`` is stored
    CREDIT = 13  # to the nanny: that many more bytes may be sent
    DETACH = 14  # command
    REQUEST = 15  # to the nanny: a Jupyter message for ``channel``
    NEXT = 16  # to the nanny: a request for when the one named by ``after`` has ended well
    WITHDRAW = 17  # command: no such request is forwarded any more
    START = 20  # command: argv, env, cwd, interrupt_mode, registers
    SIGNAL = 21  # command: signum
    RESTART = 22  # command: as it was started
    STATUS = 23  # command
    LOG = 24  # command: offset, follow
    EXIT = 25  # command: kernel and nanny end


class Frame(NamedTuple):
    """One message of the link, checked."""

    kind: Kind
    number: int
    fields: dict[str, Any]
    parts: Sequence[bytes] = ()


class Lease(NamedTuple):
    """Who may drive the kernel: the highest epoch; ``holder`` tells equal ones apart.

    Epoch 0 drives nothing, and may ask for status and log.
    """

    epoch: int
    holder: str


OBSERVER = Lease(0, "")

# --- messages of the link -----------------------------------------------------------------------

_HEAD = struct.Struct(">2sBBQ")  # magic, version, kind, number
_LENGTH = struct.Struct(">I")
_MAGIC = b"nx"
_MAC_BYTES = 32


def _signed(frames: Sequence[bytes]) -> bytes:
    """Lengths are part of it: bytes cannot move from one frame to the next."""
    lengths = struct.pack(f">{len(frames)}I", *map(len, frames))
    return b"".join((lengths, *frames))


def _derive(key: bytes, purpose: bytes) -> Mac:
    return Mac(Mac(key, "sha256").of(b"notebook_exec link " + purpose), "sha256")


def _seal(
    mac: Mac, kind: Kind, number: int, fields: Mapping[str, Any], parts: Sequence[bytes]
) -> list[bytes]:
    text = json.dumps(fields, separators=(",", ":")).encode() if fields else b"{}"
    frames = [_HEAD.pack(_MAGIC, VERSION, kind, number), text, *parts]
    frames.append(mac.of(_signed(frames)))
    return frames


def _open(mac: Mac, frames: Sequence[bytes]) -> Frame:
    if len(frames) < 3 or len(frames[0]) != _HEAD.size:
        raise WireError("no message of this protocol")
    magic, version, kind, number = _HEAD.unpack(frames[0])
    if magic != _MAGIC:
        raise WireError("no message of this protocol")
    if version != VERSION:
        raise WireError(f"version {version} is not known")
    if not mac.is_of(_signed(frames[:-1]), frames[-1]):
        raise WireError("signature is wrong")
    try:
        known = Kind(kind)
        fields = json.loads(frames[1])
    except ValueError as error:
        raise WireError(f"kind {kind} is not known, or its fields are no JSON") from error
    if not isinstance(fields, dict):
        raise WireError("fields are no object")
    return Frame(known, number, fields, frames[2:-1])


def is_hello(frames: Sequence[bytes]) -> bool:
    """Whether a message begins a connection; it may still be forged."""
    return bool(frames) and len(frames[0]) == _HEAD.size and frames[0][3] == Kind.HELLO


class Seal:
    """Both directions of one connection, after hello and welcome.

    Keys come from the connection key and from a nonce of each side: what was recorded on one
    connection is worth nothing on another. Numbers grow: nothing can be repeated or left behind.
    """

    def __init__(self, key: bytes, nonces: bytes, *, is_nanny: bool) -> None:
        to_nanny, to_server = (
            _derive(key, b"to nanny " + nonces),
            _derive(key, b"to server" + nonces),
        )
        self._out, self._in = (to_server, to_nanny) if is_nanny else (to_nanny, to_server)
        self._sent = 0
        self._received = 0

    def seal(
        self, kind: Kind, fields: Mapping[str, Any] | None = None, parts: Sequence[bytes] = ()
    ) -> tuple[int, list[bytes]]:
        """The message's number and its frames."""
        self._sent += 1
        return self._sent, _seal(self._out, kind, self._sent, fields or {}, parts)

    def open(self, frames: Sequence[bytes]) -> Frame:
        """Raises ``WireError``, and nothing else."""
        frame = _open(self._in, frames)
        if frame.number <= self._received:
            raise WireError("number was used before")
        self._received = frame.number
        return frame


def hello(key: bytes, nonce: bytes, lease: Lease) -> list[bytes]:
    """The first message of a connection. ``nonce``: 16 random bytes, never used before."""
    fields = {"versions": [VERSION], "nonce": nonce.hex(), **lease._asdict()}
    return _seal(_derive(key, b"hello"), Kind.HELLO, 0, fields, ())


def open_hello(key: bytes, frames: Sequence[bytes]) -> tuple[bytes, Lease]:
    """The server's nonce, and the lease that it claims. Raises ``WireError``."""
    frame = _open(_derive(key, b"hello"), frames)
    fields = frame.fields
    try:
        common = frame.kind is Kind.HELLO and VERSION in fields["versions"]
        nonce = bytes.fromhex(fields["nonce"])
        lease = Lease(int(fields["epoch"]), str(fields["holder"]))
    except (KeyError, TypeError, ValueError) as error:
        raise WireError("hello has a wrong field") from error
    if not common:
        raise WireError("no version in common")
    return nonce, lease


def welcome(
    key: bytes, hello_nonce: bytes, nonce: bytes, fields: Mapping[str, Any]
) -> tuple[Seal, list[bytes]]:
    """The nanny's answer to hello, and its side of the connection."""
    frames = _seal(
        _derive(key, b"welcome" + hello_nonce),
        Kind.WELCOME,
        0,
        {"version": VERSION, "nonce": nonce.hex(), **fields},
        (),
    )
    return Seal(key, hello_nonce + nonce, is_nanny=True), frames


def refusal(key: bytes, hello_nonce: bytes, fields: Mapping[str, Any]) -> list[bytes]:
    """The nanny's answer to a hello that it does not accept."""
    return _seal(_derive(key, b"welcome" + hello_nonce), Kind.ERROR, 0, fields, ())


def open_welcome(
    key: bytes, hello_nonce: bytes, frames: Sequence[bytes]
) -> tuple[Seal | None, Frame]:
    """The server's side of the connection; None with an ``ERROR``. Raises ``WireError``."""
    frame = _open(_derive(key, b"welcome" + hello_nonce), frames)
    if frame.kind is Kind.ERROR:
        return None, frame
    if frame.kind is not Kind.WELCOME:
        raise WireError("no welcome")
    try:
        nonce = bytes.fromhex(frame.fields["nonce"])
    except (KeyError, TypeError, ValueError) as error:
        raise WireError("welcome has a wrong field") from error
    return Seal(key, hello_nonce + nonce, is_nanny=False), frame


# --- records of the journal ---------------------------------------------------------------------

_RECORD = struct.Struct(">IQBH")  # bytes that follow the first field; position, channel, frames
RECORD_HEAD_BYTES = _RECORD.size


class Record(NamedTuple):
    """One message of the kernel, or a notice of the nanny, at its place in the journal."""

    position: int
    channel: str
    frames: list[bytes]

    def notice(self) -> dict[str, Any]:
        """What a record of the notice channel says. Raises ``WireError``."""
        try:
            fields = json.loads(self.frames[0])
        except (ValueError, IndexError) as error:
            raise WireError("notice is no JSON") from error
        if not isinstance(fields, dict):
            raise WireError("notice is no object")
        return fields


def pack_record(position: int, channel: str, frames: Sequence[bytes]) -> bytes:
    """As it stands in a segment file, and in a ``JOURNAL`` message. At most 65,535 frames."""
    lengths = struct.pack(f">{len(frames)}I", *map(len, frames))
    body = b"".join((lengths, *frames))
    size = _RECORD.size - _LENGTH.size + len(body)
    return _RECORD.pack(size, position, _CODES[channel], len(frames)) + body


def pack_notice(position: int, fields: Mapping[str, Any]) -> bytes:
    """A record of the notice channel."""
    return pack_record(position, NOTICE_CHANNEL, [json.dumps(fields).encode()])


def unpack_records(chunk: bytes) -> Iterator[Record]:
    """The records in ``chunk``, which holds whole ones. Raises ``WireError`` where one is not."""
    start = 0
    while start < len(chunk):
        try:
            size, position, code, count = _RECORD.unpack_from(chunk, start)
            lengths = struct.unpack_from(f">{count}I", chunk, start + _RECORD.size)
            channel = _CHANNELS[code - 1] if code else ""
        except (struct.error, IndexError) as error:
            raise WireError("a record is cut off") from error
        end = start + _LENGTH.size + size
        at = start + _RECORD.size + _LENGTH.size * count
        if at + sum(lengths) != end or end > len(chunk) or not channel:
            raise WireError("a record is not as long as it says")
        frames = []
        for length in lengths:
            frames.append(chunk[at : at + length])
            at += length
        yield Record(position, channel, frames)
        start = end


def first_position(chunk: bytes) -> int:
    """The position of the record that ``chunk`` begins with."""
    position: int = _RECORD.unpack_from(chunk)[1]
    return position


def whole_records(chunk: bytes) -> tuple[int, int, int]:
    """How many bytes of ``chunk`` are whole records, the last one's position, bytes it lacks.

    ``chunk`` begins with a record. Lacking is what the first record wants to be whole, if it
    is not; the position is 0 then.
    """
    end = position = 0
    while end + _RECORD.size <= len(chunk):
        size, this, _, _ = _RECORD.unpack_from(chunk, end)
        if end + _LENGTH.size + size > len(chunk):
            if end == 0:
                return 0, 0, _LENGTH.size + size - len(chunk)
            break
        position = this
        end += _LENGTH.size + size
    return end, position, 0
