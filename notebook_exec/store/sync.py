"""The thread that brings committed data onto the disk, beside the writer and not in its way."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

_CHECKPOINT_BYTES = 4 * 2**20
_OUTRUN_BYTES = 12 * 2**20
_sync_data: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


def sync_file(path: Path) -> None:
    """Return when what was written to ``path`` would survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        _sync_data(fd)
    finally:
        os.close(fd)


class Syncer:
    """Syncs the write-ahead log at most ``interval_s`` after a commit, and checkpoints it.

    A commit with ``synchronous=NORMAL`` is in the page cache: it survives the process, not the
    machine. The sync makes it survive that too (R6). Reading the log's file is safe: SQLite keeps
    its locks on other files, so that closing this one drops none of them.
    Checkpoints are made here so that their fsyncs hold no commit up. The log begins anew only after
    one that has all of it, which never comes while commits come faster than they are copied: then
    commits have to wait for one.
    """

    def __init__(
        self,
        database: Path,
        connection: sqlite3.Connection,
        *,
        interval_s: float,
        sync: Callable[[Path], None] = sync_file,
    ) -> None:
        self._log_file = database.with_name(database.name + "-wal")
        self._connection = connection
        self._interval_s = interval_s
        self._sync = sync
        self.holds_writers = False
        """Whether a commit would wait for a checkpoint now."""
        self._written = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-sync", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wrote(self) -> None:
        """There was a commit. From any thread."""
        if not self._written.is_set():
            self._written.set()

    def stop(self) -> None:
        """Sync once more, then end; does not wait."""
        self._stopping.set()
        self._written.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end. False if it did not come in time: the disk hangs."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._written.wait()
            self._stopping.wait(self._interval_s)
            self._written.clear()
            try:
                self._bring_to_disk()
            except (OSError, sqlite3.Error) as error:
                # The writer meets the same disk and is the one to tell (R7).
                log.warning("The store could not be synced to disk: %s", error)
        self._connection.close()

    def _bring_to_disk(self) -> None:
        self._sync(self._log_file)
        size = self._log_file.stat().st_size
        if size >= _OUTRUN_BYTES:
            self.holds_writers = True
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self.holds_writers = False
        elif size >= _CHECKPOINT_BYTES:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
