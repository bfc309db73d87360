"""Processor time, memory and age of a process of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from notebook_exec.core.procstat import parse_stat

_SHORTEST_S = 0.25  # the system counts in hundredths of a second
_LONGEST_S = 60.0


class Figures(NamedTuple):
    """What is known of a process at one moment."""

    cpu_s: float
    rss_bytes: int
    uptime_s: float


def figures_of(pid: int) -> Figures | None:
    """None if there is no such process, or no ``/proc``."""
    try:
        stat = parse_stat(Path(f"/proc/{pid}/stat").read_bytes())
        up_s = float(Path("/proc/uptime").read_bytes().split()[0])
    except OSError:
        return None
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    age_s = max(0.0, up_s - stat.start_ticks / tick)
    return Figures(stat.cpu_ticks / tick, stat.rss_pages * page, round(age_s, 3))


class CpuMeter:
    """How busy processes were since they were last looked at."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, tuple[int, float, float]] = {}  # pid, moment, processor time

    def percent(self, name: str, pid: int, cpu_s: float) -> float | None:
        """Of one core, since the last look. None if that was just now, too long ago, or never."""
        now = self._clock()
        last = self._last.get(name)
        if last is None or last[0] != pid or not _SHORTEST_S <= now - last[1] <= _LONGEST_S:
            if last is None or last[0] != pid or now - last[1] > _LONGEST_S:
                self._last[name] = (pid, now, cpu_s)
            return None
        self._last[name] = (pid, now, cpu_s)
        return round(max(0.0, 100 * (cpu_s - last[2]) / (now - last[1])), 1)

    def wait_s(self, name: str) -> float:
        """How long until ``percent`` can be told."""
        last = self._last.get(name)
        return 0.0 if last is None else max(0.0, last[1] + _SHORTEST_S - self._clock())

    def forget(self, known: Callable[[str], bool]) -> None:
        """Drop what is not ``known`` any more."""
        self._last = {name: last for name, last in self._last.items() if known(name)}
