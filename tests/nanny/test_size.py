"""The nanny stays small: what it imports, and what of its own it can be told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import notebook_exec
from notebook_exec.nanny.config import Config, ConfigError, load
from notebook_exec.nanny.memory import OomWatch

ROOT = Path(notebook_exec.__file__).parent.parent
HEAVY = {"asyncio", "dataclasses", "inspect", "logging", "pathlib", "subprocess", "tempfile"}


def test_nothing_heavy_is_imported() -> None:
    """Small and quick to start: none of the large modules is loaded for a nanny."""
    code = "import sys, notebook_exec.nanny.main; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    bare = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(run.stdout.split()) - set(bare.stdout.split())
    assert not loaded & HEAVY
    core = {name for name in loaded if name.startswith("notebook_exec.core")}
    allowed = ("", ".knock", ".mac", ".procstat", ".wire")
    assert core == {f"notebook_exec.core{name}" for name in allowed}
    assert not {name for name in loaded if name.startswith("notebook_exec.kernels")}
    others = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert {name for name in others if not name.startswith("_")} <= {
        "cython_runtime",
        "notebook_exec",
        "zmq",
    }


def test_the_server_does_not_import_the_nanny_or_posix() -> None:
    """On Windows the server's side must be importable: nothing POSIX-only, no nanny in it."""
    blocked = ("fcntl", "resource", "termios", "pwd", "grp", "pty")
    code = (
        "import sys\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "import notebook_exec.kernels.nanny_client, notebook_exec.kernels.nanny_port\n"
        "print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "notebook_exec.nanny" not in run.stdout.split()


def write(folder: Path, mode: int, **fields: object) -> str:
    path = folder / "config.json"
    path.touch(mode)
    path.chmod(mode)
    path.write_text(json.dumps(fields))
    return str(path)


def test_s3_a_configuration_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """S3: secrets are only in files with mode 0600."""
    with pytest.raises(ConfigError, match="others"):
        load(write(tmp_path, 0o640, key="k", spool=str(tmp_path)))
    config = load(write(tmp_path, 0o600, key="k", spool=str(tmp_path)))
    assert config == Config(b"k", str(tmp_path))


def test_s3_a_link_off_the_machine_must_be_encrypted(tmp_path: Path) -> None:
    """S3: without keys for it, a nanny does not listen where others may."""
    fields = {"key": "k", "spool": str(tmp_path), "link_ip": "0.0.0.0"}
    with pytest.raises(ConfigError, match="encrypted"):
        load(write(tmp_path, 0o600, **fields))
    fields |= {"link_publickey": "p" * 40, "link_secretkey": "s" * 40}
    assert load(write(tmp_path, 0o600, **fields)).link_secretkey == b"s" * 40


@pytest.mark.parametrize(
    "fields", [{}, {"key": "k"}, {"key": "k", "spool": "/", "nonsense": 1}, {"ports": 1}]
)
def test_a_wrong_configuration_is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    """What is missing or unknown is an error with a reason, and no traceback."""
    with pytest.raises(ConfigError):
        load(write(tmp_path, 0o600, **fields))
    run = subprocess.run(
        [sys.executable, "-m", "notebook_exec.nanny", "--config", str(tmp_path / "config.json")],
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 1
    assert "error" in json.loads(run.stdout)
    assert not run.stderr


def test_k1_out_of_memory_needs_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """K1: only a counter that grew since the last look is evidence; an old one is not."""
    counter = tmp_path / "memory.events"
    monkeypatch.setattr(
        "notebook_exec.nanny.memory._find_counter", lambda: (str(counter), b"oom_kill")
    )
    monkeypatch.setattr("notebook_exec.nanny.memory._is_in_system_log", lambda pid: False)
    counter.write_text("low 0\noom 5\noom_kill 3\noom_group_kill 0\n")
    watch = OomWatch()
    watch.begin()
    assert not watch.is_evident(os.getpid())
    counter.write_text("low 0\noom 6\noom_kill 4\noom_group_kill 0\n")
    assert watch.is_evident(os.getpid())
    watch.sample()
    assert not watch.is_evident(os.getpid())
    counter.unlink()
    assert not watch.is_evident(os.getpid())
