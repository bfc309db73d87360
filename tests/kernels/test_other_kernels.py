"""Kernels that are not Python, and ways of interrupting them, under a nanny (K9)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from kernels_harness import Bench, Recorder, run
from nanny_harness import STUB_ARGV, add_spec, nanny_bench

from notebook_exec.core.model import KernelId
from notebook_exec.kernels.link import Link
from notebook_exec.kernels.nanny_link import NannyLink
from notebook_exec.kernels.provisioner import NannyProvisioner

Open = Callable[[str], Awaitable[tuple[KernelId, Link, Recorder]]]
BASH = [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    for name, argv, mode in (("bash", BASH, "signal"), ("told", STUB_ARGV, "message")):
        add_spec(tmp_path, name, argv, language=name, interrupt_mode=mode)
    async with nanny_bench(tmp_path) as made:
        yield made


@pytest.fixture
def start(bench: Bench) -> Open:
    async def start_one(name: str) -> tuple[KernelId, Link, Recorder]:
        kernel_id = await bench.start(name)
        assert isinstance(bench.managers.get_kernel(kernel_id).provisioner, NannyProvisioner)
        link, recorder = await bench.ready(kernel_id, NannyLink)
        return kernel_id, link, recorder

    return start_one


async def interrupt_until_done(link: Link, recorder: Recorder, execution_id: str) -> None:
    """As people do: a bash that is just about to start a program does not hear of it (seen)."""
    for _ in range(5):
        await link.interrupt()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(recorder.done(execution_id), 5)
            return
    await recorder.done(execution_id)


async def test_k9_bash(bench: Bench, start: Open) -> None:
    """K9: bash runs under a nanny: output, errors, an interrupt by signal, a restart in place."""
    kernel_id, link, recorder = await start("bash")
    run(link, "e1", "x=6; echo $((x * 7)); echo to stderr >&2")
    assert (await recorder.done("e1")).content["status"] == "ok"
    assert "42\n" in recorder.text("e1")
    assert "to stderr" in recorder.text("e1")
    run(link, "e2", "sh -c 'echo begins; exec sleep 600'")
    await recorder.until(lambda: "begins" in recorder.text("e2"))
    await interrupt_until_done(link, recorder, "e2")
    run(link, "e3", "echo $x")
    await recorder.done("e3")
    assert recorder.text("e3").strip() == "6"
    await bench.managers.restart_kernel(kernel_id)
    await recorder.count("ready", 2)
    run(link, "e4", "echo [$x]")
    await recorder.done("e4")
    assert recorder.text("e4").strip() == "[]"


@pytest.mark.parametrize(("name", "is_signal"), [("stub", True), ("told", False)])
async def test_k9_interrupt_modes(start: Open, name: str, is_signal: bool) -> None:
    """K9, Q8: by SIGINT, or by the message, as the kernelspec says, and never by both."""
    _, link, recorder = await start(name)
    run(link, "e1", "listen")
    await recorder.until(lambda: recorder.text("e1"))
    await link.interrupt()
    reply = await recorder.done("e1")
    assert reply.content.get("ename") == ("KeyboardInterrupt" if is_signal else None)
    heard = "".join(m.content["text"] for m in recorder.of("e1", "stream")[1:])
    assert heard == ("" if is_signal else "interrupt_request")
    run(link, "e2", "print 0 1 0")
    await asyncio.wait_for(recorder.done("e2"), 30)
