"""The folders of nannies on this machine, and what is kept of a kernel that died for good (K5).

A nanny has one folder, ``<kernel id>-<8 hex digits>``. Of a kernel that died and stays dead only
the log is kept in it, until later ones take its place.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import NamedTuple

from jupyter_core.paths import jupyter_runtime_dir

CONFIG_NAME = "config.json"
_SUFFIX_CHARS = 9
_LOGS_KEPT = 20


class LeftLog(NamedTuple):
    """The log of a nanny that is gone: its bytes, and the offset of the first."""

    start: int
    data: bytes


def root_of(spool_dir: str) -> Path:
    """The folder of all; ``spool_dir`` is what the option of that name says.

    Absolute: a nanny works in a folder of its own, where a name relative to ours is another.
    """
    return Path(spool_dir or Path(jupyter_runtime_dir()) / "notebook_exec").absolute()


def new_spool(root: Path, kernel_id: str) -> Path:
    """The folder for a new nanny, not made yet. The oldest of the logs that were left go."""
    left = [path for path in _folders(root) if not (path / CONFIG_NAME).exists()]
    left.sort(key=_age, reverse=True)
    for path in left[_LOGS_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
    return root / f"{kernel_id}-{uuid.uuid4().hex[:8]}"


def leave_log(spool: Path) -> None:
    """Remove all but the log."""
    for path in list(spool.iterdir()) if spool.is_dir() else ():
        if path not in _logs(spool):
            path.unlink(missing_ok=True)


def read_log(spool: Path) -> LeftLog:
    """What is there of a log, whatever became of its nanny."""
    logs = _logs(spool)
    if not logs:
        return LeftLog(0, b"")
    return LeftLog(_begin(logs[0]), b"".join(path.read_bytes() for path in logs))


def left_log(root: Path, kernel_id: str) -> LeftLog | None:
    """The log of the last nanny of a kernel that is gone, if it was left."""
    of_kernel = [path for path in _folders(root) if path.name[:-_SUFFIX_CHARS] == kernel_id]
    return read_log(max(of_kernel, key=_age)) if of_kernel else None


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []


def _logs(spool: Path) -> list[Path]:
    return sorted(spool.glob("kernel-*.log"), key=_begin)


def _begin(log: Path) -> int:
    return int(log.stem.partition("-")[2])


def _age(path: Path) -> float:
    return path.stat().st_mtime
