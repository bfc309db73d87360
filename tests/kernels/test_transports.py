"""Kernels that do not listen on plain TCP ports."""

from __future__ import annotations

import tempfile

import pytest
import zmq
from jupyter_client.manager import KernelManager
from kernels_harness import Bench, LinkFactory, run
from traitlets.config import Config


@pytest.fixture(params=["ipc", "curve"])
def config(request: pytest.FixtureRequest, config: Config) -> Config:
    if request.param == "ipc":
        config.ConnectionFileMixin.transport = "ipc"
    elif not (zmq.has("curve") and hasattr(KernelManager, "transport_encryption")):
        pytest.skip("needs libzmq with CURVE and jupyter_client 8.10")
    else:
        config.KernelManager.transport_encryption = "required"
    return config


async def test_k9_other_transports(
    bench: Bench, factory: LinkFactory, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K9: unix sockets and encrypted ports are spoken to as well."""
    with tempfile.TemporaryDirectory() as short_path:
        bench.managers.connection_dir = short_path  # a unix socket's path is at most 107 long
        kernel_id = await bench.start()
        link, recorder = await bench.ready(kernel_id, factory)
        run(link, "e1", "print('x')")
        await recorder.done("e1")
        assert recorder.text("e1") == "x\n"
        await bench.close()
