"""Requests that name the one they follow wait until that one came (SPEC A3)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

_KEPT = 4096


class Predecessors:
    """Which requests came, by scope and by the id that the client gave them; the latest only."""

    def __init__(self, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._came: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._waiting: dict[tuple[str, str], asyncio.Future[None]] = {}

    def came(self, scope: str, request_id: str) -> None:
        """Let those go on that wait for it."""
        key = (scope, request_id)
        self._came[key] = None
        if len(self._came) > _KEPT:
            self._came.popitem(last=False)
        waiting = self._waiting.pop(key, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def wait(self, scope: str, request_id: str) -> bool:
        """Return True when it came, False if it did not in time."""
        key = (scope, request_id)
        if key in self._came:
            return True
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait({waiting}, timeout=self._timeout_s)
        if not done and self._waiting.get(key) is waiting:
            del self._waiting[key]
        return bool(done)
