"""Keeps Python's garbage collector from holding the event loop (L1).

A Jupyter server has some 217,000 objects that stay as long as it runs. A full collection
looks at all of them: 0.3 s on a busy machine (seen), nothing to speak of without them. A young
one comes each 700 allocations, several times for each cell that runs.
"""

from __future__ import annotations

import gc

_YOUNG = 10_000  # allocations; a cell that runs makes some 2,000


def calm_collector() -> None:
    """Leave out what is there now, and collect less often. For the whole process; repeatable."""
    young, middle, old = gc.get_threshold()
    if young:  # else someone switched it off
        gc.set_threshold(max(young, _YOUNG), middle, old)
    gc.freeze()
