"""The same cells without any server: a bare jupyter_client loop, or nbclient.

Run as a process of its own: ``python raw.py '{"system": "raw", …}'``; the result is one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import queue
import statistics
import sys
import time
from typing import Any

import nbformat
from cases import Case, cases, progress_shown
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

MESSAGE_S = 30.0
STALL_S = 12.0


def run_cell(client: BlockingKernelClient, code: str) -> None:
    """Execute ``code`` and wait for its reply and for idle."""
    message_id = client.execute(code)
    while True:
        message = client.get_iopub_msg(timeout=MESSAGE_S)
        if (
            message["parent_header"].get("msg_id") == message_id
            and message["msg_type"] == "status"
            and message["content"]["execution_state"] == "idle"
        ):
            break
    client.get_shell_msg(timeout=MESSAGE_S)


def measure_latency(client: BlockingKernelClient, case: Case) -> float:
    """The median time from execute to the stream message."""
    times = []
    for code in case.cells:
        started_at = time.perf_counter()
        client.execute(code)
        while client.get_iopub_msg(timeout=MESSAGE_S)["msg_type"] != "stream":
            pass
        times.append(time.perf_counter() - started_at)
        while client.get_iopub_msg(timeout=MESSAGE_S)["content"].get("execution_state") != "idle":
            pass
        client.get_shell_msg(timeout=MESSAGE_S)
        time.sleep(0.05)
    return statistics.median(times)


def measure_outputs(client: BlockingKernelClient, case: Case) -> dict[str, Any]:
    """The time from execute until the last output is there, or how much came at all.

    Kernels drop output that their sockets' queues have no room for, as the bare loop shows too.
    """
    started_at = time.perf_counter()
    client.execute(case.cells[0])
    seen = 0.0
    while seen < case.expected:
        try:
            message = client.get_iopub_msg(timeout=STALL_S)
        except queue.Empty:
            return {"fraction": seen / case.expected, "is_right": False}
        if message["msg_type"] == "display_data":
            seen += 1
        elif message["msg_type"] == "stream" and case.meter == "progress":
            text = message["content"]["text"]
            seen = progress_shown(text, case.expected) * case.expected
        elif message["msg_type"] == "stream":
            seen += len(message["content"]["text"])
    return whole(time.perf_counter() - started_at)


def whole(seconds: float) -> dict[str, Any]:
    """The result of a measurement in which everything came."""
    return {"seconds": seconds, "fraction": 1.0, "is_right": True}


def measure_raw(case: Case, kernel_name: str) -> dict[str, Any]:
    """What a bare client needs."""
    manager, client = start_new_kernel(kernel_name=kernel_name)
    try:
        run_cell(client, "None")
        if case.meter == "latency":
            return whole(measure_latency(client, case))
        if case.meter == "finished":
            started_at = time.perf_counter()
            for code in case.cells:
                run_cell(client, code)
            return whole(time.perf_counter() - started_at)
        return measure_outputs(client, case)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


async def measure_nbclient(case: Case, kernel_name: str) -> dict[str, Any]:
    """What nbclient needs for the cells alone."""
    cells = [nbformat.v4.new_code_cell(source) for source in ("None", *case.cells)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, kernel_name=kernel_name)
    async with client.async_setup_kernel():
        await client.async_execute_cell(notebook.cells[0], 0)
        started_at = time.perf_counter()
        for index in range(1, len(cells)):
            await client.async_execute_cell(notebook.cells[index], index)
        return whole(time.perf_counter() - started_at)


def main(task: dict[str, Any]) -> None:
    """Measure; one JSON object on stdout."""
    case = cases(task["scale"])[task["case"]]
    if task["system"] == "nbclient":
        result = asyncio.run(measure_nbclient(case, task["kernel_name"]))
    else:
        result = measure_raw(case, task["kernel_name"])
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
