"""The vocabulary of the program: executions, what kernels say, and the edits that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NewType

Json = Any
"""A value that ``json.loads`` can return."""

KernelId = NewType("KernelId", str)
DocumentId = NewType("DocumentId", str)
"""The room id of jupyter-collaboration: ``format:type:file_id``, as in ``json:notebook:4b1f…``."""
CellId = NewType("CellId", str)
ExecutionId = NewType("ExecutionId", str)
"""Also the ``msg_id`` of the execute_request, so that a message's parent names its execution."""
RequestId = NewType("RequestId", str)


# --- executions -----------------------------------------------------------------------------


class ExecutionState(str, Enum):
    """Where one run of one cell stands (SPEC Q1); the moves between them are in ``lifecycle``."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING_INPUT = "waiting_input"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self in _FINAL


_FINAL = frozenset(
    {
        ExecutionState.FINISHED,
        ExecutionState.FAILED,
        ExecutionState.CANCELLED,
        ExecutionState.LOST,
    }
)


class Reason(str, Enum):
    """Why an execution ended as it did, where its state alone does not say."""

    SKIPPED = "skipped"  # tagged skip-execution (Q9)
    BLANK = "blank"  # nothing to run (Q9)
    CANCELLED = "cancelled"  # someone cancelled it (Q7)
    EARLIER_ERROR = "earlier_error"  # an error stopped it (Q6)
    INTERRUPTED = "interrupted"  # someone interrupted the kernel (Q8)
    CELL_DELETED = "cell_deleted"  # (Q14)
    KERNEL_DIED = "kernel_died"
    KERNEL_RESTARTED = "kernel_restarted"
    KERNEL_SHUT_DOWN = "kernel_shut_down"
    KERNEL_START_FAILED = "kernel_start_failed"  # (Q10)
    TIME_LIMIT = "time_limit"  # (Q15)
    SERVER_STOPPED = "server_stopped"  # its kernel did not outlive the server (R5, R6)


class OnError(str, Enum):
    """What an error does to the rest of its request (Q6)."""

    STOP = "stop"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class User:
    """Who asked. Names are those of Jupyter's identity provider."""

    username: str
    display_name: str


@dataclass(frozen=True, slots=True)
class ExecutionError:
    """An ``error`` as kernels report it."""

    ename: str
    evalue: str
    traceback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request for input that waits for an answer. The answer is kept nowhere (P3)."""

    prompt: str
    password: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """When the kernel said what, as ISO 8601 (Q11). Field order is the ecosystem's key order."""

    busy: str | None = None
    execute_input: str | None = None
    reply_started: str | None = None
    reply: str | None = None
    idle: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of one cell, at one moment. Times are seconds since the epoch, UTC."""

    id: ExecutionId
    request_id: RequestId
    kernel_id: KernelId
    document_id: DocumentId | None  # None: code without a cell (A8)
    cell_id: CellId | None
    source: str
    requested_by: User
    queued_at: float
    client_id: str | None = None
    state: ExecutionState = ExecutionState.QUEUED
    reason: Reason | None = None
    started_at: float | None = None
    ended_at: float | None = None
    execution_count: int | None = None
    error: ExecutionError | None = None
    prompt: Prompt | None = None
    timing: Timing = Timing()
    on_error: OnError = OnError.STOP
    raises_exception: bool = False  # tagged raises-exception: an error does not stop (Q6)
    skip: bool = False  # tagged skip-execution (Q9)
    allow_stdin: bool = True
    record_timing: bool = False
    store_history: bool = True
    time_limit_s: float | None = None
    ended_by: User | None = None  # who cancelled, interrupted or restarted (Q8); None: nobody known

    @property
    def has_cleared(self) -> bool:
        """Whether what its cell held before is gone: it ran, or the cell says why it did not."""
        return (
            self.started_at is not None
            or self.state in (ExecutionState.FAILED, ExecutionState.LOST)
            or self.reason is Reason.BLANK
        )


@dataclass(frozen=True, slots=True)
class Request:
    """Cells accepted as one, in the order they run; no other request's come between (Q2)."""

    id: RequestId
    executions: tuple[Execution, ...]


@dataclass(frozen=True, slots=True)
class DeathReport:
    """What is known of a kernel's death. ``None`` is "not known", never a guess (K1)."""

    exit_code: int | None = None
    signal: str | None = None  # "SIGKILL"
    out_of_memory: bool = False  # only where the system said so
    log_tail: str = ""
    cpu_s: float | None = None  # processor time of its whole life
    max_rss_bytes: int | None = None  # the most memory it held at once
    position: int | None = None  # in its nanny's journal: what stands before it is told


# --- what kernels say -----------------------------------------------------------------------


@dataclass(slots=True)
class KernelMessage:
    """A message from a kernel, signature checked and parsed.

    ``position`` is its number in the nanny's journal, None on links without one.
    """

    channel: str  # "iopub", "shell", "stdin", "control"
    msg_type: str
    parent_id: str  # msg_id of the request it answers; "" if none
    content: dict[str, Json]
    metadata: dict[str, Json] = field(default_factory=dict)
    date: str = ""  # ISO 8601, the kernel's clock
    msg_id: str = ""
    buffers: Sequence[bytes] = ()
    position: int | None = None


