"""The store: one SQLite file; small changes are written at once, the others by a thread."""

from __future__ import annotations

import asyncio
import functools
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from notebook_exec.core.model import (
    CellId,
    DocumentId,
    Execution,
    ExecutionId,
    ExecutionState,
    Json,
    KernelId,
    RequestId,
)
from notebook_exec.store import connect, overlay, queries
from notebook_exec.store.errors import StoreError
from notebook_exec.store.lock import StoreLock
from notebook_exec.store.ops import AppendUpdate, Compact, DropDocument, Op, PruneHistory, SetMeta
from notebook_exec.store.pace import Pace
from notebook_exec.store.records import StoredDocument, StoredKernel, StoredRequest
from notebook_exec.store.sync import Syncer
from notebook_exec.store.writer import Batch, Outcome, Then, Writer

log = logging.getLogger(__name__)

T = TypeVar("T")

DATABASE = "notebook_exec.sqlite"
_RETRY_S = 1.0
_SYNC_INTERVAL_S = 0.5  # commits are at most 1 s from the disk (R6), with room for the sync itself
_CLOSE_TIMEOUT_S = 30.0
_PRUNE_AT_ONCE = 500


class Store:
    """What is durable of all documents, executions and kernels of a server.

    All methods belong to the event loop of ``open``. What is submitted is written in order, what
    waits at the same time in one transaction, and ``then`` is called after its commit (R4).

    How safe "committed" is: WAL with ``synchronous=NORMAL``. A commit is in the operating
    system's page cache, so it survives any death of this process at once. It survives the death of
    the machine once the log is synced, at most a second later (R6). The file itself is consistent
    after either. On network file systems, where no WAL can be used, each commit is synced (R9).

    Attributes:
        on_trouble: called with the reason when nothing can be written for now (R7): batches are
            kept in memory, in order, ``then(False)`` is called so that work goes on.
        on_recovered: called when all that was kept has been written.
    """

    @classmethod
    async def open(
        cls, path: Path, *, retry_s: float = _RETRY_S, sync_interval_s: float = _SYNC_INTERVAL_S
    ) -> Store:
        """Open the store in the folder ``path``, made (mode 0700) if it is not there.

        Raises:
            StoreInUse: another server has it open.
            StoreTooNew: a newer version of the program wrote it; nothing was changed (R8).
            StoreError: it is not a store, or cannot be read.
        """
        loop = asyncio.get_running_loop()
        opened = functools.partial(cls, path, loop, retry_s, sync_interval_s)
        store = await loop.run_in_executor(None, opened)
        store._writer.start()
        if store._syncer is not None:
            store._syncer.start()
        return store

    def __init__(
        self, path: Path, loop: asyncio.AbstractEventLoop, retry_s: float, sync_interval_s: float
    ) -> None:
        """Does the file work of ``open``; blocks."""
        self.on_trouble: Callable[[str], None] | None = None
        self.on_recovered: Callable[[], None] | None = None
        self.path = path
        self._loop = loop
        self._unwritten: deque[Batch] = deque()
        self._in_thread = 0  # of these, those that were given to the writer's thread
        self._in_trouble = False
        self._gathered: list[tuple[Sequence[Op], Then | None]] | None = None
        self._updates_bytes: dict[DocumentId, int] = {}
        self._closing: asyncio.Future[None] | None = None
        self._reader_thread = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._lock = StoreLock(path / "lock")
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            self._lock.acquire()
        except OSError as error:
            raise StoreError(f"The state folder {path} cannot be used: {error}") from error
        try:
            self._open_database(path / DATABASE, retry_s, sync_interval_s)
        except (OSError, sqlite3.Error) as error:
            self._lock.release()
            raise StoreError(f"The store in {path} cannot be opened: {error}") from error
        except BaseException:
            self._lock.release()
            raise

    def _open_database(self, database: Path, retry_s: float, sync_interval_s: float) -> None:
        uses_wal = connect.prepare(database)
        self._reader = connect.open_reader(database)
        self._syncer: Syncer | None = None
        if uses_wal:
            self._syncer = Syncer(
                database, connect.open_checkpointer(database), interval_s=sync_interval_s
            )
        self._pace = Pace(is_allowed=uses_wal)
        self._writer = Writer(
            connect.open_writer(database, uses_wal=uses_wal),
            self._report,
            retry_s=retry_s,
            after_commit=_nothing if self._syncer is None else self._syncer.wrote,
        )

    # --- writing ----------------------------------------------------------------------------

    def submit(self, ops: Sequence[Op], then: Then | None = None, *, at_once: bool = False) -> None:
        """Write ``ops``, all or none, after all that was submitted before.

        ``then(durable)`` is called on the loop, in the order of submission: True after the commit;
        False if the disk does not take it now and it is kept in memory (R7), or if it is wrong in
        itself, which is logged. Called from within ``submit`` only where ``at_once`` allows it.

        Raises:
            StoreError: the store is closed.
        """
        if self._closing is not None:
            raise StoreError("The store is closed.")
        self._put(ops, then, at_once=at_once)

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is submitted meanwhile is written in one transaction, or not at all."""
        if self._gathered is not None:
            yield
            return
        self._gathered = gathered = list[tuple[Sequence[Op], Then | None]]()
        try:
            yield
        finally:
            self._gathered = None
            ops = [op for some, _ in gathered for op in some]
            answers = [then for _, then in gathered if then is not None]
            if ops or answers:
                self._put(ops, partial(self._tell_all, answers))

    def _put(self, ops: Sequence[Op], then: Then | None, *, at_once: bool = False) -> None:
        if self._gathered is not None:
            self._gathered.append((ops, then))
            return
        self._count(ops)
        batch = Batch(ops, then)
        self._unwritten.append(batch)
        outcome = self._write_here(batch)
        if outcome is None:
            self._in_thread += 1
            self._writer.put(batch)
        elif at_once and self._unwritten[0] is batch:
            self._settle(outcome)
        else:
            self._loop.call_soon(self._settle, outcome)

    def _write_here(self, batch: Batch) -> Outcome | None:
        """Write at once what is small, if the writer's thread has nothing to do."""
        if self._in_thread or not self._pace.allows(batch.ops):
            return None
        if self._syncer is not None and self._syncer.holds_writers:
            return None
        with self._pace.measured():
            return self._writer.write_here(batch)

    async def flush(self) -> bool:
        """Return when all that was submitted before has been written; False if it is kept (R7)."""
        done: asyncio.Future[bool] = self._loop.create_future()

        def tell(durable: bool) -> None:
            if not done.done():  # whoever waits may have been cancelled
                done.set_result(durable)

        self.submit((), tell)
        return await done

    async def set_meta(self, key: str, value: str | None) -> None:
        """Keep ``value`` under ``key``, or forget it; returns when that is written."""
        self.submit([SetMeta(key, value)])
        await self.flush()

    async def prune(self, now: float, history_days: float) -> None:
        """Forget executions that ended more than ``history_days`` before ``now`` (A2).

        In small pieces, so that what else is submitted goes in between.
        """
        before = now - history_days * 86_400
        is_left = True
        while is_left:
            self.submit([PruneHistory(before, _PRUNE_AT_ONCE)])
            is_left = await self.flush() and await self._read(queries.prunable, before)

    def document_bytes(self, document_id: DocumentId) -> int:
        """How many bytes of updates came since the last compaction, as far as submitted.

        Known once the document was loaded; before, what was submitted counts alone.
        """
        return self._updates_bytes.get(document_id, 0)

    def _count(self, ops: Sequence[Op]) -> None:
        for op in ops:
            if isinstance(op, AppendUpdate):
                size = self._updates_bytes.get(op.document_id, 0) + len(op.update)
                self._updates_bytes[op.document_id] = size
            elif isinstance(op, Compact):
                self._updates_bytes[op.document_id] = 0
            elif isinstance(op, DropDocument):
                self._updates_bytes.pop(op.document_id, None)

    # --- what the writer says ---------------------------------------------------------------

    def _report(self, outcome: Outcome) -> None:
        """Runs in the writer's thread."""
        try:
            self._loop.call_soon_threadsafe(self._settle_from_thread, outcome)
        except RuntimeError:
            # The loop was closed without closing the store: nobody is left to be told.
            log.debug("The event loop of the store is closed.")

    def _settle_from_thread(self, outcome: Outcome) -> None:
        self._in_thread -= outcome.written
        self._settle(outcome)

    def _settle(self, outcome: Outcome) -> None:
        for _ in range(outcome.written):
            self._unwritten.popleft()
        for fault in outcome.faults:
            log.error("A batch could not be stored and is left out.", exc_info=fault)
        if outcome.trouble is not None:
            self._in_trouble = True
            log.error("The store cannot write, and keeps changes in memory: %s", outcome.trouble)
            self._tell(self.on_trouble, outcome.trouble)
        if outcome.recovered:
            self._in_trouble = False
            log.warning("The store can write again; all that was kept is written.")
            self._tell(self.on_recovered)
        for then, durable in outcome.answers:
            self._tell(then, durable)

    def _tell(self, callback: Callable[..., None] | None, *args: object) -> None:
        if callback is None:
            return
        try:
            callback(*args)
        except Exception as error:
            # A callback's own failure must not keep the others from being told.
            self._loop.call_exception_handler(
                {"message": "A callback of the store failed.", "exception": error}
            )

    def _tell_all(self, answers: Sequence[Then], durable: bool) -> None:
        for then in answers:
            self._tell(then, durable)

    # --- reading ----------------------------------------------------------------------------

    async def load_document(self, document_id: DocumentId) -> StoredDocument | None:
        """All that is stored of a document, what is kept in memory (R7) included."""
        document, size = await self._read(_load, document_id)
        if self._in_trouble:
            document = overlay.document(document, document_id, self._unwritten)
        self._updates_bytes.setdefault(document_id, size)
        return document

    async def get_execution(self, execution_id: ExecutionId) -> Execution | None:
        """The execution with that id; None if there is none."""
        stored = await self._read(queries.get_execution, execution_id)
        return overlay.execution(stored, execution_id, self._unwritten)

    async def find_executions(
        self,
        *,
        document_id: DocumentId | None = None,
        cell_id: CellId | None = None,
        kernel_id: KernelId | None = None,
        request_id: RequestId | None = None,
        states: Sequence[ExecutionState] | None = None,
        limit: int = 1000,
    ) -> list[Execution]:
        """The newest ``limit`` executions that fit all that is given, oldest first.

        What is kept in memory (R7) is not among them.
        """
        query = functools.partial(
            queries.find_executions,
            document_id=document_id,
            cell_id=cell_id,
            kernel_id=kernel_id,
            request_id=request_id,
            states=states,
            limit=limit,
        )
        return await self._read(query)

    async def unfinished_executions(self) -> list[Execution]:
        """Every execution that had not ended, in the order of submission."""
        return await self._read(queries.unfinished_executions)

    async def get_request_by_key(self, idempotency_key: str) -> StoredRequest | None:
        """The request that was accepted with that key, None if none was (A1)."""
        stored = await self._read(queries.get_request_by_key, idempotency_key)
        return overlay.request(stored, idempotency_key, self._unwritten)

    async def kernels(self) -> list[StoredKernel]:
        """Every kernel that something is stored of."""
        return await self._read(queries.kernels)

    async def memories(self, kernel_id: KernelId) -> dict[ExecutionId, dict[str, Json]]:
        """What is kept for the runs of a kernel."""
        return await self._read(queries.memories, kernel_id)

    async def get_meta(self, key: str) -> str | None:
        """The value that was set under ``key``; None if none was."""
        return await self._read(queries.get_meta, key)

    async def _read(self, query: Callable[..., T], *args: object) -> T:
        """Run ``query`` in the reader's thread, behind what was submitted before."""
        if self._closing is not None:
            raise StoreError("The store is closed.")
        if self._unwritten:
            await self.flush()
        call = functools.partial(query, self._reader, *args)
        return await self._loop.run_in_executor(self._reader_thread, call)

    # --- the end ----------------------------------------------------------------------------

    async def close(self) -> None:
        """Write what was submitted, then close. Complete when it returns; safe to call twice.

        What cannot be written even then (R7) is lost, which is logged.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._writer.stop()
        await self._loop.run_in_executor(self._reader_thread, self._reader.close)
        ended = await self._loop.run_in_executor(None, self._join)
        # The last reports were put on the loop before the thread ended.
        await asyncio.sleep(0)
        if self._unwritten:
            log.error("%d changes could not be stored and are lost.", len(self._unwritten))
        self._reader_thread.shutdown(wait=False)
        if ended:
            self._lock.release()

    def _join(self) -> bool:
        ended = self._writer.join(_CLOSE_TIMEOUT_S)
        if self._syncer is not None:
            self._syncer.stop()
            ended = self._syncer.join(_CLOSE_TIMEOUT_S) and ended
        return ended


def _nothing() -> None:
    """After a commit that was synced already."""


def _load(
    connection: sqlite3.Connection, document_id: DocumentId
) -> tuple[StoredDocument | None, int]:
    return (
        queries.load_document(connection, document_id),
        queries.updates_bytes(connection, document_id),
    )
