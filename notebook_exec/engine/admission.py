"""Whether a submission fits the notebook, and the executions that it becomes; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from notebook_exec.core.model import (
    CellId,
    Conflict,
    DocumentId,
    Execution,
    ExecutionId,
    InvalidInput,
    KernelId,
    NotFound,
    Request,
    RequestId,
)
from notebook_exec.documents.notebook import CellView, LiveNotebook
from notebook_exec.engine.api import CellRequest, Submission
from notebook_exec.engine.source_hash import murmur2_decimal, sha256_hex


@dataclass(frozen=True, slots=True)
class CellRun:
    """A cell and the source it is to run."""

    cell_id: CellId | None
    source: str
    tags: frozenset[str] = frozenset()


def admit(submission: Submission, notebook: LiveNotebook | None) -> list[CellRun]:
    """The runs that ``submission`` asks for. InvalidInput, NotFound, Conflict; nothing is changed.

    ``notebook`` is None for code that names none.
    """
    if submission.expected_revision is not None and notebook is not None:
        _check_revision(submission.expected_revision, notebook)
    if submission.code is not None:
        return [CellRun(None, submission.code)]
    assert notebook is not None
    if submission.insert is not None:
        after = submission.insert.after
        if after is not None and notebook.cell(after) is None:
            raise NotFound(f"The notebook has no cell {after!r}.", field="insert.after")
        return []
    if submission.cells == "all":
        views = [notebook.cell(cell_id) for cell_id in notebook.code_cells()]
        return [CellRun(v.id, v.source, frozenset(v.tags)) for v in views if v is not None]
    return [_run(i, cell, notebook) for i, cell in enumerate(submission.cells)]


def to_request(
    submission: Submission,
    runs: Sequence[CellRun],
    *,
    kernel_id: KernelId,
    document_id: DocumentId | None,
    now: float,
) -> Request:
    """The request that is queued: an execution for each run."""
    request_id = RequestId(str(uuid4()))
    executions = tuple(
        Execution(
            id=ExecutionId(str(uuid4())),
            request_id=request_id,
            kernel_id=kernel_id,
            document_id=document_id,
            cell_id=run.cell_id,
            source=run.source,
            requested_by=submission.requested_by,
            queued_at=now,
            client_id=submission.client_id,
            on_error=submission.on_error,
            raises_exception="raises-exception" in run.tags,
            skip="skip-execution" in run.tags,
            allow_stdin=submission.allow_stdin,
            record_timing=submission.record_timing,
            time_limit_s=submission.time_limit_s,
        )
        for run in runs
    )
    return Request(request_id, executions)


def _run(index: int, asked: CellRequest, notebook: LiveNotebook) -> CellRun:
    field = f"cells[{index}]"
    view = notebook.cell(asked.cell_id)
    if view is None:
        raise NotFound(f"The notebook has no cell {asked.cell_id!r}.", field=field)
    if view.cell_type != "code":
        raise InvalidInput(
            f"Cell {asked.cell_id!r} is a {view.cell_type} cell; only code cells run.", field=field
        )
    _check_source(field, asked, view)
    source = view.source if asked.source is None else asked.source
    return CellRun(view.id, source, frozenset(view.tags))


def _check_source(field: str, asked: CellRequest, view: CellView) -> None:
    checks = (
        ("expected_sha256", asked.expected_sha256, sha256_hex),
        ("source_hash", asked.expected_murmur2, murmur2_decimal),
    )
    for name, expected, digest in checks:
        if expected is not None and digest(view.source) != expected.lower():
            raise Conflict(
                f"The source of cell {view.id!r} is not the one that was expected.",
                reason="source_mismatch",
                field=f"{field}.{name}",
                current={"cell_id": view.id, "sha256": sha256_hex(view.source)},
            )


def _check_revision(expected: str, notebook: LiveNotebook) -> None:
    if notebook.revision != expected:
        raise Conflict(
            "The notebook was edited since the revision that was expected.",
            reason="revision_mismatch",
            field="expected_revision",
            current={"revision": notebook.revision},
        )
