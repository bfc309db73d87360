"""Deaths that someone else sees first, and what is known of them."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from typing import Any

import pytest
from kernels_harness import Bench, Recorder

from notebook_exec.core.model import DeathReport
from notebook_exec.kernels.nanny_client import NannyRefused
from notebook_exec.kernels.nanny_process import NannyFailed
from notebook_exec.kernels.watch import KernelWatch, death_report


class Watcher(Recorder):
    """A recorder that a watch can tell, and that has all that the process said unless it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = False
        self.drained = asyncio.Event()
        self.drained.set()

    async def before_action(self) -> None:
        return None

    def on_process(self) -> None:
        self._note("process")

    def before_next(self) -> bool:
        self._note("before_next")
        return self.waits

    async def drain(self) -> None:
        self._note("drain")
        await self.drained.wait()

    def on_interrupted(self, by: object = None) -> None:
        self._note("interrupted", by)


async def watched(bench: Bench, poll_interval_s: float) -> tuple[Watcher, KernelWatch, Any]:
    """A kernel that is up, as a watch tells of it; with its manager."""
    kernel_id = await bench.start()
    watcher = Watcher()
    watch = KernelWatch(kernel_id, bench.actions, watcher, poll_interval_s=poll_interval_s)
    watch.start()
    await watcher.count("process")
    return watcher, watch, bench.managers.get_kernel(kernel_id)


@pytest.mark.parametrize(
    ("code", "report"),
    [
        (0, DeathReport(exit_code=0)),
        (137, DeathReport(exit_code=137)),
        (-9, DeathReport(signal="SIGKILL")),
        (-11, DeathReport(signal="SIGSEGV")),
        (-60, DeathReport(signal="signal 60")),
    ],
)
def test_k1_what_an_exit_code_says(code: int, report: DeathReport) -> None:
    """K1: signal or exit code, and no guess at out-of-memory."""
    assert death_report(code) == report


@pytest.mark.parametrize("waits", [True, False])
async def test_k1_the_restarter_sees_it_first(bench: Bench, waits: bool) -> None:
    """K1: how it ended is known, and told after its last words, if jupyter_client is before us."""
    watcher, watch, manager = await watched(bench, poll_interval_s=0.25)
    watcher.waits = waits
    watcher.drained.clear()
    # As the restarter does: it fires the callbacks, then forgets the process without a pause.
    process = manager.provisioner.process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    manager._restarter._fire_callbacks("restart")
    assert watcher.told.count("died") == (0 if waits else 1)
    await manager.restart_kernel(now=True)
    await watcher.count("drain", 2)
    assert watcher.told.count("died") == (0 if waits else 1)
    watcher.drained.set()
    await watcher.count("process", 2)
    assert ("died", DeathReport(signal="SIGKILL"), True) in watcher.events
    told = [event for event in watcher.told if event in ("process", "died")]
    assert told == ["process", "died", "process"]
    await watch.close()
    await watch.close()


async def test_k1_the_restarter_sees_it_while_the_last_words_are_taken(bench: Bench) -> None:
    """K1: then it is told at once only if nothing more can come; and that it gave up is told."""
    watcher, watch, manager = await watched(bench, poll_interval_s=0.001)
    manager._restarter.stop()
    watcher.drained.clear()
    manager.provisioner.process.kill()
    await watcher.count("drain", 2)
    assert "died" not in watcher.told
    manager._restarter._fire_callbacks("restart")
    assert watcher.events[-1] == ("died", DeathReport(signal="SIGKILL"), True)
    manager._restarter._fire_callbacks("dead")
    watcher.drained.set()
    await watcher.count("died", 2)
    assert watcher.events[-1] == ("died", DeathReport(signal="SIGKILL"), False)
    await watch.close()


async def test_k1_the_restarter_gives_up_before_the_watch_has_looked(bench: Bench) -> None:
    """K1: how this process ended is told, once, and that nobody starts another."""
    watcher, watch, manager = await watched(bench, poll_interval_s=60)
    manager._restarter.stop()
    process = manager.provisioner.process
    process.kill()
    process.wait()
    manager._restarter._fire_callbacks("dead")
    await watcher.count("shut_down")  # jupyter_server forgets it
    assert watcher.told == ["drain", "process", "drain", "died", "shut_down"]
    assert ("died", DeathReport(signal="SIGKILL"), False) in watcher.events
    await watch.close()


async def test_k1_a_kernel_that_is_taken_down_is_not_dead(bench: Bench) -> None:
    """K1: while a shutdown or restart is under way, a process that is gone is no death."""
    watcher, watch, manager = await watched(bench, poll_interval_s=0.001)
    for times in (2, 3):
        await manager.restart_kernel()  # unannounced
        await watcher.count("process", times)
    await bench.managers.shutdown_all(now=True)  # unannounced too
    await watcher.count("shut_down")
    assert "died" not in watcher.told
    await watch.close()


@pytest.mark.parametrize(
    ("failure", "is_tried_again"),
    [
        (OSError(errno.ENOSPC, "no room"), True),
        (NannyFailed("no room", errno.EMFILE), True),
        (NannyRefused("no room", errno=errno.EAGAIN), True),
        (NannyRefused("no such program", errno=errno.ENOENT), False),
        (RuntimeError("who knows"), False),
    ],
)
async def test_k1_a_restart_that_fails_for_want_of_room(
    bench: Bench, failure: Exception, is_tried_again: bool
) -> None:
    """K1: it is tried again by us, as jupyter_client's restarter does not; told once."""
    kernel_id = await bench.start()
    watcher = Watcher()
    watch = KernelWatch(kernel_id, bench.actions, watcher, poll_interval_s=0.01, pause_s=0.01)
    watch.start()
    await watcher.count("process")
    manager = bench.managers.get_kernel(kernel_id)
    tries = 0
    fails = 2 if is_tried_again else 1
    launch = manager.provisioner.launch_kernel

    async def fail_first(*args: Any, **kwargs: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= fails:
            raise failure
        return await launch(*args, **kwargs)

    manager.provisioner.launch_kernel = fail_first
    manager._restarter._fire_callbacks("restart")
    with pytest.raises(type(failure)):
        await manager.restart_kernel(now=True)
    await watcher.count("died", 2)
    if not is_tried_again:
        await asyncio.wait_for(manager.restart_kernel(now=True), 30)  # by somebody else
    await watcher.count("process", 2)
    assert tries == fails + 1
    assert watcher.told.count("died") == 2
    await watch.close()
