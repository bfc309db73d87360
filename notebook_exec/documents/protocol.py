"""The messages on a room's websocket: y-protocols as y-websocket frames them, and RAW (SPEC D1).

    message   = SYNC step payload | AWARENESS payload | RAW string …
    payload   = varuint length, bytes
    RAW save  = 2, string "save", varuint id;  the answer: 2, string of JSON

Decoding never reads beyond the message, and raises ``BadMessage`` for all that is not as it should.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from notebook_exec.core.model import Json

EMPTY_UPDATE = b"\x00\x00"
MAX_VARUINT_BYTES = 10  # 64 bits; more is not a number that anyone means


class MessageType(IntEnum):
    """The first number of a message."""

    SYNC = 0
    AWARENESS = 1
    RAW = 2


class SyncStep(IntEnum):
    """The second number of a SYNC message."""

    STEP1 = 0
    STEP2 = 1
    UPDATE = 2


class BadMessage(ValueError):
    """A message that cannot be decoded."""


class Reader:
    """Reads a message from its start."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def varuint(self) -> int:
        """An unsigned number, 7 bits a byte, lowest first."""
        data, position = self._data, self._position
        value = 0
        for i, byte in enumerate(data[position : position + MAX_VARUINT_BYTES]):
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                self._position = position + i + 1
                return value
        raise BadMessage("a number is cut off or too long")

    def byte(self) -> int:
        """One byte."""
        self.skip(1)
        return self._data[self._position - 1]

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes."""
        if self._position + count > len(self._data):
            raise BadMessage("the message is shorter than it says")
        self._position += count

    def buffer(self) -> bytes:
        """Bytes with their length before them."""
        length = self.varuint()
        self.skip(length)
        return self._data[self._position - length : self._position]

    def string(self) -> str:
        """A text with its length in bytes before it."""
        try:
            return self.buffer().decode()
        except UnicodeDecodeError as error:
            raise BadMessage("a text is not UTF-8") from error


def write_varuint(number: int) -> bytes:
    """``number`` with 7 bits a byte, lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(0x80 | (number & 0x7F))
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _sync(step: SyncStep, payload: bytes) -> bytes:
    return b"".join((bytes((MessageType.SYNC, step)), write_varuint(len(payload)), payload))


def step1(state: bytes) -> bytes:
    """Asks for what is missing in ``state``, a state vector."""
    return _sync(SyncStep.STEP1, state)


def step2(update: bytes) -> bytes:
    """Answers step 1."""
    return _sync(SyncStep.STEP2, update)


def update(update: bytes) -> bytes:
    """Tells what changed."""
    return _sync(SyncStep.UPDATE, update)


def awareness(payload: bytes) -> bytes:
    """Tells who is here, and where."""
    return bytes((MessageType.AWARENESS,)) + write_varuint(len(payload)) + payload


def raw(content: Mapping[str, Json]) -> bytes:
    """A message to the page around the document; pages ignore types they do not know."""
    text = json.dumps(content).encode()
    return bytes((MessageType.RAW,)) + write_varuint(len(text)) + text


@dataclass(frozen=True, slots=True)
class AwarenessState:
    """One client's entry in an awareness message; ``is_gone``: it says goodbye."""

    client_id: int
    is_gone: bool


def read_awareness(payload: bytes, *, max_states: int) -> list[AwarenessState]:
    """Checks an awareness update as a whole, so that none is ever taken over in part."""
    reader = Reader(payload)
    count = reader.varuint()
    if count > max_states:
        raise BadMessage("it speaks for too many clients")
    states = []
    for _ in range(count):
        client_id = reader.varuint()
        reader.varuint()  # the clock
        try:
            state = json.loads(reader.string())
        except (ValueError, RecursionError) as error:
            raise BadMessage("an awareness state is not JSON") from error
        if state is not None and not isinstance(state, dict):
            raise BadMessage("an awareness state is not an object")
        states.append(AwarenessState(client_id, state is None))
    return states
