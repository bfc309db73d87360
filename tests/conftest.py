"""What all tests need: no document is left to a worker thread, which may not free it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pycrdt
import pytest
from jupyter_ydoc.ybasedoc import YBaseDoc

from notebook_exec.documents.undo import release_undo_manager

_MAIN = threading.main_thread().ident
_is_thread_bound = tuple(map(int, pycrdt.__version__.split(".")[:3])) < (0, 14, 9)


@pytest.fixture(autouse=_is_thread_bound)
def released_documents(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Releases the undo managers of the documents that stand for clients; see ``undo.py``.

    They are kept until the test ends, so that no thread frees one of them before.
    """
    made: list[YBaseDoc] = []
    construct = YBaseDoc.__init__

    def construct_and_keep(self: YBaseDoc, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        if threading.get_ident() == _MAIN:
            made.append(self)

    monkeypatch.setattr(YBaseDoc, "__init__", construct_and_keep)
    yield
    for ydocument in made:
        release_undo_manager(ydocument)
