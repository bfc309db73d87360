"""Whole outputs on disk: what a runaway cell said past what its document holds (O15)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from notebook_exec.core.model import ExecutionId, Output

CHUNK_BYTES = 1 << 18


class OutputLogs:
    """One file of JSON lines an execution, each line an nbformat output, in ``folder``.

    A log is cut at ``limit_bytes``; its last line then says so. Writes go in order through one
    thread, so that a slow disk never holds the event loop.
    """

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._written: dict[ExecutionId, int] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="notebook_exec-logs")

    def append(self, execution_id: ExecutionId, outputs: Sequence[Output]) -> None:
        """Add outputs to the log of an execution; returns before they are written."""
        if outputs:
            self._thread.submit(self._write, execution_id, list(outputs))

    def has(self, execution_id: ExecutionId) -> bool:
        """Whether there is a log of this execution."""
        return execution_id in self._written or self._path(execution_id).exists()

    async def read(self, execution_id: ExecutionId) -> AsyncIterator[bytes]:
        """The log so far, in chunks of whole lines."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, lambda: None)  # behind what is queued
        file = await asyncio.to_thread(self._path(execution_id).open, "rb")
        begun: list[bytes] = []  # of a line whose end is yet to be read
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                end = chunk.rfind(b"\n") + 1
                if end:
                    yield b"".join((*begun, chunk[:end]))
                    begun.clear()
                begun.append(chunk[end:])
        finally:
            file.close()

    def discard(self, execution_ids: Sequence[ExecutionId]) -> None:
        """Remove the logs of these executions."""
        self._thread.submit(self._remove, list(execution_ids))

    async def close(self) -> None:
        """Write what is queued and end the thread."""
        await asyncio.to_thread(self._thread.shutdown)

    def _path(self, execution_id: ExecutionId) -> Path:
        return self._folder / f"{execution_id}.jsonl"

    def _write(self, execution_id: ExecutionId, outputs: list[Output]) -> None:
        path = self._path(execution_id)
        before = self._written.get(execution_id)
        if before is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            before = path.stat().st_size if path.exists() else 0
        if before >= self._limit:
            return
        data = b"".join(json.dumps(output).encode() + b"\n" for output in outputs)
        if before + len(data) > self._limit:
            room = data.rfind(b"\n", 0, self._limit - before) + 1
            notice = {
                "output_type": "stream",
                "name": "stderr",
                "text": f"[the log ends here: it is limited to {self._limit:,} bytes]\n",
            }
            data = data[:room] + json.dumps(notice).encode() + b"\n"
            self._written[execution_id] = self._limit
        else:
            self._written[execution_id] = before + len(data)
        with path.open("ab") as file:
            path.chmod(0o600)
            file.write(data)

    def _remove(self, execution_ids: list[ExecutionId]) -> None:
        for execution_id in execution_ids:
            self._written.pop(execution_id, None)
            self._path(execution_id).unlink(missing_ok=True)
