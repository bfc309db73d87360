"""Kernels that are interrupted, restarted, killed, or never start, for real (Q8, Q10, Q15, K)."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from process_harness import ask, kernel_of, opened, raw, submit, wait
from real_server import RealServer

LOOP = "import os, time\nprint('pid', os.getpid(), flush=True)\nwhile True:\n    time.sleep(0.01)"


def spec(real: RealServer, name: str, *argv: str) -> None:
    folder = real.folder / "data" / "kernels" / name
    folder.mkdir(parents=True)
    described = {"argv": list(argv), "display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(described))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    server = RealServer(tmp_path_factory.mktemp("ends"))
    spec(server, "absent", "/nowhere/python", "-f", "{connection_file}")
    server.start()
    yield server
    assert server.stop() == 0, "".join(server.log)
    spools = server.folder / "runtime" / "notebook_exec"
    assert not list(spools.glob("*/config.json"))  # no nanny stays behind


async def test_q8_interrupt_by_another_client(real: RealServer) -> None:
    """Q8, Q12: through jupyter's own route: running fails, queue is cancelled, the next runs."""
    path = real.notebook("interrupt.ipynb", LOOP, "1", "'after'")
    async with opened(real, path) as tab:
        running, queued = await submit(real, path, ["c0", "c1"])
        await tab.until(lambda: "pid" in tab.text("c0"))
        answer = await raw(real, "POST", f"/api/kernels/{running['kernel_id']}/interrupt", b"")
        assert answer.status == 204
        ended = [await wait(real, running), await wait(real, queued)]
        assert [e["state"] for e in ended] == ["failed", "cancelled"]
        assert ended[0]["error"]["ename"] == "KeyboardInterrupt"
        assert [e["reason"] for e in ended] == ["interrupted", "interrupted"]
        (after,) = await submit(real, path, ["c2"])
        assert (await wait(real, after))["state"] == "finished"
        await tab.until(lambda: tab.state("c2") == "finished")
        assert tab.cell("c1")["execution_state"] == "idle"


async def test_k2_restart_by_another_client(real: RealServer) -> None:
    """K2: by jupyter's own route: what ran and waited ends, the same kernel id runs the next."""
    path = real.notebook("restart.ipynb", LOOP, "1", "import os; os.getpid()")
    async with opened(real, path) as tab:
        running, queued = await submit(real, path, ["c0", "c1"])
        await tab.until(lambda: "pid" in tab.text("c0"))
        pid = tab.text("c0").split()[1]
        answer = await raw(real, "POST", f"/api/kernels/{running['kernel_id']}/restart", b"")
        assert answer.status == 200
        ended = [await wait(real, running), await wait(real, queued)]
        assert [e["state"] for e in ended] == ["cancelled", "cancelled"]
        assert {e["reason"] for e in ended} == {"kernel_restarted"}
        (after,) = await submit(real, path, ["c2"])
        told = await wait(real, after)
        assert told["kernel_id"] == running["kernel_id"] == kernel_of(real, path)
        assert told["outputs"][0]["data"]["text/plain"] != pid
        await tab.until(lambda: tab.state("c2") == "finished")
        assert tab.text("c0").split()[:2] == ["pid", pid]


async def test_k1_killed(real: RealServer) -> None:
    """K1: kill -9: lost within 2 s, with the signal's name in the cell; the kernel comes back."""
    path = real.notebook("killed.ipynb", LOOP, "1", "'after'")
    async with opened(real, path) as tab:
        running, queued = await submit(real, path, ["c0", "c1"])
        await tab.until(lambda: "pid" in tab.text("c0"))
        os.kill(int(tab.text("c0").split()[1]), signal.SIGKILL)
        killed_at = time.monotonic()
        await tab.until(lambda: tab.state("c0") == "lost")
        assert time.monotonic() - killed_at < 2
        error = tab.cell("c0")["outputs"][-1]
        assert error["output_type"] == "error" and "SIGKILL" in json.dumps(error)
        assert "out of memory" not in json.dumps(error)
        assert (await wait(real, running))["state"] == "lost"
        told = await wait(real, queued)
        assert (told["state"], told["reason"]) == ("cancelled", "kernel_died")
        (after,) = await submit(real, path, ["c2"])
        ended = await wait(real, after)
        assert (ended["state"], ended.get("reason"), ended.get("error")) == ("finished", None, None)


async def test_q10_a_kernel_that_does_not_start(real: RealServer) -> None:
    """Q10: the first cell says why, the rest is cancelled; another kernel then works."""
    path = real.notebook("absent.ipynb", "1", "2")
    async with opened(real, path) as tab:
        executions = await submit(real, path, kernel={"name": "absent"})
        first, second = [await wait(real, execution) for execution in executions]
        reason = "kernel_start_failed"
        assert (first["state"], first["reason"]) == ("failed", reason), first
        assert (second["state"], second["reason"]) == ("cancelled", reason)
        await tab.until(lambda: tab.state("c0") == "failed")
        (error,) = tab.cell("c0")["outputs"]
        assert "/nowhere/python" in json.dumps(error)
    for session in (await raw(real, "GET", "/api/sessions")).json:
        if session["path"] == path:
            await raw(real, "DELETE", f"/api/sessions/{session['id']}")
    (again,) = await submit(real, path, ["c0"], kernel={"name": "python3"})
    assert (await wait(real, again))["state"] == "finished"


async def test_q15_time_limit(real: RealServer) -> None:
    """Q15: interrupted at its limit, said in the output; the kernel is usable."""
    path = real.notebook("limit.ipynb", LOOP, "'after'")
    ended: dict[str, Any] = await wait(real, (await submit(real, path, ["c0"], time_limit=1.5))[0])
    assert (ended["state"], ended["reason"]) == ("failed", "time_limit")
    assert "time limit of 1.5 s" in json.dumps(ended["outputs"])
    (after,) = await submit(real, path, ["c1"])
    assert (await wait(real, after))["state"] == "finished"
    answer = await ask(real, "GET", f"/api/executions?kernel_id={after['kernel_id']}")
    assert len(answer.json["executions"]) == 2
