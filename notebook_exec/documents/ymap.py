"""Reading shared maps for a half of what their ``get`` takes, and writing what differs.

``get`` asks twice whether there is such a key, each time in a transaction of its own; a cell that
runs is looked at some twenty times.
"""

from __future__ import annotations

from typing import Any

from pycrdt import Map

_NOTHING = object()


def peek(ymap: Map[Any], key: str, default: Any = None) -> Any:
    """The value of ``key``, ``default`` if there is none."""
    try:
        return ymap[key]
    except KeyError:
        return default


def put(ymap: Map[Any], key: str, value: Any) -> None:
    """Set what differs: what is set anew is told to everyone and kept for ever."""
    if peek(ymap, key, _NOTHING) != value:
        ymap[key] = value
