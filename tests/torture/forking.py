"""Servers that start in a tenth of a second, from one template process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from lasting import LastingServer
from real_server import ROOT

TEMPLATE = Path(__file__).parent / "template.py"


class Template:
    """The process that is forked. ``close`` it in the end."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        paths = (str(ROOT), str(ROOT / "tests" / "server"))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(TEMPLATE), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                stdout=subprocess.DEVNULL,
            )
        self._lock = threading.Lock()
        self._said = threading.Condition()
        self._started: list[int] = []
        self._codes: dict[int, int] = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def fork(self, arguments: list[str], environment: dict[str, str], folder: Path) -> Forked:
        """A server, as soon as the template is ready."""
        told = {"arguments": arguments, "environment": environment, "folder": str(folder)}
        readable, writable = os.pipe()
        with self._lock:
            socket.send_fds(self._channel, [json.dumps(told).encode()], [writable])
            os.close(writable)
            with self._said:
                assert self._said.wait_for(lambda: self._started, 60), "the template is stuck"
                pid = self._started.pop()
        return Forked(self, pid, os.fdopen(readable, errors="replace"))

    def code(self, pid: int, timeout_s: float | None) -> int | None:
        """The exit code of a server, None if it runs still after ``timeout_s``."""
        with self._said:
            self._said.wait_for(lambda: pid in self._codes, timeout_s)
            return self._codes.get(pid)

    def close(self) -> None:
        """When no server of it runs any more."""
        self._channel.shutdown(socket.SHUT_WR)
        self._reader.join()
        self._channel.close()
        self._process.wait(30)

    def _read(self) -> None:
        with self._channel.makefile("rb") as lines:
            for line in lines:
                told: dict[str, Any] = json.loads(line)
                with self._said:
                    if "started" in told:
                        self._started.append(told["started"])
                    elif "ended" in told:
                        self._codes[told["ended"]] = told["code"]
                    self._said.notify_all()


class Forked:
    """Like a ``subprocess.Popen``."""

    def __init__(self, template: Template, pid: int, stderr: IO[str]) -> None:
        self._template = template
        self.pid = pid
        self.stderr: IO[str] | None = stderr

    def poll(self) -> int | None:
        return self._template.code(self.pid, 0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._template.code(self.pid, timeout)
        if code is None:
            raise subprocess.TimeoutExpired("jupyter-server", timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkingServer(LastingServer):
    """A ``LastingServer`` that starts quickly."""

    def __init__(self, template: Template, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self._template = template

    def _spawn(self, arguments: list[str], environment: dict[str, str]) -> Forked:
        # jupyter_server_fileid decides where its file is when it is imported.
        file_ids = f"--BaseFileIdManager.db_path={self.folder / 'data' / 'file_id_manager.db'}"
        return self._template.fork([*arguments, file_ids], environment, self.folder)
