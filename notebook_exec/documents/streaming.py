"""A notebook written in small pieces, so that no other thread waits for Python's lock.

``nbformat.write`` makes one string of a notebook; joining and encoding 50 MB holds the lock, and
with it the event loop, for 400 ms. The bytes are the same here, and their hash comes along.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nbformat
from nbformat.v4.nbjson import BytesEncoder
from nbformat.v4.rwbase import split_lines, strip_transient

_PIECE_CHARS = 2**16


@dataclass(slots=True)
class NotebookWriter:
    """Takes the place of ``_save_notebook`` in a copy of a manager of local files.

    After a save, ``digest`` and ``size`` are those of the bytes written; None before.
    """

    manager: Any
    digest: str | None = None
    size: int = 0

    def write(self, os_path: str, nb: Any, capture_validation_error: Any = None) -> None:
        """What the manager's own method does. ``nb`` is the manager's, made for this one save."""
        try:
            nbformat.validate(nb)
        except nbformat.ValidationError as error:
            if isinstance(capture_validation_error, dict):
                capture_validation_error["ValidationError"] = error
        hasher = hashlib.new(self.manager.hash_algorithm)
        size = 0
        with self.manager.atomic_writing(os_path, text=False) as file:
            for piece in _pieces(nb):
                encoded = piece.encode("utf-8")
                hasher.update(encoded)
                size += len(encoded)
                file.write(encoded)
        self.digest, self.size = hasher.hexdigest(), size

    async def write_async(
        self, os_path: str, nb: Any, capture_validation_error: Any = None
    ) -> None:
        """The same for a manager whose methods are awaited."""
        self.write(os_path, nb, capture_validation_error)


def _pieces(nb: Any) -> Iterator[str]:
    """As ``nbformat.v4.writes_json`` has it."""
    nb = split_lines(strip_transient(nb))  # type: ignore[no-untyped-call]
    encoder = BytesEncoder(ensure_ascii=False, indent=1, sort_keys=True, separators=(",", ": "))
    waiting: list[str] = []
    chars = 0
    for chunk in encoder.iterencode(nb):
        waiting.append(chunk)
        chars += len(chunk)
        if chars >= _PIECE_CHARS:
            yield "".join(waiting)
            waiting.clear()
            chars = 0
    waiting.append("\n")
    yield "".join(waiting)
