"""Several kernels, several notebooks, pages that stayed open, and stops that are not crashes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from jupyter_ydoc import YNotebook
from lasting import LastingServer, is_running, kernel_pids, lines, printing, text_of
from pycrdt import Doc
from y_client import joined

Make = Callable[..., LastingServer]


async def test_r3_a_page_that_stayed_goes_on(make: Make) -> None:
    """R3, D7: it comes back with its document and its session, and has every line once."""
    server = await asyncio.to_thread(make)
    path = server.notebook("a.ipynb", printing(400, "time.sleep(0.01)"), "# mine")
    session = server.session(path).json
    room = f"{session['format']}:{session['type']}:{session['fileId']}"
    doc: Doc[Any] = Doc()
    notebook = YNotebook(doc)

    def text() -> str:
        return "".join(o["text"] for o in notebook.get_cell(0)["outputs"])

    async with joined(server, room, session["sessionId"], doc):
        (execution,) = await asyncio.to_thread(server.submit, path, ["c0"])
        await asyncio.to_thread(server.until, lambda: text().count("\n") > 50)
    await asyncio.to_thread(server.kill)
    source = notebook.ycells[1]["source"]
    source += " too"  # typed while there was no server
    seen = text()
    await asyncio.to_thread(server.start)
    again = server.session(path).json
    assert again == session
    async with joined(server, room, session["sessionId"], doc) as client:
        await client.until(lambda: len(text()) > len(seen))
        await client.until(lambda: text() == lines(400))
        await client.until(lambda: notebook.ycells[0]["execution_state"] == "idle")
    assert notebook.cell_number == 2
    assert notebook.get_cell(1)["source"] == "# mine too"
    ended = await asyncio.to_thread(server.wait, execution)
    assert text_of(ended) == lines(400)


def test_r2_two_notebooks_on_one_kernel_and_code_without_any(make: Make) -> None:
    """R2, Q13, O5: output of the one, updates in the other, and what only the API shows."""
    server = make()
    first = server.notebook("a.ipynb", "h = display('start', display_id=True)")
    second = server.notebook("b.ipynb", printing(300, "time.sleep(0.01); h.update(str(i))"))
    (of_first,) = server.run(first)
    kernel = {"id": of_first["kernel_id"]}
    (of_second,) = server.submit(second, kernel=kernel)
    body = {"code": printing(200, "time.sleep(0.01); h.update(str(i))"), "kernel": kernel}
    answer = server.ask("POST", "/api/executions", body)
    assert answer.status == 202, answer.body
    (alone,) = answer.json["executions"]

    def updated() -> str:
        (output,) = server.ask("GET", f"/api/executions/{of_first['id']}").json["outputs"]
        text: str = output["data"]["text/plain"]
        return text

    server.until_lines(of_second, 20)
    server.restart()
    assert text_of(server.wait(of_second)) == lines(300)
    server.until_lines(alone, 20)
    assert updated() != "'299'"
    server.restart()
    assert text_of(server.wait(alone)) == lines(200)
    server.until(lambda: updated() == "'199'")


def test_r2_five_kernels(make: Make) -> None:
    """R2: all of them go on, under their ids."""
    server = make()
    paths = [server.notebook(f"{i}.ipynb", printing(150, "time.sleep(0.02)")) for i in range(5)]
    executions = [server.submit(path)[0] for path in paths]
    for execution in executions:
        server.until_lines(execution, 3)
    before = {s["id"]: (s["path"], s["kernel"]["id"]) for s in server.sessions()}
    server.kill()
    began = time.monotonic()
    server.start()
    assert time.monotonic() - began < 15
    assert {s["id"]: (s["path"], s["kernel"]["id"]) for s in server.sessions()} == before
    assert len(before) == 5
    for execution in executions:
        assert text_of(server.wait(execution)) == lines(150)


def test_r5_kernels_are_kept_where_that_is_wanted(make: Make) -> None:
    """R5: an orderly stop with ``keep_kernels`` is to kernels as if nothing had been."""
    server = make(keep_kernels=True)
    path = server.notebook("a.ipynb", printing(150, "time.sleep(0.02)"), "print('next')")
    execution, queued = server.submit(path)
    server.until_lines(execution, 5)
    sessions = server.sessions()
    (pid,) = server.nanny_pids()
    assert server.stop() == 0
    assert is_running(pid)
    assert "line 4\n" in server.saved(path).cells[0].outputs[0]["text"]
    server.start()
    assert [(s["id"], s["kernel"]["id"]) for s in server.sessions()] == [
        (s["id"], s["kernel"]["id"]) for s in sessions
    ]
    assert text_of(server.wait(execution)) == lines(150)
    assert text_of(server.wait(queued)) == "next\n"


def test_r5_a_kernel_that_is_being_started_is_kept(make: Make) -> None:
    """R5: stopped right after a request: the kernel is started all the same, and the cells run."""
    server = make(keep_kernels=True)
    path = server.notebook("a.ipynb", "print(1)", "print(2)")
    first, second = server.submit(path)
    assert server.stop() == 0
    server.start()
    assert [text_of(server.wait(run)) for run in (first, second)] == ["1\n", "2\n"]
    (kernel,) = server.kernels()
    assert kernel["id"] == first["kernel_id"]


def test_r5_a_kernel_that_is_being_restarted_is_kept(make: Make) -> None:
    """R5: it died a moment ago: by the next server at the latest it is restarted."""
    server = make(keep_kernels=True)
    path = server.notebook("a.ipynb", "print(1)")
    (before,) = server.run(path)
    (nanny,) = server.nanny_pids()
    (pid,) = kernel_pids(nanny)
    os.kill(pid, signal.SIGKILL)
    assert server.stop() == 0
    server.start()
    server.until(lambda: kernel_pids(nanny) not in ([], [pid]))
    (after,) = server.run(path)
    assert (text_of(after), after["kernel_id"]) == ("1\n", before["kernel_id"])


def test_r5_kernels_end_with_the_server_by_default(make: Make) -> None:
    """R5: an orderly stop ends kernels and nannies, and tells every cell so."""
    server = make()
    path = server.notebook("a.ipynb", printing(10**6, "time.sleep(0.01)"), "print('next')")
    execution, queued = server.submit(path)
    server.until_lines(execution, 5)
    (pid,) = server.nanny_pids()
    assert server.stop() == 0
    assert not is_running(pid)
    assert server.records() == []
    server.start()
    assert server.kernels() == server.sessions() == []
    assert server.wait(execution)["state"] == "cancelled"
    assert server.wait(queued)["state"] == "cancelled"


def test_k6_a_new_nanny_is_known_to_the_next_server(make: Make) -> None:
    """K6, R2: jupyter_client's own restarter brought it; the kernel goes on all the same."""
    server = make()
    path = server.notebook(
        "a.ipynb", "import os\nprint(os.getpid())", printing(200, "time.sleep(0.02)")
    )
    (first,) = server.run(path, ["c0"])
    (pid,) = server.nanny_pids()
    os.kill(pid, signal.SIGKILL)
    server.until(lambda: server.nanny_pids() != [pid])
    (second,) = server.run(path, ["c0"])
    assert text_of(second) != text_of(first)
    (running,) = server.submit(path, ["c1"])
    server.until_lines(running, 5)
    server.restart()
    ended = server.wait(running)
    assert (ended["state"], text_of(ended)) == ("finished", lines(200))
    assert ended["kernel_id"] == first["kernel_id"]
