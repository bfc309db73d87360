"""Kernels with work to do are not idle, whatever the server's culler is told (K12).

jupyter_server culls a kernel when all three hold: its ``last_activity`` is older than
``cull_idle_timeout``; it is not busy, or ``cull_busy`` is set; nobody is connected, or
``cull_connected`` is set. Only the first cannot be configured away, so that is what is kept up:
a cell may be silent for hours, and between two cells the kernel is idle for a moment.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

from notebook_exec.core.model import KernelId
from notebook_exec.kernels.managers import KernelManager, KernelManagers

_INTERVAL_S = 0.5  # the shortest cull_idle_timeout is 1 s


class CullGuard:
    """Marks kernels as active as long as they are held."""

    def __init__(self, managers: KernelManagers) -> None:
        self._managers = managers
        self._held: set[KernelId] = set()
        self._task: asyncio.Task[None] | None = None

    def hold(self, kernel_id: KernelId) -> None:
        """``kernel_id`` runs, waits for input or has a queue. May be repeated."""
        if kernel_id not in self._held:
            self._held.add(kernel_id)
            self._touch(kernel_id)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def release(self, kernel_id: KernelId) -> None:
        """``kernel_id`` has nothing to do; its idle time begins now. May be repeated."""
        if kernel_id in self._held:
            self._touch(kernel_id)
            self._held.discard(kernel_id)

    async def close(self) -> None:
        """Release all. May be repeated."""
        self._held.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            for kernel_id in self._held:
                self._touch(kernel_id)

    def _touch(self, kernel_id: KernelId) -> None:
        if kernel_id in self._managers:
            manager: KernelManager = self._managers.get_kernel(kernel_id)
            manager.last_activity = datetime.now(timezone.utc)
