"""What a runner must know to go on with a kernel that outlived its server (R2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notebook_exec.core.model import DocumentId, Execution, ExecutionId, Json, KernelId, Output
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.engine.ledger import CellKey
from notebook_exec.store.records import StoredKernel
from notebook_exec.store.store import Store

_RUNS_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of a cell, over or not: output may still come for it (O9, O5)."""

    execution: Execution
    outputs: Sequence[Output]
    memory: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Resumption:
    """The state of a kernel's runner as it was stored.

    ``unfinished``: the running one first. ``shown``: what the cells' entries are made of, in the
    order of submission. ``position``: what comes after it in the journal has had no effect yet.
    """

    kernel_id: KernelId
    position: int
    unfinished: tuple[Execution, ...]
    shown: Sequence[Execution]
    runs: Sequence[Run]
    memories: Mapping[ExecutionId, Mapping[str, Json]]
    widgets: Mapping[str, Json]


async def last_runs(
    store: Store, kernel_id: KernelId, unfinished: Sequence[Execution]
) -> dict[CellKey, Execution]:
    """The last run of each cell, where that was a run of this kernel."""
    runs = await store.find_executions(kernel_id=kernel_id, limit=_RUNS_LOOKED_AT)
    found: dict[CellKey, Execution] = {}
    for document_id in {e.document_id for e in [*runs, *unfinished]}:
        if document_id is None:
            continue
        of_document = await store.find_executions(document_id=document_id, limit=_RUNS_LOOKED_AT)
        last: dict[CellKey, Execution] = {}
        for execution in of_document:
            if execution.cell_id is not None and execution.has_cleared:
                last[document_id, execution.cell_id] = execution
        found.update((k, e) for k, e in last.items() if e.kernel_id == kernel_id)
    return found


def resumption(
    kernel: StoredKernel,
    unfinished: Sequence[Execution],
    last: Mapping[CellKey, Execution],
    memories: Mapping[ExecutionId, Mapping[str, Json]],
    notebooks: Mapping[DocumentId, LiveNotebook],
) -> Resumption:
    """Put together what was stored; ``notebooks`` by the id of their document."""
    runs = []
    for (document_id, cell_id), execution in last.items():
        notebook = notebooks.get(document_id)
        if notebook is not None:
            outputs = notebook.outputs(cell_id) or []
            runs.append(Run(execution, outputs, memories.get(execution.id, {})))
    for execution in unfinished:
        if execution.cell_id is None and (kept := memories.get(execution.id)):
            runs.append(Run(execution, kept["outputs"], kept["memory"]))
    over = [execution for execution in last.values() if execution.state.is_final]
    return Resumption(
        kernel_id=kernel.kernel_id,
        position=kernel.position or 0,
        unfinished=tuple(sorted(unfinished, key=lambda e: e.started_at is None)),
        shown=[*over, *unfinished],
        runs=runs,
        memories=memories,
        widgets=kernel.widgets or {},
    )
