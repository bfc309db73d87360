"""The nanny's process as the server sees it: started here, or by a server before this one."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import notebook_exec
from notebook_exec.core.procstat import parse_stat
from notebook_exec.kernels.spools import CONFIG_NAME

_START_LIMIT_S = 30.0
_END_LIMIT_S = 8.0
_LAST_WORDS_BYTES = 4096
_LOG_NAME = "nanny.log"
_POLL_S = 0.005
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)

_left: set[int] = set()
"""Children of ours that were let go: somebody has to collect them when they end."""


class NannyFailed(Exception):
    """The nanny's process did not start. The text says why, and ``errno`` if the system did."""

    def __init__(self, message: str, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno


class NannyProcess:
    """A process, known by its id and by when it started: ids are used again."""

    def __init__(
        self, pid: int, start_time: str, spool: Path, link: str, link_key: str = ""
    ) -> None:
        """``link_key``: the public key with which the link is encrypted, "" if it is not."""
        self.pid = pid
        self.start_time = start_time
        self.spool = spool
        self.link = link
        self.link_key = link_key
        self.ports: dict[str, int] = {}
        self._popen: subprocess.Popen[bytes] | None = None

    @classmethod
    async def start(cls, spool: Path, config: dict[str, Any]) -> NannyProcess:
        """Start one that outlives this process. Raises ``NannyFailed``."""
        popen = cls._spawn(spool, config)
        try:
            ready = await _read_line(popen)
        except NannyFailed as error:
            popen.kill()
            popen.wait()
            log = _last_words(spool)
            raise NannyFailed(f"{error} {log}".strip(), error.errno) from None
        start_time, link_key = _start_time(popen.pid), str(config.get("link_publickey", ""))
        made = cls(popen.pid, start_time, spool, ready["link"], link_key)
        made.ports = {str(name): int(port) for name, port in ready["ports"].items()}
        made._popen = popen
        return made

    @staticmethod
    def _spawn(spool: Path, config: dict[str, Any]) -> subprocess.Popen[bytes]:
        _collect()
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = spool / CONFIG_NAME
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w") as stream:
            json.dump({**config, "spool": str(spool)}, stream)
        # In the foreground of no terminal, in a group of its own: what ends the server is not
        # sent to it. In its own folder: Python looks for modules there first.
        with (spool / _LOG_NAME).open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "notebook_exec.nanny", "--config", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=spool,
                env=_environment(),
                start_new_session=True,
            )

    @classmethod
    def load(cls, stored: dict[str, Any]) -> NannyProcess:
        """The process that ``to_store`` described."""
        return cls(
            int(stored["pid"]),
            str(stored["start_time"]),
            Path(stored["spool"]),
            stored["link"],
            str(stored.get("link_key", "")),
        )

    def to_store(self) -> dict[str, Any]:
        """What a later server needs to find it again."""
        return {
            "pid": self.pid,
            "start_time": self.start_time,
            "spool": str(self.spool),
            "link": self.link,
            "link_key": self.link_key,
        }

    def is_alive(self) -> bool:
        """Whether it still runs; reaps it if it is ours."""
        if self._popen is not None:
            return self._popen.poll() is None
        return bool(self.start_time) and _start_time(self.pid) == self.start_time

    def last_words(self) -> str:
        """What it wrote to its standard error, of that the end; it writes only what goes wrong."""
        return _last_words(self.spool)

    async def ended(self, limit_s: float = _END_LIMIT_S) -> None:
        """Wait until it is gone; if that takes too long, make it so."""
        for _ in range(int(limit_s / _POLL_S)):
            if not self.is_alive():
                return
            await asyncio.sleep(_POLL_S)
        os.kill(self.pid, _KILL)
        if self._popen is not None:
            self._popen.wait()

    def let_go(self) -> None:
        """It is no business of this process any more, and lives on."""
        if self._popen is not None:
            if self._popen.returncode is None:
                _left.add(self.pid)
                self._popen.returncode = 0  # its destructor would complain of what is on purpose
            self._popen = None

    def remove_spool(self) -> None:
        """Journal and log go, when nobody is to read them any more."""
        shutil.rmtree(self.spool, ignore_errors=True)


def _collect() -> None:
    """Of those that were let go, who has ended."""
    for pid in list(_left):
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                _left.discard(pid)
        except ChildProcessError:
            _left.discard(pid)


def _environment() -> dict[str, str]:
    """Ours, and where this package is, should it not be installed."""
    env = dict(os.environ)
    root = str(Path(notebook_exec.__file__).parent.parent)
    paths = [root, *filter(None, [env.get("PYTHONPATH")])]
    env["PYTHONPATH"] = os.pathsep.join(paths)
    return env


async def _read_line(popen: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the nanny says when it is ready. Raises ``NannyFailed``."""
    assert popen.stdout is not None
    said = b""
    with popen.stdout as stdout:
        os.set_blocking(stdout.fileno(), False)
        for _ in range(int(_START_LIMIT_S / _POLL_S)):
            chunk = stdout.read()
            said += chunk or b""
            if said.endswith(b"\n"):
                break
            if chunk == b"":
                raise NannyFailed("the nanny did not start.")
            await asyncio.sleep(_POLL_S)
    try:
        fields: dict[str, Any] = json.loads(said)
    except ValueError:
        raise NannyFailed("the nanny does not say that it is ready.") from None
    if "error" in fields:
        raise NannyFailed(str(fields["error"]), int(fields.get("errno", 0)))
    return fields


def _last_words(spool: Path) -> str:
    try:
        with (spool / _LOG_NAME).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
            return log.read().decode(errors="replace").strip()
    except OSError:
        return ""


def _start_time(pid: int) -> str:
    """When a process that runs was started, in whatever unit the system has; "" if it does not."""
    try:
        stat = parse_stat(Path(f"/proc/{pid}/stat").read_bytes())
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        return _start_time_without_proc(pid)
    return "" if stat.is_over else str(stat.start_ticks)


def _start_time_without_proc(pid: int) -> str:
    try:
        answer = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return answer.stdout.strip()
