"""What stays of nannies that are gone (K5, K7)."""

from __future__ import annotations

import os
from pathlib import Path

from notebook_exec.kernels import spools


def spool(root: Path, kernel_id: str, age: int, **files: str) -> Path:
    folder = root / f"{kernel_id}-{age:08x}"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", "-").replace("_", ".")).write_text(text)
    os.utime(folder, (1_000_000 - age, 1_000_000 - age))
    return folder


def test_k5_the_log_stays_without_the_rest(tmp_path: Path) -> None:
    """K5: of a kernel that died for good only the log is kept, with the offsets it had."""
    files = {"config_json": "secret", "kernel__100_log": "def", "kernel__97_log": "abc"}
    folder = spool(tmp_path, "k-1", 1, **files)
    spools.leave_log(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["kernel-100.log", "kernel-97.log"]
    assert spools.left_log(tmp_path, "k-1") == (97, b"abcdef")
    assert spools.left_log(tmp_path, "k") is None
    assert spools.left_log(tmp_path / "nowhere", "k-1") is None
    spools.leave_log(tmp_path / "nowhere")


def test_k5_the_last_nanny_is_asked(tmp_path: Path) -> None:
    """K5: of several that a kernel had."""
    spool(tmp_path, "k", 50, kernel__0_log="older")
    spool(tmp_path, "k", 10, kernel__0_log="newer")
    assert spools.left_log(tmp_path, "k") == (0, b"newer")


def test_k5_logs_do_not_pile_up(tmp_path: Path) -> None:
    """K5: the oldest of those that were left go; what a nanny may still need is not touched."""
    alive = spool(tmp_path, "alive", 1000, config_json="{}", kernel__0_log="x")
    for age in range(30):
        spool(tmp_path, f"k{age}", age + 1, kernel__0_log="x")
    made = spools.new_spool(tmp_path, "new")
    assert made.parent == tmp_path
    assert made.name.startswith("new-")
    left = {path.name[:-9] for path in tmp_path.iterdir()}
    assert left == {"alive", *(f"k{age}" for age in range(19))}
    assert alive.is_dir()
