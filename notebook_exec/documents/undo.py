"""The undo manager that every document of ``jupyter_ydoc`` makes for itself, and its end.

Up to pycrdt 0.14.8 (the last for Python 3.10) an undo manager may be freed only in the thread that
made it. A document that was in use is part of a cycle, and the garbage collector breaks cycles in
whatever thread it happens to run, a worker's too: then pycrdt complains, and the memory is lost.
So whoever is done with a document lets its undo manager go first.
"""

from __future__ import annotations

from jupyter_ydoc.ybasedoc import YBaseDoc


def release_undo_manager(ydocument: YBaseDoc) -> None:
    """Frees the document's undo manager, in this thread: the one that made the document.

    The document can still be read and changed, but has no ``undo_manager``. Safe to call twice.
    """
    vars(ydocument).pop("_undo_manager", None)
