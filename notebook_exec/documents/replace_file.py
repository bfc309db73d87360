"""Files are replaced, not written over: whoever reads one finds the old or the new, whole (D4).

jupyter_server's ``atomic_writing`` truncates the file and keeps a copy beside it, which it puts
back after an error. A reader may meet half a file, and a server that is killed leaves one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


class Replacing:
    """Takes the place of ``atomic_writing`` in a copy of a manager of local files."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._in_place = manager.atomic_writing

    @contextlib.contextmanager
    def __call__(
        self, os_path: str, text: bool = True, encoding: str = "utf-8", **kwargs: Any
    ) -> Iterator[IO[Any]]:
        """Like ``jupyter_server.services.contents.fileio.atomic_writing``."""
        target = Path(os_path).resolve()  # a link stays, what it points to is replaced
        if not self._manager.use_atomic_writing or not _replaceable(target):
            with self._in_place(os_path, text=text, encoding=encoding, **kwargs) as file:
                yield file
            return
        aside = target.with_name(f".~{target.name}.{os.getpid()}.new")
        with self._manager.perm_to_403(os_path):
            try:
                with _open(aside, text, encoding, kwargs) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                if target.exists():
                    shutil.copymode(target, aside)
                aside.replace(target)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise


def _open(path: Path, text: bool, encoding: str, kwargs: dict[str, Any]) -> IO[Any]:
    options = {key: value for key, value in kwargs.items() if key != "log"}
    if text:
        options = {"encoding": encoding, "newline": "\n", **options}
    file: IO[Any] = path.open("w" if text else "wb", **options)
    return file


def _replaceable(target: Path) -> bool:
    """Whether nothing but the content would change: not its owner, nor its other names.

    A file that may not be written is not replaced either, though its folder would allow it.
    """
    if not os.access(target.parent, os.W_OK):
        return False
    try:
        stat = target.stat()
    except FileNotFoundError:
        return True
    owner = getattr(os, "geteuid", lambda: stat.st_uid)()
    return stat.st_nlink == 1 and stat.st_uid == owner and os.access(target, os.W_OK)