# --- edits of a cell's outputs --------------------------------------------------------------

Output = dict[str, Json]
"""An nbformat 4.5 output; a stream's ``text`` is one ``str``."""


@dataclass(frozen=True, slots=True)
class ClearOutputs:
    """Take all outputs out, whatever they are."""


@dataclass(frozen=True, slots=True)
class InsertOutputs:
    """Put ``outputs`` in before ``index``."""

    index: int
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class DeleteOutputs:
    """Take ``count`` outputs out, from ``index`` on."""

    index: int
    count: int


@dataclass(frozen=True, slots=True)
class SpliceText:
    """In the stream output at ``index``: at ``start_bytes`` take out, then put ``insert`` in.

    Offsets count UTF-8 bytes, as ``pycrdt.Text`` does. ``expected_bytes`` is the length of the
    text before the splice: where it differs, the text is not the one that was meant.
    """

    index: int
    expected_bytes: int
    start_bytes: int
    delete_bytes: int
    insert: str


@dataclass(frozen=True, slots=True)
class ReplaceData:
    """Give the display at ``index`` new ``data`` and ``metadata`` (O5)."""

    index: int
    data: dict[str, Json]
    metadata: dict[str, Json]


OutputEdit = ClearOutputs | InsertOutputs | DeleteOutputs | SpliceText | ReplaceData


# --- what one transaction does to a notebook ------------------------------------------------


class Unset(Enum):
    """The type of ``UNSET``: a field that a patch leaves as it is."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(slots=True)
class CellPatch:
    """What one frame changes in one cell; applied in the order of the fields.

    ``expected_count``: how many outputs the cell has before ``edits``; None if that does not
    matter because they begin with ``ClearOutputs``.
    """

    edits: list[OutputEdit] = field(default_factory=list)
    expected_count: int | None = None
    execution_count: int | Unset | None = UNSET
    execution_state: str | Unset = UNSET  # "running" or "idle", as jupyter_ydoc defines it
    timing: Timing | Unset | None = UNSET  # metadata.execution; None removes it
    trusted: bool = False  # True: set metadata.trusted, as running a cell does (O18)
    source: str | Unset = UNSET  # set_next_input with replace (O13)


@dataclass(frozen=True, slots=True)
class InsertCell:
    """A new code cell after ``after`` (O13, A8); at the end if that is None or gone."""

    after: CellId | None
    cell: dict[str, Json]
    index: int | None = None  # given instead of ``after``


@dataclass(slots=True)
class Frame:
    """What one Y transaction writes into one notebook.

    ``entries`` are the values of the root map ``execution``; None takes the entry out.
    """

    cells: dict[CellId, CellPatch] = field(default_factory=dict)
    entries: dict[CellId, dict[str, Json] | None] = field(default_factory=dict)
    inserts: list[InsertCell] = field(default_factory=list)

    def cell(self, cell_id: CellId) -> CellPatch:
        """The patch of ``cell_id``, made if there is none yet."""
        return self.cells.setdefault(cell_id, CellPatch())

    def __bool__(self) -> bool:
        return bool(self.cells or self.entries or self.inserts)


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What applying a frame met.

    ``missing``: cells that are not in the notebook (deleted, O11).
    ``cleared``: cells whose outputs someone emptied meanwhile; their edits were not applied.
    ``foreign``: cells whose outputs are otherwise not those that the edits start from;
    not applied either, all of their outputs have to be written anew.
    """

    missing: frozenset[CellId] = frozenset()
    cleared: frozenset[CellId] = frozenset()
    foreign: frozenset[CellId] = frozenset()


# --- errors of the domain -------------------------------------------------------------------


class NotebookExecError(Exception):
    """Anything a caller did wrong or must know. ``reason`` is for programs, the text for people."""

    reason = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidInput(NotebookExecError):
    """The value in ``field`` is wrong (HTTP 400)."""

    reason = "invalid"


class NotFound(NotebookExecError):
    """What ``field`` names does not exist (HTTP 404)."""

    reason = "not_found"


class Conflict(NotebookExecError):
    """It does not fit the present state; nothing was changed (HTTP 409).

    ``current`` is what the caller needs to know of that state.
    """

    reason = "conflict"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "conflict",
        field: str | None = None,
        current: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(message, field=field)
        self.reason = reason
        self.current = current


class LimitExceeded(NotebookExecError):
    """More than is allowed of what ``field`` names (HTTP 413 or 429)."""

    reason = "limit"


class KernelStartError(NotebookExecError):
    """A kernel could not be started or reached. ``log_tail``: the last it wrote."""

    reason = "kernel_start_failed"

    def __init__(self, message: str, *, log_tail: str = "") -> None:
        super().__init__(message)
        self.log_tail = log_tail
