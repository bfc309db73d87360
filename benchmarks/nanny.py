"""What a nanny costs, beside what was wanted: round trip, memory, processor time, and so on.

python -m benchmarks.nanny [--round-trips 300] [--lines 20000] [--messages 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

# Run by its path or as a module; its neighbours are imported by name.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from nanny_server import KERNELS, adoption_s, death_s
from traitlets.config import Config

from notebook_exec.core.model import DeathReport, ExecutionId, KernelId, KernelMessage
from notebook_exec.core.wire import Kind
from notebook_exec.kernels.actions import KernelActions
from notebook_exec.kernels.link import Link
from notebook_exec.kernels.nanny_link import NannyLink
from notebook_exec.kernels.provisioner import NannyProvisioner
from notebook_exec.kernels.zmq_link import ZmqLink

NAME = "notebook_exec_nanny"


class Listener:
    """Notes when an execution is through."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.done = asyncio.Event()
        self.waits_for = ""
        self.replied = self.idle = False
        self.streams = 0
        self.position = 0

    def on_ready(self) -> None:
        self.ready.set()

    def on_messages(self, messages: Sequence[KernelMessage]) -> None:
        for message in messages:
            self.position = message.position or 0
            if message.parent_id != self.waits_for:
                continue
            if message.msg_type == "stream":
                self.streams += message.content["text"].count("\n")
            elif message.msg_type == "execute_reply":
                self.replied = True
            elif message.msg_type == "status" and message.content["execution_state"] == "idle":
                self.idle = True
        if self.replied and self.idle:
            self.done.set()

    def on_died(self, report: DeathReport, restarting: bool) -> None:
        raise SystemExit(f"the kernel died: {report}")

    def on_restarting(self) -> None: ...

    def on_interrupted(self) -> None: ...

    def on_shut_down(self) -> None: ...

    async def run(self, link: Link, execution_id: str, source: str) -> float:
        """Seconds until reply and idle."""
        self.waits_for = execution_id
        self.done.clear()
        self.replied = self.idle = False
        begin = time.perf_counter()
        link.execute(ExecutionId(execution_id), source, allow_stdin=False)
        await self.done.wait()
        return time.perf_counter() - begin


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def import_ms() -> float:
    """The nanny's imports, in a Python that has nothing loaded; the best of five."""
    code = "import time; t = time.perf_counter(); import notebook_exec.nanny.main; "
    code += "print((time.perf_counter() - t) * 1000)"
    root = Path(__file__).parent.parent
    runs = [
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
        for _ in range(5)
    ]
    return min(float(run.stdout) for run in runs)


def show(name: str, value: str, wanted: str = "") -> None:
    print(f"{name:<52}{value:>18}  {wanted}".rstrip(), flush=True)


class Bench:
    """A manager of kernels, with or without nannies."""

    def __init__(self, folder: str) -> None:
        factory = KernelProvisionerFactory.instance()
        factory.provisioners[NAME] = EntryPoint(
            NAME, "notebook_exec.kernels.provisioner:NannyProvisioner", factory.GROUP_NAME
        )
        config = Config()
        config.NannyProvisioner.spool_dir = str(Path(folder) / "nannies")
        self.managers = AsyncMappingKernelManager(config=config, connection_dir=folder)
        self.actions = KernelActions(self.managers)

    async def start(self, *, nanny: bool, link: type[Any]) -> tuple[KernelId, Any, Listener, float]:
        """A kernel, a link to it, and how long it took until that was ready."""
        factory = KernelProvisionerFactory.instance()
        factory.default_provisioner_name = NAME if nanny else "local-provisioner"
        begin = time.perf_counter()
        kernel_id = KernelId(await self.managers.start_kernel())
        listener = Listener()
        made = link(kernel_id, self.actions, listener)
        await made.open()
        await listener.ready.wait()
        return kernel_id, made, listener, time.perf_counter() - begin

    def nanny_pid(self, kernel_id: KernelId) -> int:
        provisioner = self.managers.get_kernel(kernel_id).provisioner
        assert isinstance(provisioner, NannyProvisioner)
        assert provisioner.nanny_pid is not None
        return provisioner.nanny_pid


