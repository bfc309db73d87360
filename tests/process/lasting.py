"""A real server whose kernels have nannies, so that it can be killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from real_server import RealServer

LINES = "for i in range({count}):\n    print('line', i, flush=True)\n    {also}"


def printing(count: int, also: str = "pass", before: str = "import time") -> str:
    """Code that prints ``count`` lines."""
    return before + "\n" + LINES.format(count=count, also=also)


def lines(count: int) -> str:
    """What ``printing`` prints."""
    return "".join(f"line {i}\n" for i in range(count))


class LastingServer(RealServer):
    """``kill`` it and ``start`` it again: its kernels go on."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.state = folder / "state"
        defaults = {"nanny": True, "state_dir": str(self.state), "orphan_timeout": 60.0}
        super().__init__(folder, **{**defaults, **options})

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Killed, and started again."""
        self.kill()
        self.start()

    def end(self) -> None:
        """The end of a test, however it went: no kernel is left."""
        pids = self.nanny_pids()
        try:
            self.stop()
        finally:
            for pid in pids:
                if is_running(pid):
                    os.kill(pid, signal.SIGTERM)

    # --- looking ------------------------------------------------------------------------------

    def kernels(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.raw("GET", "/api/kernels").json
        return found

    def sessions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.raw("GET", "/api/sessions").json
        return found

    def text(self, execution: dict[str, Any]) -> str:
        """All streams of an execution, one after the other."""
        answer = self.ask("GET", f"/api/executions/{execution['id']}")
        assert answer.status == 200, answer.body
        return text_of(answer.json)

    def until(self, is_true: Callable[[], object], timeout_s: float = 40) -> None:
        """Wait for what nobody announces."""
        deadline = time.monotonic() + timeout_s
        while not is_true():
            assert time.monotonic() < deadline, "".join(self.log)
            time.sleep(0.01)

    def until_lines(self, execution: dict[str, Any], count: int) -> None:
        """An execution has printed so many lines."""
        self.until(lambda: self.text(execution).count("\n") >= count)

    def records(self) -> list[dict[str, Any]]:
        """What is kept of the kernels; the server may be down."""
        database = self.state / "notebook_exec.sqlite"
        if not database.exists():
            return []
        with sqlite3.connect(database) as connection:
            rows = connection.execute("SELECT record FROM kernels WHERE record IS NOT NULL")
            found = [json.loads(record) for (record,) in rows]
        connection.close()
        return found

    def nanny_pids(self) -> list[int]:
        return [record["provisioner"]["nanny"]["pid"] for record in self.records()]


def text_of(body: dict[str, Any]) -> str:
    """All streams of an execution as the API gives it."""
    outputs = body["outputs"] or []
    return "".join(o["text"] for o in outputs if o["output_type"] == "stream")


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is not dead and uncollected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def kernel_pids(nanny_pid: int) -> list[int]:
    """The children of a nanny."""
    children = Path(f"/proc/{nanny_pid}/task/{nanny_pid}/children").read_text()
    return [int(pid) for pid in children.split()]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., LastingServer]]:
    """Makes the one server of a test, and starts it."""
    made: list[LastingServer] = []

    def start(**options: Any) -> LastingServer:
        server = LastingServer(tmp_path, **options)
        made.append(server)
        server.start()
        return server

    yield start
    for server in made:
        server.end()
