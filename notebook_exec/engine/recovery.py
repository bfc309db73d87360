"""What becomes of executions that a server left behind when it stopped or died (R5, R6)."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from notebook_exec.core.model import (
    ClearOutputs,
    DocumentId,
    Execution,
    ExecutionError,
    ExecutionId,
    ExecutionState,
    Frame,
    InsertOutputs,
    KernelId,
    NotebookExecError,
    Reason,
)
from notebook_exec.core.sanitize import own_error
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.documents.registry import Documents
from notebook_exec.engine.projection import entry
from notebook_exec.store.ops import DropKernel, PutExecution
from notebook_exec.store.records import StoredKernel
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

PERHAPS_RAN = ExecutionError(
    ename="ServerStopped",
    evalue="The server stopped as this cell was to run, and its kernel with it.",
    traceback=(
        "The server stopped as this cell was to run, and its kernel with it.",
        "Whether it began to run is not known.",
    ),
)


class Resume(Protocol):
    """``Engine.resume``."""

    def __call__(
        self, kernel: StoredKernel, unfinished: Sequence[Execution], *, is_new: bool = False
    ) -> Awaitable[list[Execution]]: ...


async def recover(
    store: Store,
    documents: Documents,
    resume: Resume,
    adopted: Collection[KernelId] | None = None,
) -> None:
    """Go on with all that ran on the ``adopted`` kernels (R2), and end the rest.

    Where the kernel did not outlive the server, what ran is lost, what waited is cancelled: store
    and notebook are told. ``adopted`` is None if kernels never outlive servers here.
    """
    left = await store.unfinished_executions()
    kernels = await store.kernels()
    if adopted is not None:
        known = {kernel.kernel_id for kernel in kernels}
        for kernel_id in {e.kernel_id for e in left} - known - set(adopted):
            if not await _was_used(store, kernel_id):  # the server did not come to start it
                waiting = [e for e in left if e.kernel_id == kernel_id]
                stuck = await resume(
                    StoredKernel(kernel_id, None, None, None), waiting, is_new=True
                )
                left = [e for e in left if e.kernel_id != kernel_id or e in stuck]
    adopted = adopted or ()
    for kernel in kernels:
        if kernel.kernel_id not in adopted:
            store.submit([DropKernel(kernel.kernel_id)])
            continue
        going_on = [e for e in left if e.kernel_id == kernel.kernel_id]
        if kernel.position is not None or going_on:
            stuck = await resume(kernel, going_on)
            left = [e for e in left if e.kernel_id != kernel.kernel_id or e in stuck]
    started = {kernel.kernel_id for kernel in kernels}
    await _end_all(store, documents, left, _perhaps_sent(left, started))


def _perhaps_sent(left: Sequence[Execution], started: Collection[KernelId]) -> set[ExecutionId]:
    """What is stored as queued, and may have run: it is sent a moment before that is stored."""
    busy = {e.kernel_id for e in left if e.state is not ExecutionState.QUEUED}
    next_of: dict[KernelId, ExecutionId] = {}
    for execution in left:  # in the order of submission
        next_of.setdefault(execution.kernel_id, execution.id)
    return {next_of[kernel_id] for kernel_id in next_of.keys() & set(started) - busy}


async def _was_used(store: Store, kernel_id: KernelId) -> bool:
    return any(e.started_at is not None for e in await store.find_executions(kernel_id=kernel_id))


async def _end_all(
    store: Store,
    documents: Documents,
    left: Sequence[Execution],
    perhaps_sent: Collection[ExecutionId],
) -> None:
    now = time.time()
    by_document: dict[DocumentId, list[Execution]] = {}
    for execution in left:
        ended = _end(execution, now, perhaps_ran=execution.id in perhaps_sent)
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


def _end(left: Execution, now: float, *, perhaps_ran: bool) -> Execution:
    ran = left.state is not ExecutionState.QUEUED
    return replace(
        left,
        state=ExecutionState.LOST if ran or perhaps_ran else ExecutionState.CANCELLED,
        reason=Reason.SERVER_STOPPED,
        error=SERVER_STOPPED if ran else PERHAPS_RAN if perhaps_ran else None,
        ended_at=now,
        prompt=None,
    )


def _tell(notebook: LiveNotebook, executions: Iterable[Execution]) -> None:
    frame = Frame()
    executions = list(executions)
    for execution in executions:
        assert execution.cell_id is not None
        patch = frame.cell(execution.cell_id)
        patch.execution_state = "idle"
        frame.entries[execution.cell_id] = entry(execution)
        if execution.error is None:
            continue
        shown = own_error(execution.error)
        if execution.started_at is None:  # what the cell shows is an earlier run's
            patch.edits += [ClearOutputs(), InsertOutputs(0, (shown,))]
        else:
            patch.expected_count = len(notebook.outputs(execution.cell_id) or ())
            patch.edits.append(InsertOutputs(patch.expected_count, (shown,)))
    notebook.apply(frame, [PutExecution(execution) for execution in executions])