async def round_trips(bench: Bench, count: int) -> None:
    """Taken in turns, so that what else the machine does is the same for all."""
    ways = {
        "plain link, no nanny": (False, ZmqLink),
        "plain link, through a nanny": (True, ZmqLink),
        "nanny's link": (True, NannyLink),
    }
    started = {name: await bench.start(nanny=n, link=link) for name, (n, link) in ways.items()}
    for name, (_, _, _, took) in started.items():
        show(f"start to ready, {name}", f"{took * 1000:.0f} ms")
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(count):
        for name, (_, link, listener, _) in started.items():
            times[name].append(await listener.run(link, f"{name}-{number}", "1"))
    plain = statistics.median(times["plain link, no nanny"])
    for name, found in times.items():
        median = statistics.median(found)
        wanted = "" if median == plain else "at most 1.2x"
        show(f"round trip, {name}", f"{median * 1000:.2f} ms  {median / plain:.2f}x", wanted)
    for kernel_id, link, _, _ in started.values():
        await link.close()
        await bench.managers.shutdown_kernel(kernel_id, now=True)


async def steady_output(bench: Bench, lines: int) -> None:
    """2,000 flushed lines a second: what that costs the nanny."""
    kernel_id, link, listener, _ = await bench.start(nanny=True, link=NannyLink)
    pid = bench.nanny_pid(kernel_id)
    show("nanny resident, idle", f"{rss_mb(pid):.1f} MB", "at most 25 MB")
    seconds = max(2, lines // 2000)
    source = (
        "import time\nbegin = time.perf_counter()\n"
        f"for i in range({seconds * 2000}):\n"
        "    print(i, flush=True)\n"
        "    pause = begin + i / 2000 - time.perf_counter()\n"
        "    if pause > 0: time.sleep(pause)"
    )
    before, listener.streams = cpu_s(pid), 0
    took = await listener.run(link, "steady", source)
    assert listener.streams == seconds * 2000
    share = (cpu_s(pid) - before) / took
    title = f"nanny's CPU at {listener.streams / took:.0f} flushed lines/s"
    show(title, f"{share * 100:.1f} %", "below 15 %")
    before, listener.streams = cpu_s(pid), 0
    took = await listener.run(link, "burst", f"for i in range({lines}): print(i, flush=True)")
    share = (cpu_s(pid) - before) / took
    show(f"flushed lines, as fast as it goes ({lines})", f"{lines / took:.0f} /s")
    show("nanny's CPU meanwhile", f"{share * 100:.0f} %")
    await link.close()
    await bench.managers.shutdown_kernel(kernel_id, now=True)


async def memory(bench: Bench, messages: int) -> None:
    """Resident memory over many messages, all acknowledged."""
    kernel_id, link, listener, _ = await bench.start(nanny=True, link=NannyLink)
    pid = bench.nanny_pid(kernel_id)
    run, done = 20_000, 0
    while done < messages:
        await listener.run(link, f"m{done}", f"for i in range({run}): print(i, flush=True)")
        done += run
        link.ack(listener.position)
        if done in (run, messages // 2) or done >= messages:
            title = f"nanny resident after {done} lines acked"
            show(title, f"{rss_mb(pid):.1f} MB", "at most 25 MB, flat")
    provisioner = bench.managers.get_kernel(kernel_id).provisioner
    journal = (await provisioner.command(Kind.STATUS)).fields["journal"]
    show("journal on disk then", f"{journal['bytes'] / 2**20:.1f} MB")
    await link.close()
    await bench.managers.shutdown_kernel(kernel_id, now=True)


def whole_server(folder: Path) -> None:
    """What is seen of it through the API."""
    taken = death_s(folder / "death")
    shown = f"{statistics.median(taken) * 1000:.0f} ms"
    show("kernel death to the cell's error output", shown, "at most 1 s")
    show("  the longest of 5", f"{max(taken) * 1000:.0f} ms")
    alone, adopted = adoption_s(folder / "adoption")
    show("server start, no kernels", f"{alone:.2f} s")
    title = f"server start to {KERNELS} adopted kernels running on"
    show(title, f"{adopted:.2f} s", f"at most {alone + 3:.2f} s")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--round-trips", type=int, default=300)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--messages", type=int, default=0, help="for the memory's curve")
    parser.add_argument("--no-server", action="store_true", help="without those on a whole server")
    options = parser.parse_args()
    show("import of the nanny", f"{import_ms():.0f} ms", "at most 100 ms")
    parts: list[Callable[[Bench], Awaitable[None]]] = [
        lambda bench: round_trips(bench, options.round_trips),
        lambda bench: steady_output(bench, options.lines),
    ]
    if options.messages:
        parts.append(lambda bench: memory(bench, options.messages))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder)
        for part in parts:
            await part(bench)
        bench.actions.close()
        if not options.no_server:
            whole_server(Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
