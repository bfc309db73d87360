"""What the kernel's process writes to its own stdout and stderr, bounded (K5)."""

from __future__ import annotations

import os


class KernelLog:
    """Two files at most: when the newer one is half of the limit, the older one goes.

    An offset counts all bytes since the nanny began, also those that are gone. Each file is
    named for the offset of its first byte, so that they can be read when the nanny is gone.
    """

    def __init__(self, folder: str, *, limit_bytes: int) -> None:
        self._folder = folder
        self._half = max(limit_bytes // 2, 4096)
        self._begin = 0  # offset of the newer file's first byte
        self._older_begin = 0
        self.end = 0
        self._fd = self._open()

    @property
    def start(self) -> int:
        """The offset of the first byte that can still be read."""
        return self._older_begin

    def write(self, data: bytes) -> None:
        """Add to the end. What a full disk does not take is lost."""
        try:
            if self.end - self._begin >= self._half:
                self._rotate()
            view = memoryview(data)
            while view:
                written = os.write(self._fd, view)
                self.end += written
                view = view[written:]
        except OSError:
            return

    def read(self, offset: int, limit_bytes: int) -> tuple[int, bytes]:
        """What stands from ``offset`` on, and where that really begins."""
        offset = min(max(offset, self._older_begin), self.end)
        if offset >= self._begin:
            return offset, os.pread(self._fd, limit_bytes, offset - self._begin)
        limit_bytes = min(limit_bytes, self._begin - offset)
        try:
            with open(self._path(self._older_begin), "rb") as file:
                file.seek(offset - self._older_begin)
                return offset, file.read(limit_bytes)
        except OSError:
            return self._begin, b""

    def tail(self, since: int, limit_bytes: int = 4096, limit_lines: int = 20) -> str:
        """The last lines, none from before ``since``."""
        start = max(since, self.end - limit_bytes)
        _, data = self.read(start, limit_bytes)
        if start < self._begin:
            data += self.read(self._begin, limit_bytes)[1]
        lines = data.decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-limit_lines:]).strip()

    def close(self) -> None:
        """The files stay."""
        os.close(self._fd)

    def _path(self, begin: int) -> str:
        return os.path.join(self._folder, f"kernel-{begin}.log")

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path(self._begin), flags, 0o600)

    def _rotate(self) -> None:
        before, self._begin = self._begin, self.end
        try:
            newer = self._open()
        except OSError:
            self._begin = before
            raise
        os.close(self._fd)
        self._fd = newer
        if self._older_begin < before:
            os.unlink(self._path(self._older_begin))
        self._older_begin = before
