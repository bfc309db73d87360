"""One file of the journal: records in the order of their positions."""

from __future__ import annotations

import contextlib
import os

from notebook_exec.core import wire


class Segment:
    """Holds the records from ``first`` to ``last``, save for what was cut."""

    def __init__(self, folder: str, first: int) -> None:
        self.first = first
        self.last = first - 1
        self.size = 0
        self.cuts = 0  # how often something was taken out
        self.is_gone = False
        self._path = os.path.join(folder, f"journal-{first:016d}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)

    def write(self, data: bytes, last: int) -> None:
        """Add whole records, of which ``last`` is the last position. Raises ``OSError``."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            os.ftruncate(self._fd, self.size)  # no half record before what comes later
            raise
        self.size += len(data)
        self.last = last

    def read(self, offset: int, limit_bytes: int) -> bytes:
        """Whole records from ``offset`` on: at least one if there is one."""
        # Asked for more than there is, Python makes room for all of it first: that costs more
        # than the reading.
        limit_bytes = min(limit_bytes, self.size - offset)
        if limit_bytes <= 0:
            return b""
        chunk = os.pread(self._fd, limit_bytes, offset)
        end, _, lacking = wire.whole_records(chunk)
        if lacking:
            chunk += os.pread(self._fd, lacking, offset + len(chunk))
            end, _, _ = wire.whole_records(chunk)
        return chunk[:end]

    def shorten(self, folder: str) -> Segment:
        """A segment in place of this one, without the output, or at the second time with nothing.

        Replies and notices stay at first: without its reply an execution would never end,
        without output it is one with a gap.
        """
        kept: list[tuple[int, bytes]] = []
        lost: list[int] = []
        for record in wire.unpack_records(self.read(0, self.size)):
            if record.channel == "iopub" or self.cuts:
                lost.append(record.position)
            else:
                kept.append((record.position, wire.pack_record(*record)))
        if lost:
            kept.append((lost[0], cut_notice(lost, "the journal is full")))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)  # the descriptor still reads it
        shorter = Segment(folder, self.first)
        try:
            shorter.write(b"".join(record for _, record in sorted(kept)), self.last)
        except OSError:
            shorter.drop()
            raise
        shorter.cuts = self.cuts + 1
        self.close()
        return shorter

    def close(self) -> None:
        """Let go of the file, which stays."""
        self.is_gone = True
        os.close(self._fd)

    def drop(self) -> None:
        """Take the file away."""
        self.close()
        with contextlib.suppress(FileNotFoundError):  # the server took the spool away already
            os.unlink(self._path)


def cut_notice(lost: list[int], why: str) -> bytes:
    """The record that stands where the positions in ``lost`` were."""
    return wire.pack_notice(
        lost[0],
        {"event": "cut", "from": lost[0], "to": lost[-1], "messages": len(lost), "why": why},
    )
