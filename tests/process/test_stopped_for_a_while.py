"""Processes that stand still for seconds, as when a machine sleeps: nobody takes it for a death."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest
from process_harness import opened, submit, wait
from real_server import RealServer

STOP_S = 4.0  # longer than K1 and K6 leave for noticing a death
LINES = 700
SOURCE = (
    "import os, time\nprint('pids', os.getpid(), os.getppid(), flush=True)\n"
    f"for i in range({LINES}):\n    print(i, flush=True); time.sleep(0.01)"
)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    server = RealServer(tmp_path_factory.mktemp("sleeps"), nanny=True)
    server.start()
    yield server
    assert server.stop() == 0, "".join(server.log)
    assert server.errors() == []


@pytest.mark.parametrize("who", ["server", "nanny", "kernel", "all"])
async def test_k6_stopped_and_continued(real: RealServer, who: str) -> None:
    """K6: the cell runs on and has every line once, in the same kernel under the same nanny."""
    path = real.notebook(f"{who}.ipynb", SOURCE, "(os.getpid(), os.getppid())")
    async with opened(real, path) as tab:
        (execution,) = await submit(real, path, ["c0"])
        await tab.until(lambda: "\n20\n" in tab.text("c0"))
        kernel, nanny = map(int, tab.text("c0").split()[1:3])
        pids = {"server": [real.pid], "nanny": [nanny], "kernel": [kernel]}
        pids["all"] = [real.pid, nanny, kernel]
        for pid in pids[who]:
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(STOP_S)  # the very thing that is tried, not a wait for something
        finally:
            for pid in pids[who]:
                os.kill(pid, signal.SIGCONT)
        ended = await wait(real, execution)
        assert (ended["state"], ended.get("reason")) == ("finished", None), ended
        wanted = f"pids {kernel} {nanny}\n" + "".join(f"{i}\n" for i in range(LINES))
        assert ended["outputs"][0]["text"] == wanted
        await tab.until(lambda: tab.text("c0") == wanted)
        (after,) = await submit(real, path, ["c1"])
        told = await wait(real, after)
        assert told["outputs"][0]["data"]["text/plain"] == f"({kernel}, {nanny})"
