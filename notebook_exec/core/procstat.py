"""What a line of ``/proc/PID/stat`` says. The nanny imports this module, and is to stay small."""

from __future__ import annotations

from typing import NamedTuple


class ProcStat(NamedTuple):
    """The fields that are used here, of proc(5)."""

    state: str
    parent_pid: int
    cpu_ticks: int  # of the process itself, in user and in system mode
    start_ticks: int  # after the machine's start
    rss_pages: int

    @property
    def is_over(self) -> bool:
        """Whether it only waits to be collected."""
        return self.state in ("Z", "X")


def parse_stat(line: bytes) -> ProcStat:
    """Raises ``ValueError`` or ``IndexError`` if it is no such line."""
    # The name in parentheses may hold anything, parentheses too.
    fields = line.rpartition(b")")[2].split()
    return ProcStat(
        fields[0].decode("ascii"),
        int(fields[1]),
        int(fields[11]) + int(fields[12]),
        int(fields[19]),
        int(fields[21]),
    )
