"""What becomes of executions that a server left behind when it stopped or died (R5, R6)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace

from notebook_exec.core.model import (
    DocumentId,
    Execution,
    ExecutionError,
    ExecutionState,
    Frame,
    InsertOutputs,
    NotebookExecError,
    Output,
    Reason,
)
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.documents.registry import Documents
from notebook_exec.engine.projection import entry
from notebook_exec.store.ops import PutExecution
from notebook_exec.store.store import Store

log = logging.getLogger(__name__)

SERVER_STOPPED = ExecutionError(
    ename="ServerStopped",
    evalue="The server stopped while this cell ran, and its kernel with it.",
    traceback=(
        "The server stopped while this cell ran, and its kernel with it.",
        "The outputs up to then are above. Run the cell again to start over.",
    ),
)


async def recover(store: Store, documents: Documents) -> None:
    """Say of every execution that was left unfinished how it ended, in store and notebook.

    Their kernels did not outlive the server: what ran is lost, what waited is cancelled.
    """
    now = time.time()
    by_document: dict[DocumentId, list[Execution]] = {}
    for left in await store.unfinished_executions():
        ended = _end(left, now)
        if ended.document_id is None:
            store.submit([PutExecution(ended)])
        else:
            by_document.setdefault(ended.document_id, []).append(ended)
    for document_id, executions in by_document.items():
        try:
            live = await documents.open(document_id)
        except NotebookExecError as error:
            log.warning("%s cannot be opened to say how its runs ended: %s", document_id, error)
            store.submit([PutExecution(execution) for execution in executions])
            continue
        if live.notebook is not None:
            _tell(live.notebook, executions)


def _end(left: Execution, now: float) -> Execution:
    ran = left.state is not ExecutionState.QUEUED
    return replace(
        left,
        state=ExecutionState.LOST if ran else ExecutionState.CANCELLED,
        reason=Reason.SERVER_STOPPED,
        error=SERVER_STOPPED if ran else None,
        ended_at=now,
        prompt=None,
    )


def _tell(notebook: LiveNotebook, executions: Iterable[Execution]) -> None:
    frame = Frame()
    error: Output = {
        "output_type": "error",
        "ename": SERVER_STOPPED.ename,
        "evalue": SERVER_STOPPED.evalue,
        "traceback": list(SERVER_STOPPED.traceback),
    }
    executions = list(executions)
    for execution in executions:
        assert execution.cell_id is not None
        patch = frame.cell(execution.cell_id)
        patch.execution_state = "idle"
        frame.entries[execution.cell_id] = entry(execution)
        if execution.state is ExecutionState.LOST:
            patch.expected_count = len(notebook.outputs(execution.cell_id) or ())
            patch.edits.append(InsertOutputs(patch.expected_count, (error,)))
    notebook.apply(frame, [PutExecution(execution) for execution in executions])
