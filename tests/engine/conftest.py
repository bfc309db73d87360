"""Fixtures of the tests of the engine: a world that is taken down after the test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

for shared in ("documents", "kernels"):  # their harnesses are ours too
    sys.path.insert(0, str(Path(__file__).parents[1] / shared))

from engine_harness import World  # noqa: E402 - found by the path above


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.start()
    yield made
    await made.close()
