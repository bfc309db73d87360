"""What is asked of executions: committed values, outputs, logs, events (SPEC A2, A7)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence

from notebook_exec.core.model import (
    DocumentId,
    Execution,
    ExecutionId,
    ExecutionState,
    KernelId,
    NotebookExecError,
    NotFound,
    Output,
    RequestId,
)
from notebook_exec.documents.registry import Documents
from notebook_exec.engine.api import ExecutionView
from notebook_exec.engine.history import OutputHistory
from notebook_exec.engine.ledger import Ledger
from notebook_exec.engine.logs import OutputLogs
from notebook_exec.engine.runner import KernelRunner
from notebook_exec.store.store import Store


class Reading:
    """Answers from what the engine has in memory, else from the store; changes nothing.

    ``api.EngineApi`` says what each method promises. ``runners`` are those of the engine, live.
    """

    def __init__(
        self,
        *,
        documents: Documents,
        store: Store,
        ledger: Ledger,
        history: OutputHistory,
        logs: OutputLogs,
        runners: Mapping[KernelId, KernelRunner],
    ) -> None:
        self._documents = documents
        self._store = store
        self._ledger = ledger
        self._history = history
        self._logs = logs
        self._runners = runners

    async def get(self, execution_id: ExecutionId) -> ExecutionView:
        """One execution, of now or of the history."""
        return self.view(await self.execution(execution_id))

    async def find(
        self,
        *,
        document_id: DocumentId | None = None,
        path: str | None = None,
        state: ExecutionState | None = None,
        kernel_id: KernelId | None = None,
        request_id: RequestId | None = None,
        limit: int = 1000,
    ) -> list[ExecutionView]:
        """Executions that fit all that is given, oldest first."""
        if path is not None:
            document_id = await self._documents.document_id(path)
        found = await self._store.find_executions(
            document_id=document_id,
            states=None if state is None else [state],
            kernel_id=kernel_id,
            request_id=request_id,
            limit=limit,
        )
        return self.views([self._ledger.get(e.id) or e for e in found])

    async def wait(self, execution_id: ExecutionId, timeout_s: float) -> ExecutionView:
        """Return when it is over, comes to wait for input, or the limit is up."""
        prompted = (await self.execution(execution_id)).prompt

        def settled(execution: Execution) -> bool:
            asks = execution.prompt is not None and execution.prompt is not prompted
            return execution.state.is_final or asks

        await self._ledger.wait(execution_id, settled, timeout_s)
        return await self.get(execution_id)

    async def outputs(self, execution_id: ExecutionId) -> list[Output] | None:
        """The outputs so far; None if they are no longer kept (A2)."""
        execution = await self.execution(execution_id)
        if execution.state is ExecutionState.QUEUED:
            return []
        kept = self._history.get(execution_id)
        if kept is not None:
            return kept
        runner = self._runners.get(execution.kernel_id)
        if runner is not None and runner.knows(execution_id):
            return runner.outputs.outputs(execution_id)
        return await self._outputs_of_cell(execution)

    async def log(self, execution_id: ExecutionId) -> AsyncIterator[bytes]:
        """The whole output, one nbformat output as JSON a line (O15)."""
        outputs = await self.outputs(execution_id)
        if self._logs.has(execution_id):
            return self._logs.read(execution_id)
        return _lines(outputs or [])

    async def events(
        self, after: int | None, document_id: DocumentId | None
    ) -> AsyncIterator[tuple[int, ExecutionView]]:
        """Each change of an execution, numbered."""

        def wanted(execution: Execution) -> bool:
            return document_id is None or execution.document_id == document_id

        async for number, execution in self._ledger.events(after, wanted):
            yield number, self.view(execution)

    async def execution(self, execution_id: ExecutionId) -> Execution:
        """Its committed value. NotFound."""
        execution = self._ledger.get(execution_id)
        if execution is None:
            execution = await self._store.get_execution(execution_id)
        if execution is None:
            raise NotFound(f"There is no execution {execution_id!r}.", field="id")
        return execution

    def view(self, execution: Execution) -> ExecutionView:
        """As it is shown."""
        return self.views([execution])[0]

    def views(self, executions: Sequence[Execution]) -> list[ExecutionView]:
        """As they are shown; a queue is counted once for all of them."""
        positions: dict[KernelId, dict[ExecutionId, int]] = {}
        views = []
        for execution in executions:
            document_id, kernel_id = execution.document_id, execution.kernel_id
            path = None if document_id is None else self._documents.path_of(document_id)
            runner = self._runners.get(kernel_id)
            position = None
            if runner is not None and not execution.state.is_final:
                if kernel_id not in positions:
                    positions[kernel_id] = runner.positions()
                position = positions[kernel_id].get(execution.id)
            views.append(ExecutionView(execution, path, position))
        return views

    async def _outputs_of_cell(self, execution: Execution) -> list[Output] | None:
        """What the notebook holds, if the execution was its cell's last run."""
        if execution.document_id is None or execution.cell_id is None:
            return None
        runs = await self._store.find_executions(
            document_id=execution.document_id, cell_id=execution.cell_id, limit=100
        )
        shown = [run.id for run in runs if run.has_cleared]
        if not shown or shown[-1] != execution.id:
            return None
        try:
            live = await self._documents.open(execution.document_id)
        except NotebookExecError:
            return None  # the notebook is gone
        return None if live.notebook is None else live.notebook.outputs(execution.cell_id)


async def _lines(outputs: Sequence[Output]) -> AsyncIterator[bytes]:
    for output in outputs:
        yield json.dumps(output).encode() + b"\n"
