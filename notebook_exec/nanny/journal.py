"""The journal: what the kernel said, numbered, in files, until the server has stored it.

No fsync: a page that was written outlives this process, and the machine's death ends the kernel
too. Records are those of ``core.wire``, so that a chunk of a file is a chunk of a message.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from notebook_exec.core import wire
from notebook_exec.nanny.segment import Segment, cut_notice

SEGMENT_BYTES = 4 * 2**20
CHUNK_BYTES = 64 * 1024
_ENDING_CHANNELS = ("shell", "control", "stdin", wire.NOTICE_CHANNEL)


class Cursor:
    """Where a reader of the journal stands: all up to ``position`` was read."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.segment: Segment | None = None
        self.offset = 0


class Journal:
    """Grows at its end by ``append`` and ``flush``, shrinks at its begin by ``drop``."""

    def __init__(
        self,
        folder: str,
        *,
        limit_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
        first: int = 1,
    ) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._segments: list[Segment] = []
        self._size = 0
        # The end, in memory: what comes between two flushes, and what a full disk does not take.
        self._tail: list[tuple[int, str, bytes]] = []
        self._tail_bytes = 0
        self.last = first - 1  # the last position given away
        self.trouble = ""  # why the last flush failed

    @property
    def first(self) -> int:
        """The first position that can still be read."""
        if self._segments:
            return self._segments[0].first
        return self._tail[0][0] if self._tail else self.last + 1

    @property
    def size_bytes(self) -> int:
        """What the files hold."""
        return self._size

    def append(self, channel: str, frames: Sequence[bytes]) -> int:
        """Add a record, to be written by ``flush``. The answer is its position."""
        self.last += 1
        record = wire.pack_record(self.last, channel, frames)
        self._tail.append((self.last, channel, record))
        self._tail_bytes += len(record)
        return self.last

    def note(self, fields: Mapping[str, Any]) -> int:
        """Add a notice of the nanny's own."""
        self.last += 1
        record = wire.pack_notice(self.last, fields)
        self._tail.append((self.last, wire.NOTICE_CHANNEL, record))
        self._tail_bytes += len(record)
        return self.last

    def flush(self) -> None:
        """Write what was appended. What the disk does not take stays in memory, bounded (R7)."""
        if not self._tail:
            return
        try:
            if not self._segments or self._segments[-1].size >= self._segment_bytes:
                self._segments.append(Segment(self._folder, self._tail[0][0]))
            data = b"".join(record for _, _, record in self._tail)
            self._segments[-1].write(data, self._tail[-1][0])
        except OSError as error:
            self.trouble = os.strerror(error.errno or 0)
            self._bound_tail()
            return
        self.trouble = ""
        self._size += len(data)
        self._tail.clear()
        self._tail_bytes = 0
        if self._size > self._limit_bytes:
            try:
                self._cut()
            except OSError as error:  # no room even for less: what is there stays
                self.trouble = os.strerror(error.errno or 0)

    def read(self, cursor: Cursor, limit_bytes: int = CHUNK_BYTES) -> bytes:
        """Whole records after ``cursor``, which moves past them; empty at the end.

        ``limit_bytes`` is overstepped by a first record that is larger.
        """
        while True:
            chunk = self._next(cursor, limit_bytes)
            # A file is read from its begin, and may have been replaced by a shorter one.
            if chunk and wire.first_position(chunk) <= cursor.position:
                chunk = b"".join(
                    wire.pack_record(*record)
                    for record in wire.unpack_records(chunk)
                    if record.position > cursor.position
                )
                if not chunk:
                    continue
            if chunk:
                cursor.position = wire.whole_records(chunk)[1]
            return chunk

    def drop(self, position: int) -> None:
        """Everything up to ``position`` is stored elsewhere."""
        while self._segments and self._segments[0].last <= position:
            if len(self._segments) == 1 and self._segments[0].size < self._segment_bytes // 4:
                break  # small enough to go on in
            segment = self._segments.pop(0)
            self._size -= segment.size
            segment.drop()

    def close(self, *, keep: bool) -> None:
        """Write what is pending; with ``keep`` the files stay."""
        self.flush()
        for segment in self._segments:
            segment.close() if keep else segment.drop()
        self._segments.clear()

    def _next(self, cursor: Cursor, limit_bytes: int) -> bytes:
        """The next chunk where the cursor stands, which moves in its file only."""
        while True:
            if cursor.segment is None or cursor.segment.is_gone:
                cursor.segment = self._find(cursor.position)
                cursor.offset = 0
            if cursor.segment is None:
                return self._from_tail(cursor.position, limit_bytes)
            if cursor.position >= cursor.segment.last:
                cursor.offset = cursor.segment.size  # what it had from memory is in the file now
            chunk = cursor.segment.read(cursor.offset, limit_bytes)
            if chunk:
                cursor.offset += len(chunk)
                return chunk
            if cursor.segment is self._segments[-1]:
                return self._from_tail(cursor.position, limit_bytes)
            cursor.position = max(cursor.position, cursor.segment.last)
            cursor.segment = None

    def _find(self, position: int) -> Segment | None:
        for segment in self._segments:
            if segment.last > position:
                return segment
        return None

    def _from_tail(self, position: int, limit_bytes: int) -> bytes:
        records: list[bytes] = []
        for this, _, record in self._tail:
            if this > position:
                records.append(record)
                limit_bytes -= len(record)
                if limit_bytes <= 0:
                    break
        return b"".join(records)

    def _cut(self) -> None:
        """Past the limit something goes: the oldest output first, then all that is old."""
        for cuts in (0, 1):
            for index, segment in enumerate(self._segments[:-1]):
                if segment.cuts == cuts:
                    shorter = segment.shorten(self._folder)
                    self._segments[index] = shorter
                    self._size -= segment.size - shorter.size
                    if self._size <= self._limit_bytes * 3 // 4:
                        return

    def _bound_tail(self) -> None:
        if self._tail_bytes <= self._segment_bytes:
            return
        lost = [position for position, channel, _ in self._tail if channel == "iopub"]
        self._tail = [record for record in self._tail if record[1] in _ENDING_CHANNELS]
        if lost:
            notice = (lost[0], wire.NOTICE_CHANNEL, cut_notice(lost, self.trouble))
            self._tail = sorted([*self._tail, notice])
        self._tail_bytes = sum(len(record) for _, _, record in self._tail)
