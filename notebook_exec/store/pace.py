"""What may be written on the event loop: little, not too often, and on a disk that is quick.

A small commit takes less time than handing it to a thread and hearing from it, and much less when
both threads want the interpreter. But a slow disk or a crowd of notebooks must not hold the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from notebook_exec.store.ops import (
    AppendUpdate,
    Op,
    PutExecution,
    PutMemory,
    PutRequest,
    SetPosition,
)

_MAX_BYTES = 64 * 1024
_MAX_OPS = 64
_BURST = 40
_A_SECOND = 400.0  # beyond that the thread writes many in one transaction
_SLOW_S = 0.01
_REST_S = 5.0


class Pace:
    """Decides for each batch. ``is_allowed``: whether a commit waits for no disk (WAL)."""

    def __init__(self, *, is_allowed: bool, clock: Callable[[], float] = time.perf_counter) -> None:
        self._is_allowed = is_allowed
        self._clock = clock
        self._tokens = float(_BURST)
        self._at = clock()
        self._rests_until = 0.0

    def allows(self, ops: Sequence[Op]) -> bool:
        """Whether ``ops`` may be written on the event loop now."""
        now = self._clock()
        if not self._is_allowed or now < self._rests_until or not _is_small(ops):
            return False
        self._tokens = min(_BURST, self._tokens + (now - self._at) * _A_SECOND)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Around a write: after a slow one the loop is left alone for a while."""
        began = self._clock()
        yield
        ended = self._clock()
        if ended - began > _SLOW_S:
            self._rests_until = ended + _REST_S


def _is_small(ops: Sequence[Op]) -> bool:
    if len(ops) > _MAX_OPS:
        return False
    size = 0
    for op in ops:
        if isinstance(op, AppendUpdate):
            size += len(op.update)
        elif isinstance(op, PutExecution):
            size += len(op.execution.source)
        elif isinstance(op, PutMemory):
            if "outputs" in op.memory:  # of code without a cell: all that it said
                return False
        elif not isinstance(op, PutRequest | SetPosition):
            return False
    return size <= _MAX_BYTES
