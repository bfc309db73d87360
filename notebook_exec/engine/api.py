"""What the engine offers to the faces of the server: requests, views and the facade's methods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from notebook_exec.core.model import (
    CellId,
    DocumentId,
    Execution,
    ExecutionId,
    ExecutionState,
    InsertCell,
    Json,
    KernelId,
    OnError,
    Output,
    RequestId,
    User,
)
from notebook_exec.engine.widget_news import WidgetView


@dataclass(frozen=True, slots=True)
class CellRequest:
    """One cell to run: its source in the document, or the one given here (Q3)."""

    cell_id: CellId
    source: str | None = None
    expected_sha256: str | None = None  # hex, of the UTF-8 source in the document
    expected_murmur2: str | None = None  # decimal, as jupyter-server-documents sends it (A3)


@dataclass(frozen=True, slots=True)
class Submission:
    """One request as a client made it, its shape checked; whether it fits is the engine's to say.

    Exactly one of ``cells`` (not empty), ``code`` and ``insert`` is given. A notebook is named by
    ``path`` or ``document_id``; code without a cell may have neither, then ``kernel_id`` is given.
    """

    path: str | None
    document_id: DocumentId | None
    cells: tuple[CellRequest, ...] | Literal["all"]
    requested_by: User
    kernel_id: KernelId | None = None
    kernel_name: str | None = None
    on_error: OnError = OnError.STOP
    client_id: str | None = None
    time_limit_s: float | None = None
    allow_stdin: bool = True
    record_timing: bool = False
    idempotency_key: str | None = None
    body_sha256: str | None = None
    code: str | None = None  # run without a cell (A8)
    insert: InsertCell | None = None  # make this cell, then run it (A8)
    expected_revision: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """An execution as it is shown. ``position``: 0 runs, 1 is next, None when it is over."""

    execution: Execution
    path: str | None
    position: int | None


@dataclass(slots=True)
class Accepted:
    """What became of a submission. ``replayed``: its idempotency key was seen before (A1)."""

    request_id: RequestId
    executions: list[ExecutionView]
    replayed: bool


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A notebook for scripts: its revision and its cells, as nbformat has them (A8)."""

    document_id: DocumentId
    path: str
    revision: str
    cells: list[dict[str, Json]]


class EngineApi(Protocol):
    """The facade used by ``server``. Errors are those of ``core.model``; nothing changed then."""

    async def submit(self, submission: Submission) -> Accepted:
        """Accept all of it or nothing. InvalidInput, NotFound, Conflict, LimitExceeded.

        Where a source is not the expected one (Q3), the Conflict's reason is "source_mismatch" and
        its ``current`` has "cell_id"; where the revision is not (A8), "revision_mismatch" and
        "revision". Where the idempotency key came with another body: "idempotency_key_reused".
        """
        ...

    async def get(self, execution_id: ExecutionId) -> ExecutionView:
        """One execution, of now or of the history. NotFound."""
        ...

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
        """Those that fit all that is given, the latest ``limit`` of them, oldest first."""
        ...

    async def wait(self, execution_id: ExecutionId, timeout_s: float) -> ExecutionView:
        """Return when it is over, comes to wait for input, or the limit is up. NotFound."""
        ...

    async def outputs(self, execution_id: ExecutionId) -> list[Output] | None:
        """Its outputs so far; None if they are no longer kept. NotFound."""
        ...

    async def log(self, execution_id: ExecutionId) -> AsyncIterator[bytes]:
        """Its whole output, one nbformat output as JSON a line, whole lines (O15). NotFound."""
        ...

    async def cancel(self, execution_ids: Sequence[ExecutionId], by: User) -> list[ExecutionView]:
        """Cancel what is not over yet (Q7). NotFound if one of them is unknown."""
        ...

    async def cancel_document(self, document_id: DocumentId, by: User) -> list[ExecutionView]:
        """Cancel all that is queued or runs on a notebook (Q7)."""
        ...

    async def answer(self, execution_id: ExecutionId, value: str, by: User) -> ExecutionView:
        """Answer a prompt (P2). NotFound; Conflict when it does not wait for an answer."""
        ...

    async def interrupt_kernel(self, kernel_id: KernelId, by: User) -> None:
        """Stop what runs and what is queued on a kernel (Q8). NotFound."""
        ...

    def widgets(self, kernel_id: KernelId) -> WidgetView | None:
        """The widgets of a kernel that runs a cell (O12); None: the kernel itself can tell."""
        ...

    def widget_changes(self, kernel_id: KernelId, version: int) -> WidgetView | None:
        """What changed since the view with that version; None if the kernel is gone."""
        ...

    def events(
        self, after: int | None, document_id: DocumentId | None
    ) -> AsyncIterator[tuple[int, ExecutionView]]:
        """Each change of an execution from now on, or from the one numbered ``after``.

        Numbers only grow. What lies too far back is left out.
        """
        ...

    async def document_id(self, path: str) -> DocumentId:
        """The id of the notebook at ``path``. NotFound, InvalidInput."""
        ...

    async def document(self, path: str) -> DocumentView:
        """The notebook at ``path``, opened if nobody has it open (A8). NotFound, InvalidInput."""
        ...
