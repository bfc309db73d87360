"""Servers, kernels and nannies killed at any moment, again and again; nothing is lost or doubled.

``NOTEBOOK_EXEC_TORTURE_SEED`` and ``NOTEBOOK_EXEC_TORTURE_KILLS`` say what is tried; ``make
torture`` is the long run.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from forking import ForkingServer
from world import World

SEED = int(os.environ.get("NOTEBOOK_EXEC_TORTURE_SEED", "1"))
KILLS = int(os.environ.get("NOTEBOOK_EXEC_TORTURE_KILLS", "8"))
WORLDS = 2
NOTEBOOKS = 2

Make = Callable[..., ForkingServer]


@pytest.mark.timeout(120 + 20 * KILLS)
async def test_r2_everything_is_killed_again_and_again(make: Make) -> None:
    """R2, R3, R4, R5, R7, P5, D7, K1, K2, K6: whatever their cells do at that moment."""
    await torture(make, SEED, KILLS)


async def torture(make: Make, seed: int, kills: int) -> None:
    """Several servers at once, so that one works while another starts."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))
    worlds = [World(make(), 1000 * seed + index, notebooks=NOTEBOOKS) for index in range(WORLDS)]
    lives = [asyncio.create_task(world.live(-(-kills // WORLDS))) for world in worlds]
    try:
        await asyncio.gather(*lives)
    finally:
        for life in lives:
            life.cancel()
        await asyncio.wait(lives)
    tally = sum((world.tally for world in worlds), Counter[str]())
    print(f"seed {seed}:", ", ".join(f"{what} {count}" for what, count in sorted(tally.items())))
