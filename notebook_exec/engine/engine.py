"""The engine: submissions become executions, executions become edits of their notebooks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from notebook_exec.core.model import (
    CellId,
    Conflict,
    DocumentId,
    Execution,
    ExecutionId,
    Frame,
    InvalidInput,
    KernelId,
    LimitExceeded,
    NotebookExecError,
    NotFound,
    Output,
    Reason,
    Request,
    RequestId,
    User,
)
from notebook_exec.core.outputs import UpdateWidget
from notebook_exec.core.scheduler_events import CancelRequested
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.documents.registry import Documents, LiveDocument
from notebook_exec.engine.admission import CellRun, admit, to_request
from notebook_exec.engine.api import Accepted, DocumentView, ExecutionView, Submission
from notebook_exec.engine.history import OutputHistory
from notebook_exec.engine.hosts import KernelHost
from notebook_exec.engine.keyed_locks import KeyedLocks
from notebook_exec.engine.ledger import Ledger
from notebook_exec.engine.logs import OutputLogs
from notebook_exec.engine.reading import Reading
from notebook_exec.engine.resumption import last_runs, resumption
from notebook_exec.engine.runner import KernelRunner
from notebook_exec.engine.settings import EngineSettings
from notebook_exec.engine.widget_news import WidgetView
from notebook_exec.engine.writer import NotebookWriter
from notebook_exec.store.ops import Op, PutExecution, PutRequest
from notebook_exec.store.records import StoredKernel
from notebook_exec.store.store import Store

log = logging.getLogger(__name__)


class Engine:
    """Runs cells on the server; ``api.EngineApi`` says what each method promises.

    ``documents``, ``store`` and ``host`` are open, and stay the caller's to close, after
    ``close`` of the engine.
    """

    def __init__(
        self,
        *,
        documents: Documents,
        store: Store,
        host: KernelHost,
        state_dir: Path,
        settings: EngineSettings,
        show_widget: Callable[[KernelId, UpdateWidget], None] = lambda _kernel_id, _update: None,
        show_death: Callable[[KernelId], None] = lambda _kernel_id: None,
    ) -> None:
        self.show_widget, self.show_death = show_widget, show_death
        self._documents = documents
        self._store = store
        self._host = host
        self._settings = settings
        self.ledger = Ledger()
        self.history = OutputHistory(limit_bytes=settings.history_bytes)
        self._logs = OutputLogs(state_dir / "outputs", limit_bytes=settings.max_log_bytes)
        self._runners: dict[KernelId, KernelRunner] = {}
        self._reading = reading = Reading(
            documents=documents,
            store=store,
            ledger=self.ledger,
            history=self.history,
            logs=self._logs,
            runners=self._runners,
        )
        # The facade's reading half.
        self.get, self.find, self.wait = reading.get, reading.find, reading.wait
        self.outputs, self.log, self.events = reading.outputs, reading.log, reading.events
        self._writers: dict[DocumentId, NotebookWriter] = {}
        self._active: dict[DocumentId, set[ExecutionId]] = {}
        self._cell_is_gone: set[ExecutionId] = set()
        self._last_kernel: dict[DocumentId, KernelId] = {}
        self._keys = KeyedLocks()
        self._reopening: set[DocumentId] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    # --- requests -----------------------------------------------------------------------------

    async def submit(self, submission: Submission) -> Accepted:
        """Accept all of a submission, or nothing (Q2)."""
        key = submission.idempotency_key
        if key is None:
            return await self._submit(submission)
        async with self._keys.lock(key):  # of two retries at once, the second finds the first
            return await self._replay(submission, key) or await self._submit(submission)

    async def cancel(self, execution_ids: Sequence[ExecutionId], by: User) -> list[ExecutionView]:
        """Cancel what is not over yet (Q7)."""
        executions = [await self._reading.execution(execution_id) for execution_id in execution_ids]
        await self._cancel(executions, by, Reason.CANCELLED)
        return [await self.get(execution.id) for execution in executions]

    async def cancel_document(self, document_id: DocumentId, by: User) -> list[ExecutionView]:
        """Cancel all that is queued or runs on a notebook (Q7)."""
        active = [
            execution
            for execution_id in self._active.get(document_id, ())
            if (execution := self.ledger.get(execution_id)) is not None
        ]
        active.sort(key=lambda execution: execution.queued_at)
        await self._cancel(active, by, Reason.CANCELLED)
        return [await self.get(execution.id) for execution in active]

    async def answer(self, execution_id: ExecutionId, value: str, by: User) -> ExecutionView:
        """Answer a prompt; the value goes to the kernel and nowhere else (P3)."""
        execution = await self._reading.execution(execution_id)
        runner = self._runners.get(execution.kernel_id)
        if runner is None:
            raise Conflict("This execution does not wait for an answer.", reason="not_waiting")
        runner.answer(execution_id, value, by)
        return await self.get(execution_id)

    async def interrupt_kernel(self, kernel_id: KernelId, by: User) -> None:
        """Stop what runs and what is queued on a kernel (Q8)."""
        await asyncio.shield(self._runner(kernel_id).interrupt(by))

    # --- widgets ----------------------------------------------------------------------------

    def widgets(self, kernel_id: KernelId) -> WidgetView | None:
        """The widgets of a kernel that cannot tell of them itself, for it runs a cell (O12)."""
        runner = self._runners.get(kernel_id)
        return None if runner is None else runner.widget_news.view()

    def widget_changes(self, kernel_id: KernelId, version: int) -> WidgetView | None:
        """What changed since a view of them."""
        runner = self._runners.get(kernel_id)
        return None if runner is None else runner.widget_news.changes(version)

    # --- reading ------------------------------------------------------------------------------

    def is_running(self, document_id: DocumentId, cell_id: CellId) -> bool:
        """Whether an execution of this cell is not over, so that its outputs are the server's."""
        active = map(self.ledger.get, self._active.get(document_id, ()))
        return any(e is not None and e.cell_id == cell_id for e in active)

    async def document_id(self, path: str) -> DocumentId:
        """The id of the notebook at ``path``."""
        return await self._documents.document_id(path)

    async def document(self, path: str) -> DocumentView:
        """A notebook for scripts (A8)."""
        live = await self._documents.open(await self._documents.document_id(path))
        notebook = _notebook(live)
        return DocumentView(live.document_id, live.path, notebook.revision, notebook.cells())

    # --- life ---------------------------------------------------------------------------------

    async def resume(
        self, kernel: StoredKernel, unfinished: Sequence[Execution], *, is_new: bool = False
    ) -> list[Execution]:
        """Go on with a kernel that outlived the server before (R2).

        ``is_new``: with one that was about to be started. Returns those that cannot go on,
        because their notebook cannot be opened.
        """
        kernel_id = kernel.kernel_id
        last = await last_runs(self._store, kernel_id, unfinished)
        memories = await self._store.memories(kernel_id)
        self.ledger.publish(unfinished)
        for execution in unfinished:  # before the notebook is opened, which asks what runs
            if execution.document_id is not None:
                self._hold(execution.document_id, execution.id)
        documents = {document_id for document_id, _ in last}
        documents |= {e.document_id for e in unfinished if e.document_id is not None}
        notebooks = await self._notebooks(documents)
        resumed, stuck = list[Execution](), list[Execution]()
        for execution in unfinished:
            is_open = execution.document_id is None or execution.document_id in notebooks
            (resumed if is_open else stuck).append(execution)
        for execution in stuck:
            assert execution.document_id is not None
            self._release(execution.document_id, execution.id)
        # Another kernel may have gone on already, and have begun with one of these cells.
        last = {k: e for k, e in last.items() if self.ledger.last_run(k) in (None, e.id)}
        for key, execution in last.items():
            self.ledger.started(key, execution.id)
        plan = resumption(kernel, resumed, last, memories, notebooks)
        runner = KernelRunner(
            kernel_id,
            self,
            lambda listener: self._host.connect(
                kernel_id, listener, None if is_new else plan.position
            ),
            self._settings,
        )
        if is_new and not notebooks:
            return list(unfinished)
        self._runners[kernel_id] = runner
        runner.resume(plan, has_backlog=not is_new)
        if resumed:
            self._host.hold_active(kernel_id)
        if is_new:
            document_id, notebook = next(iter(notebooks.items()))
            path = self._documents.path_of(document_id) or ""
            runner.start(document_id, self._host.start(kernel_id, path, notebook.kernel_name()))
        else:
            runner.connect()
        return stuck

    async def _notebooks(
        self, document_ids: Iterable[DocumentId]
    ) -> dict[DocumentId, LiveNotebook]:
        """Those that can be opened."""
        found = {}
        for document_id in document_ids:
            try:
                found[document_id] = _notebook(await self._documents.open(document_id))
            except NotebookExecError as error:
                log.info("%s cannot be opened to go on with its runs: %s", document_id, error)
        return found

    def is_starting(self) -> bool:
        """Whether a kernel is being started for a notebook."""
        return any(runner.starting_for is not None for runner in self._runners.values())

    async def close(self, keep: Collection[KernelId] = ()) -> None:
        """End all executions in an orderly way, and store it (R5). Safe to call twice.

        What runs on the kernels to ``keep`` is left as it is, for the next server.
        """
        self._closing = True
        ending = []
        for runner in list(self._runners.values()):
            if runner.kernel_id in keep:
                runner.leave()
            else:
                ending.append(runner.shut_down())
        await asyncio.gather(*ending)
        for writer in self._writers.values():
            writer.flush_all()
        for runner in list(self._runners.values()):
            await runner.close()
        self._runners.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers.values():
            writer.flush_all()  # what came until the last link was closed: the documents are next
        await self._store.flush()
        self.ledger.close()
        await self._logs.close()

    # --- what runners need: runner.Workplace --------------------------------------------------

    def writer(self, document_id: DocumentId) -> NotebookWriter | None:
        """The writer of a notebook, if it is loaded."""
        live = self._documents.get(document_id)
        if live is None or live.notebook is None:
            self._writers.pop(document_id, None)
            return None
        writer = self._writers.get(document_id)
        if writer is None or not writer.writes(live.notebook):
            writer = NotebookWriter(
                live.notebook,
                self._logs,
                interval_s=self._settings.frame_interval_s,
                publish=self._publish,
                store=self._store,
            )
            self._writers[document_id] = writer
            live.notebook.on_cells_deleted = lambda ids: self._cells_deleted(document_id, ids)
            live.notebook.on_cells_placed = lambda ids: self._cells_placed(document_id, ids)
        return writer

    def reopen(self, document_id: DocumentId, then: Callable[[], None]) -> None:
        """Load a notebook that has been unloaded, for late outputs (O9)."""
        if document_id not in self._reopening and not self._closing:
            self._reopening.add(document_id)
            self._spawn(self._reopen(document_id, then))

    def settle(self, execution: Execution) -> None:
        """Store and publish an execution without a cell."""
        self._store.submit([PutExecution(execution)], lambda _durable: self._publish([execution]))

    @property
    def store(self) -> Store:
        """Where all of it is stored."""
        return self._store

    def keep_shown(self, execution_id: ExecutionId, key: tuple[DocumentId, CellId]) -> None:
        """Keep what a cell shows as the outputs of a run that was another kernel's (A2)."""
        live = self._documents.get(key[0])
        outputs = None if live is None else _notebook(live).outputs(key[1])
        if outputs is not None:
            self.history.keep(execution_id, outputs)

    def spill(self, execution_id: ExecutionId, outputs: Sequence[Output]) -> None:
        """Log what a document does not hold (O15)."""
        self._logs.append(execution_id, outputs)

    def runner_ended(self, runner: KernelRunner) -> None:
        """A kernel is gone for good: so is its runner, once its last words are written."""
        if self._runners.get(runner.kernel_id) is runner:
            del self._runners[runner.kernel_id]
            self._spawn(runner.close())

    # --- submitting ---------------------------------------------------------------------------

    async def _submit(self, submission: Submission) -> Accepted:
        token = object()
        live = await self._open(submission, token)
        try:
            return await self._accept(submission, live)
        finally:
            if live is not None:
                self._documents.release(live.document_id, token)

    async def _replay(self, submission: Submission, key: str) -> Accepted | None:
        """The answer to an idempotency key that was seen before (A1)."""
        seen = await self._store.get_request_by_key(key)
        if seen is None:
            return None
        if seen.body_hash != submission.body_sha256:
            raise Conflict(
                "This Idempotency-Key was used with another body.",
                reason="idempotency_key_reused",
                field="Idempotency-Key",
            )
        return Accepted(seen.request_id, await self.find(request_id=seen.request_id), True)

    async def _open(self, submission: Submission, token: object) -> LiveDocument | None:
        """The notebook that is named, loaded and held by ``token``."""
        document_id = submission.document_id
        if document_id is None:
            if submission.path is None:
                return None
            live = self._documents.loaded_at(submission.path)
            document_id = (
                await self._documents.document_id(submission.path)
                if live is None
                else live.document_id
            )
        live = self._documents.get(document_id) or await self._documents.open(document_id)
        _notebook(live)
        self._documents.hold(document_id, token)
        return live

    async def _accept(self, submission: Submission, live: LiveDocument | None) -> Accepted:
        notebook = None if live is None else _notebook(live)
        runs = admit(submission, notebook)  # refuse what does not fit before a kernel is started
        if not runs and submission.insert is None:  # "all" of no code cells
            return Accepted(RequestId(str(uuid4())), [], False)
        kernel_id, is_new = self._kernel_named(submission), False
        if kernel_id is None:
            revision = None if notebook is None else notebook.revision
            kernel_id, is_new = await self._kernel_for(submission, live)
            if notebook is not None and notebook.revision != revision:
                runs = admit(submission, notebook)  # edited while the kernel was looked up
        runner = self._runner_for(kernel_id, max(1, len(runs)))
        if is_new and live is not None:
            runner.starting_for = live.document_id  # before anyone else looks for a kernel
        if submission.insert is not None:
            assert notebook is not None
            runs = [_insert(notebook, submission)]
        request = to_request(
            submission,
            runs,
            kernel_id=kernel_id,
            document_id=None if live is None else live.document_id,
            now=time.time(),
        )
        await self._commit(request, submission)
        if is_new:
            assert live is not None
            name = submission.kernel_name or _notebook(live).kernel_name()
            runner.start(live.document_id, self._host.start(kernel_id, live.path, name))
        runner.submit(request)
        self._host.hold_active(kernel_id)  # one that ended meanwhile may have let go of it (K12)
        return Accepted(request.id, self._reading.views(request.executions), False)

    def _kernel_named(self, submission: Submission) -> KernelId | None:
        kernel_id = submission.kernel_id
        if kernel_id is None or kernel_id in self._runners or self._host.has(kernel_id):
            return kernel_id
        raise NotFound(f"There is no kernel {kernel_id!r}.", field="kernel.id")

    async def _kernel_for(
        self, submission: Submission, live: LiveDocument | None
    ) -> tuple[KernelId, bool]:
        """The kernel of the notebook, and whether it has yet to be started."""
        if submission.kernel_name is not None:
            self._host.check_name(submission.kernel_name)
        if live is None:
            raise InvalidInput("Code without a notebook needs a kernel.", field="kernel.id")
        starting = self._starting(live.document_id)
        if starting is not None:
            return starting, False
        kernel_id = await self._host.kernel_of(live.path) or self._starting(live.document_id)
        if kernel_id is not None:
            return kernel_id, False
        # Renamed behind the back of its session, a notebook keeps its kernel (D6).
        last = self._last_kernel.get(live.document_id)
        if last is not None and self._host.has(last):
            return last, False
        return KernelId(str(uuid4())), True

    def _starting(self, document_id: DocumentId) -> KernelId | None:
        """The kernel that is being started for a notebook: its session does not exist yet."""
        for kernel_id, runner in self._runners.items():
            if runner.starting_for == document_id:
                return kernel_id
        return None

    def _runner_for(self, kernel_id: KernelId, count: int) -> KernelRunner:
        runner = self._runners.get(kernel_id)
        if runner is None:
            runner = KernelRunner(
                kernel_id,
                self,
                lambda listener: self._host.connect(kernel_id, listener),
                self._settings,
            )
            self._runners[kernel_id] = runner
            if self._host.has(kernel_id):
                runner.connect()
        limit = self._settings.max_queue_length
        if runner.queue_length + count > limit:
            raise LimitExceeded(
                f"The queue of this kernel holds at most {limit} executions.", field="cells"
            )
        return runner

    async def _commit(self, request: Request, submission: Submission) -> None:
        """Store a request before anything of it happens; publish it as queued."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def stored(_durable: bool) -> None:
            for execution in request.executions:
                if execution.document_id is not None:
                    self._hold(execution.document_id, execution.id)
                    self._last_kernel[execution.document_id] = execution.kernel_id
            self._host.hold_active(request.executions[0].kernel_id)
            self.ledger.publish(request.executions)
            if not done.done():
                done.set_result(None)

        put = PutRequest(
            request.id, submission.idempotency_key, submission.body_sha256, time.time()
        )
        # What is written at once is no reason to let others have a turn before the cell is sent.
        ops: list[Op] = [
            put,
            *(PutExecution(execution, is_new=True) for execution in request.executions),
        ]
        self._store.submit(ops, stored, at_once=True)
        await done

    # --- after commits ------------------------------------------------------------------------

    def _publish(self, executions: Sequence[Execution]) -> None:
        self.ledger.publish(executions)
        for execution in executions:
            if not execution.state.is_final:
                continue
            runner = self._runners.get(execution.kernel_id)
            has_no_cell = execution.cell_id is None or execution.id in self._cell_is_gone
            self._cell_is_gone.discard(execution.id)
            if has_no_cell and runner is not None:
                self.history.keep(execution.id, runner.outputs.outputs(execution.id))
            if runner is None or not runner.queue_length:
                self._host.release_active(execution.kernel_id)
            if execution.document_id is not None:
                self._release(execution.document_id, execution.id)

    def _hold(self, document_id: DocumentId, execution_id: ExecutionId) -> None:
        self._active.setdefault(document_id, set()).add(execution_id)
        self._documents.hold(document_id, execution_id)

    def _release(self, document_id: DocumentId, execution_id: ExecutionId) -> None:
        active = self._active.get(document_id)
        if active is not None:
            active.discard(execution_id)
            if not active:
                del self._active[document_id]
        self._documents.release(document_id, execution_id)

    async def _reopen(self, document_id: DocumentId, then: Callable[[], None]) -> None:
        try:
            await self._documents.open(document_id)
        except NotebookExecError as error:
            # The notebook is gone; the outputs stay readable by the API (O11).
            log.info("late outputs for %s: %s", document_id, error)
            return
        self._reopening.discard(document_id)
        then()

    # --- small things -------------------------------------------------------------------------

    def _cancel(
        self, executions: Sequence[Execution], by: User | None, reason: Reason
    ) -> Awaitable[Any]:
        """Begin at once; who goes away meanwhile stops nothing (A7)."""
        by_kernel: dict[KernelId, list[ExecutionId]] = {}
        for execution in executions:
            by_kernel.setdefault(execution.kernel_id, []).append(execution.id)
        return asyncio.shield(
            asyncio.gather(
                *(
                    runner.cancel(CancelRequested(tuple(ids), by, reason))
                    for kernel_id, ids in by_kernel.items()
                    if (runner := self._runners.get(kernel_id)) is not None
                )
            )
        )

    def _cells_deleted(self, document_id: DocumentId, cell_ids: set[CellId]) -> None:
        """What is queued for a deleted cell does not run (Q14); what runs goes on (O11)."""
        gone = [
            execution
            for execution_id in self._active.get(document_id, ())
            if (execution := self.ledger.get(execution_id)) is not None
            and execution.cell_id in cell_ids
        ]
        self._cell_is_gone.update(execution.id for execution in gone)
        self._cancel(gone, None, Reason.CELL_DELETED)

    def _cells_placed(self, document_id: DocumentId, cell_ids: set[CellId]) -> None:
        """A page moved cells as it had them, perhaps before their last output came (O10)."""
        for runner in list(self._runners.values()):
            runner.cells_placed(document_id, cell_ids)

    def _runner(self, kernel_id: KernelId) -> KernelRunner:
        runner = self._runners.get(kernel_id)
        if runner is None:
            if not self._host.has(kernel_id):
                raise NotFound(f"There is no kernel {kernel_id!r}.", field="kernel_id")
            runner = self._runner_for(kernel_id, 0)
        return runner

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s", task.exception(), exc_info=task.exception())


def _notebook(live: LiveDocument) -> LiveNotebook:
    if live.notebook is None:
        raise InvalidInput(f"{live.path} is not a notebook.", field="path")
    return live.notebook


def _insert(notebook: LiveNotebook, submission: Submission) -> CellRun:
    """Put the new cell of a submission into its notebook (A8)."""
    assert submission.insert is not None
    cell_id = CellId(str(uuid4()))
    cell = {**submission.insert.cell, "id": cell_id}
    insert = replace(submission.insert, cell=cell)
    notebook.apply(Frame(inserts=[insert]))
    return CellRun(cell_id, cell["source"])
