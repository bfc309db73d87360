"""Records of a nanny's journal as the messages that they are, and those in the files it left."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from notebook_exec.core.model import KernelMessage
from notebook_exec.core.wire import Record, WireError, unpack_records
from notebook_exec.kernels.messages import Received, Wire, answer_told
from notebook_exec.kernels.room_for_output import is_about_room

log = logging.getLogger(__name__)

_SLICE_RECORDS = 256


def of_record(wire: Wire, record: Record) -> Received | None:
    """None for what is not ours: replies of another link to the same kernel.

    Raises ``ProtocolError``.
    """
    message, parent = wire.parse(record.channel, record.frames)
    if record.channel != "iopub" and parent.session != wire.session:
        return None
    if is_about_room(parent.msg_id):
        return None
    message.position = record.position
    return message, parent


def answer_of(notice: Mapping[str, Any], record: Record) -> KernelMessage:
    """What an ``answered`` notice says. Raises ``KeyError``."""
    said = notice["request"], notice["prompt"], notice["value"]
    return answer_told(*said, record.position)


def left_records(spool: Path, position: int) -> Iterator[Record]:
    """The records after ``position``, as far as they are whole.

    What a machine's crash has damaged ends its segment.
    """
    segments = sorted(spool.glob("journal-*")) if spool.is_dir() else []
    for path, following in zip_longest(segments, segments[1:]):
        if following is not None and int(following.name.partition("-")[2]) <= position + 1:
            continue
        try:
            for record in unpack_records(path.read_bytes()):
                if record.position > position:
                    position = record.position
                    yield record
        except (OSError, WireError) as error:
            log.warning("%s: %s", path.name, error)


def left_slices(spool: Path, position: int) -> Iterator[list[Record]]:
    """``left_records``, some at a time."""
    left = left_records(spool, position)
    while records := list(islice(left, _SLICE_RECORDS)):
        yield records
