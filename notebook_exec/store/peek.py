"""A look into a store that is not open yet, for what cannot wait for the event loop."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from notebook_exec.store import connect, queries
from notebook_exec.store.errors import StoreError
from notebook_exec.store.lock import StoreLock
from notebook_exec.store.records import StoredKernel
from notebook_exec.store.schema import MIGRATIONS, check_version
from notebook_exec.store.store import DATABASE

log = logging.getLogger(__name__)


def stored_kernels(path: Path) -> list[StoredKernel] | None:
    """The kernels in the store in the folder ``path``, made if it is not there. Blocks.

    None if another server has the store open, or it cannot be used.
    """
    lock = StoreLock(path / "lock")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, StoreError) as error:
        log.warning("no kernel can be adopted: %s", error)
        return None
    try:
        return _read(path / DATABASE)
    except (OSError, sqlite3.Error, StoreError) as error:
        log.warning("no kernel can be adopted: %s", error)
        return None  # opening it will tell what is wrong
    finally:
        lock.release()


def _read(database: Path) -> list[StoredKernel]:
    if not database.exists():
        return []
    connection = connect.open_reader(database)
    try:
        if check_version(connection) < len(MIGRATIONS):
            return []  # a version that kept no kernels
        return queries.kernels(connection)
    finally:
        connection.close()
