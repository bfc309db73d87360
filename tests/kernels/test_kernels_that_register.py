"""Kernels whose kernelspec says that they register ports of their own (JEP 66)."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelManager
from kernels_harness import Bench, run
from nanny_harness import STUB_ARGV, Client, add_spec, nanny_bench, nanny_config, until

from notebook_exec.core.model import KernelId
from notebook_exec.core.wire import Kind
from notebook_exec.kernels.nanny_link import NannyLink
from notebook_exec.kernels.provisioner import NannyProvisioner

XPYTHON = [sys.executable, "-m", "xpython_launcher", "-f", "{connection_file}"]
needs_xpython = pytest.mark.skipif(
    importlib.util.find_spec("xpython") is None,
    reason="xeus-python is not installed: it has wheels for Linux on x86-64 and Windows only",
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    for name, argv in (("xpython", XPYTHON), ("promises", STUB_ARGV)):
        add_spec(tmp_path, name, argv, language="python", kernel_protocol_version="5.6")
    async with nanny_bench(tmp_path) as made:
        yield made


def manager_of(bench: Bench, kernel_id: KernelId) -> AsyncKernelManager:
    km = bench.managers.get_kernel(kernel_id)
    assert isinstance(km, AsyncKernelManager)
    return km


def told(km: AsyncKernelManager) -> dict[str, Any]:
    """What the kernel's own connection file says."""
    assert isinstance(km.provisioner, NannyProvisioner)
    assert km.provisioner.spool is not None
    path = km.provisioner.spool / Path(km.connection_file).name
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@needs_xpython
async def test_k8_a_kernel_registers_its_ports(bench: Bench) -> None:
    """K8, K2: those it chose are used, in the next process too; clients' ports stay."""
    kernel_id = await bench.start("xpython")
    link, recorder = await bench.ready(kernel_id, NannyLink)
    km = manager_of(bench, kernel_id)
    before, chosen = km.get_connection_info(), told(km)
    assert "registration_port" not in chosen  # it has registered
    run(link, "e1", "x = 42; print(x)")
    assert (await recorder.done("e1")).content["status"] == "ok"
    assert recorder.text("e1") == "42\n"
    async with Client(km) as client:
        assert (await client.run("print(x + 1)"))[1] == "43\n"
        await bench.managers.restart_kernel(kernel_id)
        await recorder.count("ready", 2)
        assert (await client.run("print('x' in globals())"))[1] == "False\n"
    assert km.get_connection_info() == before
    again = told(km)
    assert "registration_port" not in again
    assert again["shell_port"] not in (chosen["shell_port"], before["shell_port"])


@needs_xpython
async def test_r2_a_kernel_that_registered_is_adopted(bench: Bench, tmp_path: Path) -> None:
    """R2: who takes it over needs to know nothing of how its ports came about."""
    specs = bench.managers.kernel_spec_manager  # but no manager that restarts it meanwhile
    km = AsyncKernelManager(
        kernel_name="xpython", kernel_spec_manager=specs, config=nanny_config(tmp_path)
    )
    await km.start_kernel(env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")})
    nanny = km.provisioner
    assert isinstance(nanny, NannyProvisioner)
    async with Client(km) as client:
        await client.run("x = 1")
    later = NannyProvisioner(parent=km)
    await later.load_provisioner_info(await nanny.get_provisioner_info())
    assert (await later.command(Kind.STATUS)).fields["pid"] == nanny.pid
    async with Client(km) as client:
        assert (await client.run("print(x + 1)"))[1] == "2\n"
    await later.command(Kind.RESTART)
    async with Client(km) as client:
        assert (await client.run("print(7 * 7)"))[1] == "49\n"
    await later.command(Kind.EXIT)
    later.detach()
    await until(lambda: not nanny.is_nanny_alive)
    await km.shutdown_kernel(now=True)


async def test_k9_a_kernel_that_does_not_do_what_it_declares(bench: Bench) -> None:
    """K9: the ports that it was offered beside are where it is found."""
    kernel_id = await bench.start("promises")
    link, recorder = await bench.ready(kernel_id, NannyLink)
    assert "registration_port" in told(manager_of(bench, kernel_id))
    run(link, "e1", "print 0 2 0")
    await recorder.done("e1")
    assert recorder.text("e1") == "0\n1\n"


async def test_k9_kernels_that_declare_nothing_are_told_nothing(bench: Bench) -> None:
    """K9: their connection file is what it always was."""
    kernel_id = await bench.start("stub")
    assert set(told(manager_of(bench, kernel_id))) == {
        *(f"{name}_port" for name in ("shell", "iopub", "stdin", "control", "hb")),
        *("transport", "ip", "key", "signature_scheme", "kernel_name"),
    }
