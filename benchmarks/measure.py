"""One measurement of one server, from outside: asks for cells to be run, watches documents.

Run as a process of its own: ``python measure.py '{"system": …}'``; the result is one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from cases import Case, cases, progress_shown
from processes import cpu_seconds
from sender import Sender
from systems import Notebook, System, system_of
from y_client import CellMeter, YClient

STALL_S = 12.0
OPEN_S = 30.0
PAUSE_S = 0.05


@dataclass
class Opened:
    """A notebook and those who look at it."""

    notebook: Notebook
    clients: list[YClient]
    loaded_bytes: int

    def doc_bytes(self) -> int:
        """The encoded size of the document at the first client."""
        return len(self.clients[0].doc.get_update())


async def open_notebook(system: System, case: Case, kernel_name: str) -> Opened:
    """Make a notebook with the case's cells and one to warm up; start its kernel; open it."""
    path = f"{uuid.uuid4().hex}.ipynb"
    sources = ("None", *case.cells)
    cell_ids = tuple(f"cell-{number}" for number in range(len(sources)))
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": kernel_name, "display_name": kernel_name}},
        "cells": [
            {
                "cell_type": "code",
                "id": cell_id,
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for cell_id, source in zip(cell_ids, sources, strict=True)
        ],
    }
    model = {"type": "notebook", "format": "json", "content": content}
    await system.call("PUT", f"/api/contents/{path}", model)
    session = await system.call(
        "POST",
        "/api/sessions",
        {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel_name}},
    )
    document_id, room_url = await system.room(path)
    clients = [await YClient.connect(system.http, room_url) for _ in range(case.clients)]
    for client in clients:
        await wait_for(client, partial(has_cells, client, len(cell_ids)), OPEN_S)
    notebook = Notebook(
        path, session["kernel"]["id"], session["id"], document_id, room_url, cell_ids, sources
    )
    return Opened(notebook, clients, len(clients[0].doc.get_update()))


def has_cells(client: YClient, count: int) -> bool:
    """Whether the notebook has arrived."""
    return len(client.cells) == count


def has_text(meter: CellMeter, size: int) -> bool:
    """Whether so much was printed."""
    return meter.stream_size() >= size


async def wait_for(client: YClient, condition: Callable[[], bool], timeout_s: float) -> float:
    """When the update came that made ``condition`` true. Raises TimeoutError."""
    deadline = time.perf_counter() + timeout_s
    while not condition():
        client.changed.clear()
        await asyncio.wait_for(client.changed.wait(), deadline - time.perf_counter())
    return client.changed_at


async def warm_up(system: System, opened: Opened) -> None:
    """Run the first cell, so that kernel and connections are there."""
    await system.run(opened.notebook, [0])
    for client in opened.clients:
        await wait_for(client, CellMeter(client, 0).is_finished, OPEN_S)
    await asyncio.sleep(PAUSE_S)


async def close_notebook(system: System, opened: Opened) -> None:
    """Leave, and end the kernel."""
    for client in opened.clients:
        await client.close()
    await system.call("DELETE", f"/api/sessions/{opened.notebook.session_id}")


# --- one measurement ------------------------------------------------------------------------


def progress(case: Case, client: YClient) -> float:
    """How much of the case has arrived at ``client``, from 0 to 1."""
    meter = CellMeter(client, 1)
    if case.meter == "finished":
        if not CellMeter(client, len(case.cells)).is_finished():
            return min(0.99, sum(_finished(client, case)) / case.expected)
        return sum(_finished(client, case)) / case.expected
    if case.meter == "displays":
        return meter.outputs() / case.expected
    return progress_shown(meter.last_text(), case.expected)


def _finished(client: YClient, case: Case) -> list[bool]:
    return [CellMeter(client, 1 + index).is_finished() for index in range(len(case.cells))]


class Watch:
    """Waits until everything is at a client, or nothing comes any more."""

    def __init__(self, case: Case, client: YClient) -> None:
        self._case = case
        self._client = client
        self._stream = CellMeter(client, 1)
        self.fraction = 0.0
        self.finished_at: float | None = None

    def _look(self) -> float:
        if self._case.meter == "stream":
            return self._stream.stream_size() / self._case.expected
        if self._case.meter == "finished" and not self._last_is_finished():
            return self.fraction  # counting the cells each time would be the client's own cost
        return progress(self._case, self._client)

    def _last_is_finished(self) -> bool:
        return CellMeter(self._client, len(self._case.cells)).is_finished()

    async def run(self) -> None:
        """Ends when all is there, when nothing changed for a while, or at the limit."""
        deadline = time.perf_counter() + self._case.timeout_s
        while time.perf_counter() < deadline and self._client.is_open:
            self.fraction = self._look()
            if self.fraction >= 1:
                self.finished_at = self._client.changed_at
                return
            self._client.changed.clear()
            try:
                await asyncio.wait_for(self._client.changed.wait(), STALL_S)
            except asyncio.TimeoutError:
                break
        self.fraction = min(progress_of_all(self._case, self._client), 0.999)

    def is_right(self) -> bool:
        """Whether what arrived is what was printed."""
        if self._case.text is None:
            return True
        text = self._stream.text()
        if self._case.meter == "progress":
            return text.endswith(self._case.text)  # what was overwritten may be kept
        return text == self._case.text


