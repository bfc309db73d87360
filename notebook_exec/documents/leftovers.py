"""What a page still has of a server that died before it could store it (SPEC R2, R7).

With a full disk a server goes on in memory, and tells pages what is not stored. If it is killed
then, the next server takes the same output from the nanny's journal once more, and a page that
stayed open hands in what it was shown: the same again, under the dead server's name. Servers are
known by the range of their Y client ids, so that this is noticed, and the outputs are put back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

from pycrdt import Array, Map

from notebook_exec.core.model import CellId, CellPatch, ClearOutputs, InsertOutputs, Output

from .frames import apply_edits, plain_outputs

_FIRST = 2**32
_COUNT = 2**32


def server_id() -> int:
    """A Y client id for a server's document. Yjs takes ids below, pycrdt such from all over.

    Five bytes in every update, as those of Yjs; those of pycrdt's own have eight.
    """
    return _FIRST + secrets.randbelow(_COUNT)


def are_of_server(authors: Iterable[int]) -> bool:
    """Whether some of these Y clients are servers."""
    return any(_FIRST <= author < _FIRST + _COUNT for author in authors)


Outputs = dict[CellId, list[Output]]


def outputs_of(ycells: Array[Map[object]], id_of: Callable[[object], CellId]) -> Outputs:
    """The outputs of all code cells."""
    found: Outputs = {}
    for ycell in ycells:
        youtputs = ycell.get("outputs") if isinstance(ycell, Map) else None
        if isinstance(youtputs, Array):
            found[id_of(ycell)] = plain_outputs(list(youtputs))
    return found


def put_back(youtputs: Array[object], outputs: list[Output]) -> None:
    """Make the outputs what they were. In a transaction."""
    patch = CellPatch(edits=[ClearOutputs(), InsertOutputs(0, tuple(outputs))])
    apply_edits(youtputs, patch, is_touched=False)
