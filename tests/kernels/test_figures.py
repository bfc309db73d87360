"""How busy a process is, by a clock that is moved by hand; and what /proc says."""

from __future__ import annotations

import os

import pytest

from notebook_exec.core.procstat import parse_stat
from notebook_exec.kernels.figures import CpuMeter, figures_of
from notebook_exec.kernels.operations import signal_number


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a4_cpu_since_the_last_look() -> None:
    """A4: of one core, over the time since the last look, if that says something."""
    clock = Clock()
    meter = CpuMeter(clock)
    assert meter.percent("k", 7, 10.0) is None
    clock.now += 0.1
    assert meter.percent("k", 7, 10.1) is None  # too soon: the first look still counts
    assert meter.wait_s("k") == pytest.approx(0.15)
    clock.now += 0.4
    assert meter.percent("k", 7, 10.75) == 150.0
    clock.now += 10
    assert meter.percent("k", 7, 10.75) == 0.0
    clock.now += 61
    assert meter.percent("k", 7, 11.0) is None  # too long ago
    clock.now += 1
    assert meter.percent("k", 8, 0.5) is None  # another process
    clock.now += 1
    assert meter.percent("k", 8, 0.75) == 25.0
    meter.forget(lambda name: name != "k")
    assert meter.percent("k", 8, 1.0) is None


def test_a4_figures_of_a_process() -> None:
    """A4: of this one; None of one that is not there."""
    figures = figures_of(os.getpid())
    assert figures is not None
    assert figures.cpu_s > 0
    assert figures.rss_bytes > 2**20
    assert figures.uptime_s > 0
    assert figures_of(2**22 + 1) is None


def test_a_name_with_parentheses() -> None:
    """K4: a process may be called anything; what comes after its name is read from the end."""
    fields = [b"S", b"42", *(b"0" for _ in range(9)), b"3", b"4", *(b"0" for _ in range(6)),
              b"1234", b"0", b"99", b"0"]  # fmt: skip
    stat = parse_stat(b"7 (a) b) S 1) " + b" ".join(fields))
    assert stat == ("S", 42, 7, 1234, 99)
    assert not stat.is_over


def test_a4_signals_by_name_or_number() -> None:
    """A4: both mean the same."""
    assert signal_number("SIGTERM") == signal_number("term") == signal_number(15) == 15