def progress_of_all(case: Case, client: YClient) -> float:
    """How far a client came that will not see the end."""
    if case.meter == "stream":
        return CellMeter(client, 1).stream_size() / case.expected
    return progress(case, client)


async def measure_latency(system: System, case: Case, opened: Opened) -> dict[str, Any]:
    """Each cell alone: from the request to the text at the client."""
    client = opened.clients[0]
    times = []
    for index in range(1, 1 + len(case.cells)):
        meter = CellMeter(client, index)
        started_at = 0.0

        async def ask(index: int = index) -> None:
            nonlocal started_at
            started_at = time.perf_counter()
            await system.run(opened.notebook, [index])

        # The output may be there before the answer to the request is.
        request = asyncio.create_task(ask())
        seen_at = await wait_for(client, partial(has_text, meter, case.expected), STALL_S)
        times.append(seen_at - started_at)
        await request
        await wait_for(client, meter.is_finished, STALL_S)
        await asyncio.sleep(PAUSE_S)
    return {"seconds": statistics.median(times), "fraction": 1.0, "is_right": True}


async def measure_run(
    system: System, case: Case, opened: list[Opened], server_pid: int
) -> dict[str, Any]:
    """All cells of all notebooks at once: from the request to the last bit at the last client."""
    watches = [Watch(case, client) for one in opened for client in one.clients]
    warm_up_bytes = opened[0].doc_bytes() - opened[0].loaded_bytes
    cpu_before = cpu_seconds(server_pid)
    started_at = time.perf_counter()
    indices = list(range(1, 1 + len(case.cells)))
    requests = [asyncio.create_task(system.run(one.notebook, indices)) for one in opened]
    await asyncio.gather(*(watch.run() for watch in watches))
    cpu = cpu_seconds(server_pid) - cpu_before
    await asyncio.gather(*requests)
    ends = [watch.finished_at for watch in watches if watch.finished_at is not None]
    result: dict[str, Any] = {
        "fraction": min(watch.fraction for watch in watches),
        "is_right": all(watch.is_right() for watch in watches),
        "doc_bytes": opened[0].doc_bytes() - warm_up_bytes,
        "updates": opened[0].clients[0].updates,
    }
    if len(ends) == len(watches):
        result["seconds"] = max(ends) - started_at
    if case.lines:
        result["cpu_ms_per_line"] = cpu * 1000 / (case.lines * case.notebooks)
    return result


@asynccontextmanager
async def status_poll(
    case: Case, url: str, token: str, result: dict[str, Any]
) -> AsyncIterator[None]:
    """Asks for the server's status all the while, from a process of its own."""
    if case.name != "lines":
        yield
        return
    script = str(Path(__file__).with_name("poll_status.py"))
    poll = await asyncio.create_subprocess_exec(
        *(sys.executable, script, url, token), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert poll.stdout is not None
    try:
        await asyncio.wait_for(poll.stdout.readline(), OPEN_S)  # it has begun
        yield
        output, _ = await asyncio.wait_for(poll.communicate(b"end\n"), OPEN_S)
        result.update(json.loads(output))
    finally:
        if poll.returncode is None:
            poll.kill()
            await poll.wait()


async def measure(task: dict[str, Any]) -> dict[str, Any]:
    """The whole of one measurement."""
    case = cases(task["scale"])[task["case"]]
    headers = {"Authorization": f"token {task['token']}"}
    result: dict[str, Any] = {}
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(task["url"], headers=headers, timeout=timeout) as http:
        sender = Sender(task["url"], task["token"])
        system = system_of(task["system"], case)(http, sender)
        opened = [
            await open_notebook(system, case, task["kernel_name"]) for _ in range(case.notebooks)
        ]
        try:
            for one in opened:
                await warm_up(system, one)
            if case.meter == "latency":
                return await measure_latency(system, case, opened[0])
            async with status_poll(case, task["url"], task["token"], result):
                result |= await measure_run(system, case, opened, task["server_pid"])
            return result
        finally:
            for one in opened:
                await close_notebook(system, one)
            await system.close()
            await sender.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(json.loads(sys.argv[1])))), flush=True)
