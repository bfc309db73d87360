"""The journal: numbered, bounded, dropped when stored, honest about what it lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from notebook_exec.core import wire
from notebook_exec.core.wire import Record
from notebook_exec.nanny.journal import Cursor, Journal


def journal(folder: Path, *, limit_bytes: int = 2**30, segment_bytes: int = 1000) -> Journal:
    return Journal(str(folder), limit_bytes=limit_bytes, segment_bytes=segment_bytes)


def fill(made: Journal, count: int, *, channel: str = "iopub", size: int = 50) -> None:
    for _ in range(count):
        made.append(channel, [b"x" * size])
        made.flush()


def everything(made: Journal, position: int = 0, limit_bytes: int = 300) -> list[Record]:
    cursor = Cursor(position)
    records: list[Record] = []
    while chunk := made.read(cursor, limit_bytes):
        records += wire.unpack_records(chunk)
    return records


@pytest.mark.parametrize("position", [0, 1, 13, 37, 99, 100])
def test_r2_reading_from_any_position(tmp_path: Path, position: int) -> None:
    """R2: a reader gets all that follows its position, across files, each record once."""
    made = journal(tmp_path)
    fill(made, 100)
    assert len(list(tmp_path.iterdir())) > 3
    assert [r.position for r in everything(made, position)] == list(range(position + 1, 101))


def test_r2_a_reader_at_the_end_goes_on(tmp_path: Path) -> None:
    """R2: what is appended later follows what was read, in the same file and in the next."""
    made = journal(tmp_path)
    cursor = Cursor(0)
    seen: list[int] = []
    for _ in range(60):
        fill(made, 1)
        while chunk := made.read(cursor):
            seen += [record.position for record in wire.unpack_records(chunk)]
    assert seen == list(range(1, 61))


@pytest.mark.parametrize("seed", range(20))
def test_r2_read_before_and_after_it_is_written(tmp_path: Path, seed: int) -> None:
    """R2: readers in step get what is in memory, others what is in files, each record once."""
    random = Random(seed)
    made = journal(tmp_path)
    cursors = [Cursor(0) for _ in range(3)]
    seen: list[list[int]] = [[] for _ in cursors]
    for _ in range(300):
        match random.randrange(3):
            case 0:
                made.append("iopub", [b"x" * random.randrange(200)])
            case 1:
                made.flush()
            case 2:
                reader = random.randrange(3)
                chunk = made.read(cursors[reader], random.choice([100, 1000]))
                seen[reader] += [record.position for record in wire.unpack_records(chunk)]
    for reader, cursor in enumerate(cursors):
        while chunk := made.read(cursor):
            seen[reader] += [record.position for record in wire.unpack_records(chunk)]
        assert seen[reader] == list(range(1, made.last + 1))


def test_a_record_larger_than_all_limits(tmp_path: Path) -> None:
    """O14: one message of any size is one record."""
    made = journal(tmp_path)
    made.append("iopub", [b"y" * 100_000, b"z"])
    fill(made, 2)
    made.append("iopub", [b"y" * 50_000])  # still in memory
    records = everything(made)
    assert [len(record.frames[0]) for record in records] == [100_000, 50, 50, 50_000]


def test_acked_files_are_dropped(tmp_path: Path) -> None:
    """R2: what is stored elsewhere takes no room; what is not stays."""
    made = journal(tmp_path)
    fill(made, 100)
    made.drop(60)
    assert made.first <= 61
    assert [r.position for r in everything(made, 60)] == list(range(61, 101))
    made.drop(100)
    assert made.size_bytes < 1000
    fill(made, 5)
    assert [r.position for r in everything(made, 100)] == [101, 102, 103, 104, 105]


def test_a_reader_survives_that_its_file_is_dropped(tmp_path: Path) -> None:
    """R2: another reader's ack may take the file away that this one is in."""
    made = journal(tmp_path)
    fill(made, 100)
    cursor = Cursor(0)
    made.read(cursor, 100)
    made.drop(60)
    rest = [r.position for r in everything(made, cursor.position)]
    assert rest == list(range(made.first, 101))


def test_the_limit_costs_output_never_replies(tmp_path: Path) -> None:
    """R2: past its limit the journal cuts the oldest output, and says where; replies stay."""
    made = journal(tmp_path, limit_bytes=10_000)
    for _ in range(20):
        fill(made, 20, size=100)
        fill(made, 1, channel="shell")
    assert made.size_bytes < 14_000
    records = everything(made)
    assert [r.position for r in records if r.channel == "shell"] == list(range(21, 421, 21))
    cuts = [r.notice() for r in records if r.channel == "notice"]
    lost = sum(cut["messages"] for cut in cuts)
    assert lost + sum(r.channel == "iopub" for r in records) == 400
    assert cuts[0]["from"] == 1
    assert [r.position for r in records] == sorted(r.position for r in records)


def test_replies_alone_are_bounded_too(tmp_path: Path) -> None:
    """R2: whatever fills it, the journal stays near its limit."""
    made = journal(tmp_path, limit_bytes=5_000)
    fill(made, 400, channel="shell", size=100)
    assert made.size_bytes < 9_000
    assert any(r.channel == "notice" for r in everything(made))


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A disk that takes half of what is written, and is full then."""
    state = {"full": False}
    write = os.write

    def short_write(fd: int, data: Any) -> int:
        if not state["full"]:
            return write(fd, data)
        if len(data) < 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, bytes(data)[: len(data) // 2])

    monkeypatch.setattr(os, "write", short_write)
    return state


def test_r7_a_full_disk(tmp_path: Path, full_disk: dict[str, bool]) -> None:
    """R7: what the disk does not take is read from memory, and written when there is room."""
    made = journal(tmp_path)
    fill(made, 5)
    full_disk["full"] = True
    fill(made, 5)
    assert made.trouble
    assert [r.position for r in everything(made)] == list(range(1, 11))
    full_disk["full"] = False
    fill(made, 5)
    assert not made.trouble
    assert [r.position for r in everything(made)] == list(range(1, 16))


def test_r7_a_disk_that_stays_full(tmp_path: Path, full_disk: dict[str, bool]) -> None:
    """R7: memory is bounded too: output goes, with a notice, and replies stay."""
    made = journal(tmp_path)
    full_disk["full"] = True
    for _ in range(10):
        fill(made, 30)
        fill(made, 1, channel="shell")
    records = everything(made)
    assert [r.position for r in records if r.channel == "shell"] == list(range(31, 311, 31))
    cuts = [r.notice() for r in records if r.channel == "notice"]
    lost = sum(cut["messages"] for cut in cuts)
    assert lost + sum(r.channel == "iopub" for r in records) == 300
    assert [r.position for r in records] == sorted(r.position for r in records)
