"""Kernels with work to do outlive jupyter_server's culler."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

from kernels_harness import Bench

from notebook_exec.core.model import KernelId
from notebook_exec.kernels.culling import CullGuard

LONG_AGO = datetime.now(timezone.utc) - timedelta(days=1)


async def test_k12_held_kernels_are_not_culled(bench: Bench) -> None:
    """K12: not even with every option set against them; released ones are."""
    managers = bench.managers
    managers.cull_idle_timeout, managers.cull_busy, managers.cull_connected = 60, True, True
    kernel_id = await bench.start()
    manager = managers.get_kernel(kernel_id)
    guard = CullGuard(managers)
    manager.last_activity = LONG_AGO
    guard.hold(kernel_id)
    guard.hold(kernel_id)
    guard.hold(KernelId("gone"))
    await managers.cull_kernel_if_idle(kernel_id)
    assert kernel_id in managers

    manager.last_activity = LONG_AGO  # as after a long silence
    renewed = asyncio.Event()
    manager.observe(lambda change: renewed.set(), "last_activity")
    await asyncio.wait_for(renewed.wait(), 10)
    await managers.cull_kernel_if_idle(kernel_id)
    assert kernel_id in managers

    guard.release(kernel_id)
    guard.release(kernel_id)
    assert manager.last_activity > LONG_AGO  # its idle time begins with the end of its work
    manager.last_activity = LONG_AGO
    await managers.cull_kernel_if_idle(kernel_id)
    assert kernel_id not in managers
    await guard.close()
    await guard.close()
