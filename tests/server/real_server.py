"""A real Jupyter Server in a process of its own, with folders of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote

import nbformat
from ports import free_port
from server_harness import TOKEN, Answer, Client

ROOT = Path(__file__).parents[2]


class Process(Protocol):
    """What is used of a ``subprocess.Popen``."""

    stderr: IO[str] | None

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


class RealServer(Client):
    """``start`` it, ``stop`` it, start it again: its folders stay."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir(parents=True)
        for name in ("config", "data", "runtime", "ipython"):
            (folder / name).mkdir()
        self.log: list[str] = []
        config = {
            "ServerApp": {
                "jpserver_extensions": {"notebook_exec": True, "jupyter_server_fileid": True},
                "base_url": "/base/",
                "root_dir": str(self.root),
                "allow_root": True,
                "open_browser": False,
                "ip": "127.0.0.1",
                "port_retries": 0,
                "log_level": "INFO",
                "authorizer_class": "real_authorizer.HeaderAuthorizer",
            },
            "IdentityProvider": {"token": TOKEN},
            # Kernels of a server that was killed by a test are not to stay for a day.
            "NotebookExecApp": {"save_delay": 0.1, "orphan_timeout": 60.0, **options},
        }
        (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(config))
        self.port = free_port()
        self._process: Process | None = None
        self._running = threading.Event()
        self._logged = threading.Condition()
        self._reader: threading.Thread | None = None

    def start(self, *options: str) -> None:
        """Return when it answers. ``options`` are for its command line."""
        environment = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(self.folder / "config"),
            "JUPYTER_DATA_DIR": str(self.folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
            "IPYTHONDIR": str(self.folder / "ipython"),
            "JUPYTER_NO_CONFIG": "1",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(Path(__file__).parent))),
        }
        self._running.clear()
        arguments = [
            f"--config={self.folder / 'config' / 'jupyter_server_config.json'}",
            f"--ServerApp.port={self.port}",
            *options,
        ]
        self._process = self._spawn(arguments, environment)
        self._reader = threading.Thread(target=self._read_log, args=(self._process,))
        self._reader.start()
        try:
            assert self._running.wait(60), "".join(self.log)
            self._await_port()
            answer = self.raw("GET", "/api/executions")
            assert answer.status == 200, (answer.body, "".join(self.log))
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def _spawn(self, arguments: list[str], environment: dict[str, str]) -> Process:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *arguments],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=self.folder,
        )

    @property
    def pid(self) -> int:
        """Of the server that runs."""
        assert self._process is not None
        return self._process.pid

    def _await_port(self) -> None:
        """It says that it runs a moment before it listens, and nothing tells when it does."""
        while True:
            assert self._process is not None and self._process.poll() is None, "".join(self.log)
            try:
                socket.create_connection(("127.0.0.1", self.port), 30).close()
            except ConnectionRefusedError:
                continue
            return

    def _read_log(self, process: Process) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._logged:
                self.log.append(line)
                self._logged.notify_all()
            if "is running at" in line:
                self._running.set()
        self._running.set()

    def until_logged(self, text: str) -> None:
        """Return when there is a line with ``text`` in the log."""
        with self._logged:
            assert self._logged.wait_for(lambda: any(text in line for line in self.log), 30)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code; safe to call twice."""
        process = self._process
        if process is None:
            return 0
        process.send_signal(how)
        try:
            code = process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            tail = "".join(self.log[-60:])
            raise AssertionError(f"it does not end by {how.name}:\n{tail}") from None
        assert self._reader is not None
        self._reader.join()
        assert process.stderr is not None
        process.stderr.close()
        self._process = None
        return code

    def errors(self) -> list[str]:
        """What the server itself logged as errors, and what follows; kernels log here too."""
        return [
            "".join(self.log[index : index + 60])
            for index, line in enumerate(self.log)
            if line.startswith("[E ") or " 500 " in line
        ]

    # --- notebooks ----------------------------------------------------------------------------

    def notebook(self, name: str, *sources: str, tags: dict[int, list[str]] | None = None) -> str:
        """Write a notebook whose cells are called c0, c1 …; returns its path."""
        cells = []
        for index, source in enumerate(sources):
            cell = nbformat.v4.new_code_cell(source, id=f"c{index}")
            if tags and index in tags:
                cell.metadata["tags"] = tags[index]
            cells.append(cell)
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
        nbformat.write(notebook, self.root / name)
        return name

    def saved(self, name: str) -> Any:
        """The notebook as it is on disk; it must be valid."""
        notebook = nbformat.read(self.root / name, as_version=4)
        nbformat.validate(notebook)
        return notebook

    def submit(self, path: str, cells: Any = "all", **more: Any) -> list[dict[str, Any]]:
        """Submit cells; the executions as accepted."""
        answer = self.ask("POST", "/api/executions", {"path": path, "cells": cells, **more})
        assert answer.status == 202, answer.body
        executions: list[dict[str, Any]] = answer.json["executions"]
        return executions

    def wait(self, execution: dict[str, Any]) -> dict[str, Any]:
        """The execution when it is over."""
        return self._wait(execution, 25)

    def until_prompt(self, execution: dict[str, Any]) -> dict[str, Any]:
        """The execution when it asks for input.

        Waits are short: one that begins after the prompt came is not ended by it.
        """
        for _ in range(60):
            body = self._wait(execution, 1)
            if "prompt" in body:
                return body
        raise AssertionError("it did not ask for input")

    def _wait(self, execution: dict[str, Any], wait_s: float) -> dict[str, Any]:
        answer = self.ask("GET", f"/api/executions/{execution['id']}?wait={wait_s}")
        assert answer.status == 200, answer.body
        body: dict[str, Any] = answer.json
        return body

    def run(self, path: str, cells: Any = "all", **more: Any) -> list[dict[str, Any]]:
        """Submit cells and wait until all are over."""
        return [self.wait(execution) for execution in self.submit(path, cells, **more)]

    def session(self, path: str, **body: str) -> Answer:
        """Ask for the room of a file."""
        given = {"format": "json", "type": "notebook", **body}
        return self.ask("PUT", f"/api/collaboration/session/{quote(path, safe='')}", given)
