"""What nannies bring a whole server: how soon it tells of a death, and has its kernels again."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from processes import Server

KERNELS = 20
_CONFIG = {
    "ServerApp": {"jpserver_extensions": {"notebook_exec": True, "jupyter_server_fileid": True}},
    "NotebookExecApp": {"orphan_timeout": 120.0},
}
_LOOP = (
    "import os, time\nprint('pid', os.getpid(), flush=True)\n"
    "while True:\n    print('.', flush=True); time.sleep(0.1)"
)


def _server(folder: Path) -> Server:
    return Server(Path(sys.executable), folder, _CONFIG)


def _run(server: Server, folder: Path, name: str) -> str:
    """Run a cell that never ends, in a notebook and a kernel of its own; the execution's id."""
    cell = {"cell_type": "code", "id": "c0", "source": _LOOP, "metadata": {}, "outputs": [],
            "execution_count": None}  # fmt: skip
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "root" / name).write_text(json.dumps(notebook))
    accepted = server.ask("POST", "/api/executions", {"path": name, "cells": "all"})
    execution_id: str = accepted["executions"][0]["id"]
    return execution_id


def _text(server: Server, execution_id: str) -> str:
    told = server.ask("GET", f"/api/executions/{execution_id}")
    return "".join(output.get("text", "") for output in told["outputs"])


def _text_when(server: Server, execution_id: str, longer_than: int) -> str:
    while len(text := _text(server, execution_id)) <= longer_than:
        time.sleep(0.02)
    return text


def death_s(folder: Path, times: int = 5) -> list[float]:
    """Seconds from a kernel's death until its cell is over, with the error in its outputs."""
    server, taken = _server(folder), []
    server.start()
    try:
        for number in range(times):
            execution_id = _run(server, folder, f"death{number}.ipynb")
            found = re.search(r"pid (\d+)\n", _text_when(server, execution_id, 10))
            assert found is not None
            os.kill(int(found[1]), signal.SIGKILL)
            begin = time.perf_counter()
            told: dict[str, Any] = server.ask("GET", f"/api/executions/{execution_id}?wait=10")
            taken.append(time.perf_counter() - begin)
            assert told["state"] == "lost"
            assert "SIGKILL" in json.dumps(told["outputs"][-1])
            server.end_sessions()
    finally:
        server.stop()
    return taken


def adoption_s(folder: Path, times: int = 3) -> tuple[float, float]:
    """Seconds from a server's start until it answers, and until all its old kernels go on in it.

    The first with no kernels, the second with those that a killed server left.
    """
    server, alone, adopted = _server(folder), [], []
    for _ in range(times):
        begin = time.perf_counter()
        server.start(poll_s=0.02)
        alone.append(time.perf_counter() - begin)
        server.stop()
    server.start()
    try:
        ids = [_run(server, folder, f"adopted{number}.ipynb") for number in range(KERNELS)]
        for _ in range(times):
            before = [len(_text_when(server, execution_id, 10)) for execution_id in ids]
            server.kill()
            begin = time.perf_counter()
            server.start(poll_s=0.02)
            for execution_id, size in zip(ids, before, strict=True):
                _text_when(server, execution_id, size)
            adopted.append(time.perf_counter() - begin)
            assert len(server.ask("GET", "/api/kernels")) == KERNELS
    finally:
        server.stop()
    return statistics.median(alone), statistics.median(adopted)
