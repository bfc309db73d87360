"""The whole program on a full disk (R7)."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from lasting import LastingServer, is_running, kernel_pids, lines, printing, text_of
from process_harness import opened
from server_harness import TOKEN
from websockets.asyncio.client import connect

Make = Callable[..., LastingServer]


class FileLimit:
    """Neither the server nor a nanny can write any file: works for every user."""

    def __init__(self, server: LastingServer) -> None:
        self._pids = [server.pid, *server.nanny_pids()]

    def fill(self) -> None:
        for pid in self._pids:
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))

    def free(self) -> None:
        for pid in filter(is_running, self._pids):
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


class SmallDisk:
    """A file system of its own for all that the server writes, filled to the last byte."""

    def __init__(self, server: LastingServer) -> None:
        self._filler = server.folder / "filler"

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as filler:
            size = 2**20
            while size:
                try:
                    filler.write(bytes(size))
                except OSError:
                    size //= 2

    def free(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a disk; the other variant runs for everyone")
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("this system lets nobody mount a disk; the other variant runs everywhere")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@asynccontextmanager
async def notices(server: LastingServer) -> AsyncIterator[Callable[[str], Any]]:
    """Waits for a notice with a text in it."""
    url = f"ws://127.0.0.1:{server.port}{server.url('/api/events/subscribe')}"
    async with connect(url, additional_headers={"Authorization": f"token {TOKEN}"}) as socket:

        async def until(text: str) -> dict[str, Any]:
            while True:
                event: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 30))
                if text in event.get("message", ""):
                    return event

        yield until


@pytest.fixture(params=[FileLimit, SmallDisk])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param is FileLimit:
        yield FileLimit
        return
    with small_disk(tmp_path / "disk"):
        yield SmallDisk


@pytest.fixture
def make(kind: Any, tmp_path: Path) -> Iterator[Make]:
    made: list[LastingServer] = []

    def start(**options: Any) -> LastingServer:
        made.append(LastingServer(tmp_path / "disk", **options))
        made[-1].start()
        return made[-1]

    yield start
    for server in made:
        server.end()


async def test_r7_a_disk_that_is_full_for_a_while(make: Make, kind: Any) -> None:
    """R7: cells go on, users are told, what was written is whole, and then all of it is there."""
    server = await asyncio.to_thread(make)
    path = server.notebook("a.ipynb", printing(400, "time.sleep(0.01)"), "1 + 1", "print('new')")
    running, queued = await asyncio.to_thread(server.submit, path, ["c0", "c1"])
    await asyncio.to_thread(server.until_lines, running, 20)
    disk = kind(server)
    async with notices(server) as noticed, opened(server, path) as page:
        disk.fill()
        trouble = await noticed("cannot write to its disk")
        assert trouble["level"] == "error"
        before = page.text("c0").count("\n")
        await page.until(lambda: page.text("c0").count("\n") > before + 50)
        assert server.saved(path).cells[0].source.startswith("import time")
        (late,) = await asyncio.to_thread(server.submit, path, ["c2"])
        await page.until(lambda: page.state("c2") == "queued")
        disk.free()
        recovered = await noticed("nothing is lost")
        assert recovered["level"] == "info"
        ended = [await asyncio.to_thread(server.wait, e) for e in (running, queued, late)]
        assert [e["state"] for e in ended] == ["finished"] * 3
        assert text_of(ended[0]) == page.text("c0") == lines(400)
    await asyncio.to_thread(server.until, lambda: "new" in str(server.saved(path)["cells"][2]))
    assert server.saved(path).cells[0].outputs[0]["text"] == lines(400)
    await asyncio.to_thread(server.restart)
    for execution, text in ((running, lines(400)), (late, "new\n")):
        assert text_of(await asyncio.to_thread(server.wait, execution)) == text


async def test_r7_killed_while_the_disk_is_full(make: Make, kind: Any) -> None:
    """R7, R2, R3: the kernel goes on, every line is there once, for a page that stayed open too."""
    server = await asyncio.to_thread(make)
    path = server.notebook("a.ipynb", printing(400, "time.sleep(0.01)"), "1 + 1")
    executions = await asyncio.to_thread(server.submit, path)
    await asyncio.to_thread(server.until_lines, executions[0], 20)
    disk = kind(server)
    async with notices(server) as noticed, opened(server, path) as page:
        disk.fill()
        await noticed("cannot write to its disk")
        before = page.text("c0").count("\n")
        await page.until(lambda: page.text("c0").count("\n") > before + 50)
    await asyncio.to_thread(server.kill)
    disk.free()
    await asyncio.to_thread(server.start)
    async with opened(server, path, page.notebook) as again:
        for execution in executions:
            assert (await asyncio.to_thread(server.wait, execution))["state"] == "finished"
        await again.until(lambda: again.state("c1") == "finished")
        # What it brings is taken out by the server, a way there and back later.
        await again.until(lambda: again.text("c0") == lines(400))
    async with opened(server, path) as fresh:
        assert fresh.text("c0") == lines(400)


@pytest.mark.parametrize("dies", ["kernel", "nanny"])
async def test_k1_a_kernel_that_dies_while_the_disk_is_full(
    make: Make, kind: Any, dies: str
) -> None:
    """K1, R7: what cannot be started again for want of room is, as soon as there is some."""
    server = await asyncio.to_thread(make)
    path = server.notebook("a.ipynb", printing(4000, "time.sleep(0.01)"), "print('again')")
    (running,) = await asyncio.to_thread(server.submit, path, ["c0"])
    await asyncio.to_thread(server.until_lines, running, 20)
    (nanny,) = server.nanny_pids()
    (kernel,) = kernel_pids(nanny)
    status = f"/api/kernels/{server.sessions()[0]['kernel']['id']}/status"

    def is_idle() -> bool:
        return server.raw("GET", status).json.get("state") == "idle"

    def could_not_start() -> bool:
        return any("restart_kernel" in line for line in server.log)  # of a traceback

    disk = kind(server)
    async with notices(server) as noticed:
        disk.fill()
        await noticed("cannot write to its disk")
    os.kill(kernel if dies == "kernel" else nanny, signal.SIGKILL)
    ended = await asyncio.to_thread(server.wait, running)
    assert ended["state"] == "lost"
    await asyncio.to_thread(server.until, lambda: could_not_start() or is_idle())
    disk.free()
    await asyncio.to_thread(server.until, is_idle)
    (later,) = await asyncio.to_thread(server.submit, path, ["c1"])
    assert text_of(await asyncio.to_thread(server.wait, later)) == "again\n"
