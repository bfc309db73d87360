"""The kernel's log: bounded, readable from any offset."""

from __future__ import annotations

from pathlib import Path

from notebook_exec.nanny.kernel_log import KernelLog


def test_k5_bounded(tmp_path: Path) -> None:
    """K5: two files at most; offsets count what is gone too; the end is always there."""
    log = KernelLog(str(tmp_path), limit_bytes=20_000)
    for number in range(5_000):
        log.write(b"line %05d\n" % number)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_100
    assert log.end == 11 * 5_000
    assert log.tail(0, limit_lines=2) == "line 04998\nline 04999"
    start, data = log.read(0, 100)
    assert start == log.start
    assert data.startswith(b"line %05d\n" % (start // 11))
    text = b""
    offset = log.start
    while chunk := log.read(offset, 777)[1]:
        text += chunk
        offset += len(chunk)
    assert text.endswith(b"line 04999\n")
    assert len(text) == log.end - log.start
    log.close()


def test_k1_the_tail_is_of_one_process(tmp_path: Path) -> None:
    """K1: the last lines are not those of the process before, and are text whatever they hold."""
    log = KernelLog(str(tmp_path), limit_bytes=20_000)
    log.write(b"of the first\n")
    begin = log.end
    assert log.tail(begin) == ""
    log.write(b"\xff of the second\n")
    assert log.tail(begin) == "\N{REPLACEMENT CHARACTER} of the second"
    log.close()
