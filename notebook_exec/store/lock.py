"""The lock that keeps two servers from opening one store."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from notebook_exec.store.errors import StoreInUse


class StoreLock:
    """An ``flock`` on a file beside the database.

    The kernel drops it with its process, however that ends: a stale file locks nobody out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StoreInUse: someone else has it, in this process or in another.
            OSError: the file system cannot lock, or the file cannot be made.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
            os.close(fd)
            by = f" by process {holder}" if holder else ""
            raise StoreInUse(
                f"{self._path.parent} is in use{by}: only one server can have a state folder open. "
                "Stop the other one, or set another state_dir."
            ) from error
        except OSError:
            os.close(fd)
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock back; safe to call twice. The file stays: removing it would be a race."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
