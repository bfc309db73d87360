"""The thread that writes: everything that waits goes in one transaction."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from notebook_exec.store.ops import AppendUpdate, Compact, Op

Then = Callable[[bool], None]


@dataclass(slots=True, eq=False)
class Batch:
    """Ops that are written together or not at all, and who wants to know."""

    ops: Sequence[Op]
    then: Then | None


@dataclass(slots=True)
class Outcome:
    """What came of some batches.

    ``answers``: who is to be told what, in the order of submission.
    ``written``: how many batches, from the first not yet written on, are done with.
    ``faults``: what was wrong with batches that can never be written.
    ``trouble``: why nothing can be written at the moment. ``recovered``: it can again.
    """

    answers: list[tuple[Then, bool]] = field(default_factory=list)
    written: int = 0
    faults: list[Exception] = field(default_factory=list)
    trouble: str | None = None
    recovered: bool = False


class Writer:
    """Owns the connection that writes.

    Batches are written in the order of ``put``, all that wait in one transaction. One that is
    wrong in itself (a constraint, a value that does not fit) does not harm the others. When the
    disk does not take anything (R7), batches are kept in memory in their order, are answered
    with False, and are tried again every ``retry_s`` seconds, together.

    ``report`` is called in the writer's thread, once for each transaction; ``after_commit`` too.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        report: Callable[[Outcome], None],
        *,
        retry_s: float,
        after_commit: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._report = report
        self._retry_s = retry_s
        self._after_commit = after_commit
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._kept: list[Batch] = []  # answered with False, still to be written
        self._retry_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Write ``batch`` after those put before."""
        self._queue.put(batch)

    def write_here(self, batch: Batch) -> Outcome | None:
        """Write ``batch`` in the caller's thread; only while nothing that was ``put`` is open.

        None: it was not written, and has to be ``put``; the thread tells of the trouble.
        """
        try:
            faults = self._commit([batch])
        except sqlite3.DatabaseError:
            return None
        self._after_commit()
        answers = [] if batch.then is None else [(batch.then, batch not in faults)]
        return Outcome(answers, 1, list(faults.values()))

    def stop(self) -> None:
        """Write what was put (kept batches are tried once more), then end; does not wait."""
        self._queue.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end. False if it did not come in time: the disk hangs."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            group = self._take()
            if self._kept and not self._stopping and time.monotonic() < self._retry_at:
                self._keep(group)
            else:
                self._write(group)
        self._connection.close()

    def _take(self) -> list[Batch]:
        """All that waits; at least one batch, unless it is time to try again or to stop."""
        group: list[Batch] = []
        timeout_s = max(0.0, self._retry_at - time.monotonic()) if self._kept else None
        with contextlib.suppress(queue.Empty):
            batch = self._queue.get(timeout=timeout_s)
            while batch is not None:
                group.append(batch)
                batch = self._queue.get_nowait()
            self._stopping = True
        return group

    def _write(self, group: list[Batch]) -> None:
        batches = self._kept + group
        had_trouble = bool(self._kept)
        try:
            faults = self._commit(batches)
        except sqlite3.DatabaseError as error:
            self._retry_at = time.monotonic() + self._retry_s
            self._keep(group, trouble=None if had_trouble else str(error))
            return
        self._kept = []
        answers = [(b.then, b not in faults) for b in group if b.then is not None]
        self._report(Outcome(answers, len(batches), list(faults.values()), recovered=had_trouble))
        self._after_commit()

    def _keep(self, group: list[Batch], trouble: str | None = None) -> None:
        for batch in group:
            _drop_superseded(self._kept, batch)
            self._kept.append(batch)
        answers = [(batch.then, False) for batch in group if batch.then is not None]
        if answers or trouble is not None:
            self._report(Outcome(answers, trouble=trouble))

    def _commit(self, batches: Sequence[Batch]) -> dict[Batch, Exception]:
        """Write ``batches`` in one transaction; which were left out, and why.

        Raises:
            sqlite3.DatabaseError: nothing was written, through no fault of the batches.
        """
        if not any(batch.ops for batch in batches):
            return {}
        try:
            return self._transaction(batches, apart=False)
        except Exception as error:
            # Whatever an op raises is its batch's own; only the disk concerns all of them.
            if _is_trouble(error):
                raise
        return self._transaction(batches, apart=True)

    def _transaction(self, batches: Sequence[Batch], *, apart: bool) -> dict[Batch, Exception]:
        faults: dict[Batch, Exception] = {}
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            for batch in batches:
                if apart:
                    self._apply_apart(batch, faults)
                else:
                    for op in batch.ops:
                        op.apply(self._connection)
            execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction already.
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        return faults

    def _apply_apart(self, batch: Batch, faults: dict[Batch, Exception]) -> None:
        """Apply ``batch`` so that it can be taken back alone."""
        self._connection.execute("SAVEPOINT batch")
        try:
            for op in batch.ops:
                op.apply(self._connection)
        except Exception as error:
            if _is_trouble(error):
                raise
            self._connection.execute("ROLLBACK TO batch")
            faults[batch] = error
        self._connection.execute("RELEASE batch")


def _is_trouble(error: Exception) -> bool:
    """Whether the database failed (disk full, I/O error, lock), rather than what was to be written.

    sqlite3 tells the two apart by class; the codes themselves are there from Python 3.11 on only.
    """
    its_own = (
        sqlite3.IntegrityError,
        sqlite3.DataError,
        sqlite3.ProgrammingError,
        sqlite3.NotSupportedError,
    )
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, its_own)


def _drop_superseded(kept: Sequence[Batch], batch: Batch) -> None:
    """Take out of ``kept`` the updates that a Compact in ``batch`` says all over again.

    Memory is bounded so while the disk is full. All of ``kept`` is written in one transaction:
    no moment comes at which the updates are missing and the state is not there.
    """
    compacted = {op.document_id for op in batch.ops if isinstance(op, Compact)}
    if not compacted:
        return
    for earlier in kept:
        earlier.ops = [
            op
            for op in earlier.ops
            if not (isinstance(op, AppendUpdate | Compact) and op.document_id in compacted)
        ]
