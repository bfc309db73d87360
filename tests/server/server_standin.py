"""An engine in memory: it accepts, remembers and answers, and runs nothing."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from notebook_exec.core.model import (
    CellId,
    Conflict,
    DocumentId,
    Execution,
    ExecutionId,
    ExecutionState,
    KernelId,
    NotFound,
    Output,
    Reason,
    RequestId,
    User,
)
from notebook_exec.engine.api import Accepted, DocumentView, ExecutionView, Submission
from notebook_exec.kernels.kernel_logs import LogView

DOCUMENT = DocumentId("json:notebook:11111111-2222-3333-4444-555555555555")
PATH = "folder/nb.ipynb"
KERNEL = KernelId("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
CELLS = ("one", "two")


class StandInEngine:
    """Knows one notebook with two cells and one kernel."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.executions: dict[ExecutionId, Execution] = {}
        self.answers: list[tuple[ExecutionId, str]] = []
        self.kept: dict[ExecutionId, list[Output] | None] = {}
        self.fail: Exception | None = None
        self.kernels = StandInKernels()
        self.changes: list[tuple[int, ExecutionView]] = []
        self.watchers = 0
        self.waits = 0
        self.waits_ended = asyncio.Event()
        self.counted = asyncio.Condition()
        self.changed = asyncio.Condition()

    async def submit(self, submission: Submission) -> Accepted:
        if self.fail is not None:
            raise self.fail
        if submission.path is not None and submission.path != PATH:
            raise NotFound("there is no such file", field="path")
        if submission.document_id is not None and submission.document_id != DOCUMENT:
            raise NotFound("there is no such document", field="document_id")
        if submission.kernel_id not in (None, KERNEL):
            raise NotFound("there is no such kernel", field="kernel.id")
        cells: list[CellId | None] = [None]
        if submission.cells == "all":
            cells = [CellId(name) for name in CELLS]
        elif submission.cells:
            cells = [cell.cell_id for cell in submission.cells]
            for index, cell_id in enumerate(cells):
                if cell_id not in CELLS:
                    raise NotFound("there is no such cell", field=f"cells[{index}]")
        if submission.expected_revision not in (None, "r1"):
            raise Conflict("edited", reason="revision_mismatch", current={"revision": "r1"})
        self.submissions.append(submission)
        request_id = RequestId(str(uuid4()))
        views = [
            self.add(
                Execution(
                    id=ExecutionId(str(uuid4())),
                    request_id=request_id,
                    kernel_id=KERNEL,
                    document_id=None if submission.code is not None else DOCUMENT,
                    cell_id=cell_id,
                    source=submission.code or "",
                    requested_by=submission.requested_by,
                    queued_at=1_700_000_000.25,
                    client_id=submission.client_id,
                )
            )
            for cell_id in cells
        ]
        return Accepted(request_id, views, replayed=False)

    def add(self, execution: Execution, outputs: list[Output] | None = None) -> ExecutionView:
        self.executions[execution.id] = execution
        self.kept[execution.id] = [] if outputs is None else outputs
        return self.view(execution)

    def view(self, execution: Execution) -> ExecutionView:
        path = None if execution.document_id is None else PATH
        return ExecutionView(execution, path, None if execution.state.is_final else 0)

    def _known(self, execution_id: ExecutionId) -> Execution:
        if execution_id not in self.executions:
            raise NotFound("there is no such execution", field="id")
        return self.executions[execution_id]

    async def get(self, execution_id: ExecutionId) -> ExecutionView:
        if self.fail is not None:
            raise self.fail
        return self.view(self._known(execution_id))

    async def find(self, *, limit: int = 1000, **wanted: Any) -> list[ExecutionView]:
        path = wanted.pop("path", None)
        if path is not None:
            wanted["document_id"] = await self.document_id(path)
        found = [
            self.view(execution)
            for execution in self.executions.values()
            if all(v is None or getattr(execution, k) == v for k, v in wanted.items())
        ]
        return found[-limit:]

    async def wait(self, execution_id: ExecutionId, timeout_s: float) -> ExecutionView:
        self._known(execution_id)
        await self._count(waits=1)
        try:
            await asyncio.wait_for(self._final(execution_id), timeout_s)
        except asyncio.TimeoutError:
            pass
        finally:
            self.waits_ended.set()
        return self.view(self.executions[execution_id])

    async def _final(self, execution_id: ExecutionId) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.executions[execution_id].state.is_final)

    async def change(self, execution_id: ExecutionId, **fields: Any) -> None:
        async with self.changed:
            self.executions[execution_id] = replace(self.executions[execution_id], **fields)
            view = self.view(self.executions[execution_id])
            self.changes.append((len(self.changes) + 1, view))
            self.changed.notify_all()

    async def outputs(self, execution_id: ExecutionId) -> list[Output] | None:
        self._known(execution_id)
        return self.kept[execution_id]

    async def log(self, execution_id: ExecutionId) -> AsyncIterator[bytes]:
        self._known(execution_id)
        return self._lines(self.kept[execution_id] or [])

    async def _lines(self, outputs: list[Output]) -> AsyncIterator[bytes]:
        for output in outputs:
            yield json.dumps(output).encode() + b"\n"

    async def cancel(self, execution_ids: Sequence[ExecutionId], by: User) -> list[ExecutionView]:
        for execution_id in execution_ids:
            self._known(execution_id)
            await self.change(
                execution_id,
                state=ExecutionState.CANCELLED,
                reason=Reason.CANCELLED,
                ended_at=1_700_000_001.0,
            )
        return [self.view(self.executions[execution_id]) for execution_id in execution_ids]

    async def cancel_document(self, document_id: DocumentId, by: User) -> list[ExecutionView]:
        ids = [
            e.id
            for e in self.executions.values()
            if e.document_id == document_id and not e.state.is_final
        ]
        return await self.cancel(ids, by)

    async def answer(self, execution_id: ExecutionId, value: str, by: User) -> ExecutionView:
        execution = self._known(execution_id)
        if execution.state is not ExecutionState.WAITING_INPUT:
            raise Conflict("it does not wait for an answer", reason="not_waiting")
        self.answers.append((execution_id, value))
        await self.change(execution_id, state=ExecutionState.RUNNING, prompt=None)
        return self.view(self.executions[execution_id])

    async def _count(self, *, watchers: int = 0, waits: int = 0) -> None:
        async with self.counted:
            self.watchers += watchers
            self.waits += waits
            self.counted.notify_all()

    async def watched_by(self, watchers: int) -> None:
        async with self.counted:
            await self.counted.wait_for(lambda: self.watchers == watchers)

    async def waited_for(self) -> None:
        async with self.counted:
            await self.counted.wait_for(lambda: self.waits > 0)

    async def interrupt_kernel(self, kernel_id: KernelId, by: User) -> None:
        self.kernels.done.append(("interrupted by", by.username))

    async def events(
        self, after: int | None, document_id: DocumentId | None
    ) -> AsyncIterator[tuple[int, ExecutionView]]:
        await self._count(watchers=1)
        told = len(self.changes) if after is None else after
        try:
            while True:
                async with self.changed:
                    while len(self.changes) <= told:
                        await self.changed.wait()
                for number, view in self.changes[told:]:
                    told = number
                    yield number, view
        finally:
            await self._count(watchers=-1)

    async def document_id(self, path: str) -> DocumentId:
        if path != PATH:
            raise NotFound("there is no such file", field="path")
        return DOCUMENT

    async def document(self, path: str) -> DocumentView:
        await self.document_id(path)
        cells = [
            {"id": name, "cell_type": "code", "source": "1", "metadata": {}, "outputs": []}
            for name in CELLS
        ]
        return DocumentView(DOCUMENT, PATH, "r1", cells)


