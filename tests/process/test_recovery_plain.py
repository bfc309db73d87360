"""Servers that die or stop while cells run on kernels that do not outlive them (R4, R5, R6)."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_harness import ask, kill_all_of, opened, submit, wait
from real_server import RealServer
from test_streams import listening, read_event

LOOP = "import time\nfor i in range(100_000):\n    print(i, flush=True); time.sleep(0.002)"


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealServer]:
    server = RealServer(tmp_path / "server", save_delay=0.2, nanny=False)
    server.start()
    yield server
    kill_all_of(server.folder)
    server.stop(signal.SIGKILL)


async def test_r4_r6_killed_right_after_a_page_saw_an_output(real: RealServer) -> None:
    """R4, R6, P4: what was seen is in doc and file; nothing says that it runs, and the cell why."""
    path = real.notebook("killed.ipynb", LOOP, "1")
    asking = real.notebook("asks.ipynb", "input('a-prompt? ')")
    (prompting,) = await submit(real, asking)
    async with opened(real, asking) as tab:
        await tab.until(lambda: tab.cell("c0")["entry"].get("prompt"))
    async with opened(real, path) as tab:
        running, queued = await submit(real, path, kernel={"name": "python3"})
        await tab.until(lambda: len(tab.text("c0").splitlines()) > 100)
        kill_all_of(real.folder)  # as when the machine dies
        seen = tab.text("c0")
    real.stop(signal.SIGKILL)
    real.start()
    ended = [await wait(real, execution) for execution in (running, queued, prompting)]
    assert [e["state"] for e in ended] == ["lost", "cancelled", "lost"]
    assert {e["reason"] for e in ended} == {"server_stopped"}
    assert not any("prompt" in e for e in ended)
    async with opened(real, path) as tab:
        text = tab.text("c0")
        assert text.startswith(seen)
        assert text.splitlines() == [str(i) for i in range(len(text.splitlines()))]
        error = tab.cell("c0")["outputs"][-1]
        assert error["output_type"] == "error" and "server stopped" in error["evalue"]
        assert [tab.state(c) for c in ("c0", "c1")] == ["lost", "cancelled"]
        assert {c["execution_state"] for c in tab.cells().values()} == {"idle"}
        (again,) = await submit(real, path, ["c1"])
        assert (await wait(real, again))["state"] == "finished"
    async with opened(real, asking) as tab:
        assert "prompt" not in tab.cell("c0")["entry"]
    assert real.stop() == 0
    saved = real.saved(path)["cells"][0]["outputs"]
    assert saved[0]["text"].startswith(seen)
    assert "a-prompt" not in str(real.saved(asking)["cells"][0]["outputs"])


async def test_r5_stopped_in_the_middle(real: RealServer) -> None:
    """R5: every document is saved before it ends; states are true at the next start."""
    path = real.notebook("stopped.ipynb", LOOP, "1")
    (real.root / "text.txt").write_text("before")
    async with opened(real, path) as tab:
        running, queued = await submit(real, path)
        await tab.until(lambda: len(tab.text("c0").splitlines()) > 50)
        ysource = tab.notebook.ycells[1]["source"]
        ysource += "  # edited"
        await tab.until(lambda: len(tab.text("c0").splitlines()) > 100)
        seen = tab.text("c0")
        assert real.stop() == 0
    saved = real.saved(path)
    assert saved["cells"][0]["outputs"][0]["text"].startswith(seen)
    assert saved["cells"][1]["source"] == "1  # edited"
    real.start()
    ended = [await wait(real, execution) for execution in (running, queued)]
    assert [e["state"] for e in ended] == ["cancelled", "cancelled"]
    listed = (await ask(real, "GET", f"/api/executions?path={path}")).json["executions"]
    assert {e["state"] for e in listed} == {"cancelled"}
    async with opened(real, path) as tab:
        assert tab.text("c0").startswith(seen)
        assert {c["execution_state"] for c in tab.cells().values()} == {"idle"}
    assert real.stop() == 0


def test_r3_a_reader_of_events_goes_on_with_the_next_server(real: RealServer) -> None:
    """R3, A2: it resumes with a number of the server before; the new one tells what is new."""
    path = real.notebook("reader.ipynb", "1")
    with listening(real) as stream:
        real.run(path)
        seen = read_event(stream)
    kill_all_of(real.folder)
    real.stop(signal.SIGKILL)
    real.start()
    with listening(real, Last_Event_ID=seen["id"]) as stream:
        (again,) = real.run(path)
        told = read_event(stream)
        while json.loads(told["data"])["id"] != again["id"]:
            told = read_event(stream)
    assert int(told["id"]) > int(seen["id"])
