"""Pages on a real server with real kernels: what they show, transaction by transaction."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jupyter_ydoc import YNotebook
from pycrdt import Doc, Map
from real_server import RealServer
from y_client import YClient, joined

URL = "/api/executions"
WAIT_S = 25.0


class Tab:
    """A page that keeps each update, and what the cells were after each transaction."""

    def __init__(self, client: YClient, notebook: YNotebook) -> None:
        self.client = client
        self.doc = client.doc
        self.notebook = notebook
        self.updates: list[bytes] = []
        self.shown: list[dict[str, Any]] = []
        self.keeps_shown = False
        self._changes = self.doc.observe(lambda event: self._changed(event.update))

    def _changed(self, update: bytes) -> None:
        self.updates.append(update)
        if self.keeps_shown:
            # An observer of a transaction may not read what it changed; right after it, it may.
            asyncio.get_running_loop().call_soon(lambda: self.shown.append(self.cells()))

    def entries(self) -> dict[str, Any]:
        return self.doc.get("execution", type=Map).to_py() or {}

    def cells(self) -> dict[str, Any]:
        """By id: the cell as nbformat has it, with ``state`` and ``entry`` of the map."""
        entries, cells = self.entries(), {}
        for ycell in self.notebook.ycells:
            cell = ycell.to_py()
            cell["entry"] = entries.get(cell["id"]) or {}
            cell["state"] = cell["entry"].get("state")
            cells[cell["id"]] = cell
        return cells

    def cell(self, cell_id: str) -> dict[str, Any]:
        return self.cells().get(cell_id, {})

    def text(self, cell_id: str) -> str:
        return "".join(o["text"] for o in self.cell(cell_id).get("outputs", ()) if "text" in o)

    def state(self, cell_id: str) -> Any:
        return self.cell(cell_id).get("state")

    def index(self, cell_id: str) -> int:
        return [str(ycell["id"]) for ycell in self.notebook.ycells].index(cell_id)

    async def until(self, condition: Callable[[], object]) -> None:
        await self.client.until(condition, WAIT_S)


@asynccontextmanager
async def opened(
    real: RealServer, path: str, notebook: YNotebook | None = None
) -> AsyncIterator[Tab]:
    """A page that has the notebook open and in step; with ``notebook``, one that comes back."""
    told = (await asyncio.to_thread(real.session, path)).json
    room = f"{told['format']}:{told['type']}:{told['fileId']}"
    notebook = YNotebook(Doc()) if notebook is None else notebook
    async with joined(real, room, told["sessionId"], notebook.ydoc) as client:
        yield Tab(client, notebook)


async def submit(real: RealServer, path: str, cells: Any = "all", **more: Any) -> list[Any]:
    return await asyncio.to_thread(real.submit, path, cells, **more)


async def wait(real: RealServer, execution: dict[str, Any]) -> dict[str, Any]:
    return await asyncio.to_thread(real.wait, execution)


async def ask(real: RealServer, *args: Any, **kwargs: Any) -> Any:
    return await asyncio.to_thread(real.ask, *args, **kwargs)


async def raw(real: RealServer, *args: Any) -> Any:
    return await asyncio.to_thread(real.raw, *args)


def kernel_of(real: RealServer, path: str) -> str:
    """The id of the kernel of the notebook's session."""
    sessions = real.raw("GET", "/api/sessions").json
    (found,) = [s["kernel"]["id"] for s in sessions if s["path"] == path]
    return str(found)


def log_outputs(real: RealServer, execution: dict[str, Any]) -> str:
    return real.ask("GET", f"{URL}/{execution['id']}/log").body.decode()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def kill_all_of(folder: Path) -> None:
    """Kill every process whose environment says that it belongs to the server in ``folder``.

    As when the machine dies: whatever the server started is gone with it.
    """
    mark = f"JUPYTER_DATA_DIR={folder / 'data'}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue


def await_file(condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    """For what nothing tells: a file of a server that has just stopped being written."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"


def texts(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False)
