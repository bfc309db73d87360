"""Outputs of runs that are no longer their cell's last one, kept for a while for the API (A2)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from notebook_exec.core.model import ExecutionId, Json, Output


def size_of(value: Json) -> int:
    """About how many bytes a JSON value takes."""
    if isinstance(value, str):
        return len(value) + 50
    if isinstance(value, dict):
        return 64 + sum(size_of(k) + size_of(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return 56 + sum(map(size_of, value))
    return 28


class OutputHistory:
    """At most ``limit_bytes`` in all; the oldest go first."""

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[ExecutionId, tuple[list[Output], int]] = OrderedDict()
        self._bytes = 0

    def keep(self, execution_id: ExecutionId, outputs: Sequence[Output]) -> None:
        """Keep ``outputs``, at the cost of the oldest where there is no room."""
        self.drop(execution_id)
        size = size_of(list(outputs))
        if size > self._limit:
            return
        self._kept[execution_id] = (list(outputs), size)
        self._bytes += size
        while self._bytes > self._limit:
            self.drop(next(iter(self._kept)))

    def get(self, execution_id: ExecutionId) -> list[Output] | None:
        """The outputs, if they are still kept."""
        kept = self._kept.get(execution_id)
        return None if kept is None else kept[0]

    def drop(self, execution_id: ExecutionId) -> None:
        """Keep them no longer."""
        kept = self._kept.pop(execution_id, None)
        if kept is not None:
            self._bytes -= kept[1]