class StandInKernels:
    """One kernel whose log says the same each time."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.log_text = "caf\u00e9\nline 2\n".encode()

    def _known(self, kernel_id: KernelId) -> None:
        if kernel_id != KERNEL:
            raise NotFound("there is no such kernel", field="kernel_id")

    def is_interrupt(self, kernel_id: KernelId, signum: int) -> bool:
        self._known(kernel_id)
        return signum == signal.SIGINT

    async def signal(self, kernel_id: KernelId, signum: int) -> None:
        self._known(kernel_id)
        self.done.append(signum)

    async def hard_restart(self, kernel_id: KernelId) -> dict[str, Any]:
        self._known(kernel_id)
        self.done.append("hard_restart")
        return {"id": kernel_id, "name": "k", "execution_state": "starting", "hard_restart": True}

    async def status(self, kernel_id: KernelId) -> dict[str, Any]:
        self._known(kernel_id)
        nothing = dict.fromkeys(("pid", "cpu_percent", "rss_bytes", "uptime_s"))
        return {"kernel_id": kernel_id, "state": "idle", **nothing, "nanny": None,
                "allocation": None}  # fmt: skip

    async def log(self, kernel_id: KernelId, offset: int, *, follow: bool) -> LogView:
        self._known(kernel_id)
        self.done.append(("log", follow))
        start = min(offset, len(self.log_text))
        return LogView(start, len(self.log_text), self._chunks(self.log_text[start:]))

    async def _chunks(self, data: bytes) -> AsyncGenerator[bytes, None]:
        for byte in data:  # also within a character
            yield bytes([byte])


@dataclass
class StandInDocument:
    session: str


class StandInDocuments:
    """Knows the id of one notebook."""

    async def open(self, document_id: DocumentId) -> StandInDocument:
        return StandInDocument("the-session")

    async def document_id(
        self, path: str, format: str = "json", type: str = "notebook"
    ) -> DocumentId:
        if path != PATH:
            raise NotFound("there is no such file", field="path")
        return DocumentId(f"{format}:{type}:{DOCUMENT.split(':')[2]}")
