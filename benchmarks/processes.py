"""Servers as child processes, and what they cost."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

START_S = 60.0
STOP_S = 15.0


def cpu_seconds(pid: int) -> float:
    """The CPU time that process ``pid`` has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def jupyter_environment(folder: Path) -> dict[str, str]:
    """An environment whose Jupyter sees nothing of the user's."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPY"))
    }
    for name, sub in (
        ("JUPYTER_CONFIG_DIR", "config"),
        ("JUPYTER_DATA_DIR", "data"),
        ("JUPYTER_RUNTIME_DIR", "runtime"),
        ("IPYTHONDIR", "ipython"),
        ("HOME", "home"),
    ):
        (folder / sub).mkdir(parents=True, exist_ok=True)
        environment[name] = str(folder / sub)
    return environment


class Server:
    """A Jupyter server with folders of its own, on a free port of this machine."""

    def __init__(self, python: Path, folder: Path, config: dict[str, Any]) -> None:
        self._folder = folder
        self._environment = jupyter_environment(folder)
        self.token = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        root = folder / "root"
        root.mkdir(parents=True, exist_ok=True)
        self._command = [
            *(str(python), "-m", "jupyter_server"),
            *("--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
            *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
            *(f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={self.token}"),
        ]
        (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(config))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        """Where it writes what it has to say."""
        return self._folder / "server.log"

    def start(self, poll_s: float = 0.1) -> None:
        """Start it, and return when it answers; ``poll_s``: how often it is asked."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder / "root",
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"The server did not start:\n{self.log_tail()}")
            time.sleep(poll_s)

    def kill(self) -> None:
        """End it with no chance to do anything; what it started may live on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def log_tail(self) -> str:
        """The last it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def end_sessions(self) -> None:
        """End every kernel that a measurement left behind."""
        for session in json.loads(self._request("GET", "/api/sessions")):
            with contextlib.suppress(OSError):
                self._request("DELETE", f"/api/sessions/{session['id']}")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """One request of the API: what its JSON says."""
        data = None if body is None else json.dumps(body).encode()
        return json.loads(self._request(method, path, data=data))

    def _request(
        self, method: str, path: str, timeout_s: float = 20.0, data: bytes | None = None
    ) -> bytes:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            body: bytes = response.read()
            return body

    def _answers(self) -> bool:
        try:
            self._request("GET", "/api/status", 2.0)
        except OSError:  # refused, timed out, or an HTTP error
            return False
        return True

    def pause(self) -> None:
        """Have it stand still: some go on and on after a measurement, at the cost of the next."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on; it may have gone on already."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it and its kernels; safe to call twice."""
        if self._process is None or self._process.poll() is not None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
