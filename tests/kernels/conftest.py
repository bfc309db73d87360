"""Fixtures of the tests of kernels: quick automatic restarts, and every kind of link."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from kernels_harness import BROKEN_SPEC, FACTORIES, Bench, LinkFactory
from traitlets.config import Config


@pytest.fixture
def config() -> Config:
    """Automatic restarts without the usual three seconds of waiting."""
    config = Config()
    config.AsyncIOLoopKernelRestarter.time_to_dead = 0.6
    config.AsyncIOLoopKernelRestarter.restart_limit = 2
    return config


@pytest.fixture
async def bench(tmp_path: Path, config: Config) -> AsyncIterator[Bench]:
    broken = tmp_path / "specs" / "broken"
    broken.mkdir(parents=True)
    (broken / "kernel.json").write_text(BROKEN_SPEC % sys.executable)
    specs = KernelSpecManager(kernel_dirs=[str(tmp_path / "specs")])
    managers = AsyncMappingKernelManager(
        config=config,
        connection_dir=str(tmp_path),
        kernel_spec_manager=specs,
        default_kernel_name="python3",
        root_dir=str(tmp_path),
    )
    env = {**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")}
    env.pop("PYTEST_CURRENT_TEST", None)  # ipykernel would not capture file descriptors
    made = Bench(managers, env)
    yield made
    await made.close()


@pytest.fixture(params=sorted(FACTORIES))
def factory(request: pytest.FixtureRequest) -> LinkFactory:
    return FACTORIES[request.param]
