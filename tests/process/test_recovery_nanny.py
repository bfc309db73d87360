"""The server is killed in the middle of a run, and started again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from lasting import LastingServer, is_running, kernel_pids, lines, printing, text_of

Make = Callable[..., LastingServer]


def test_r2_every_line_once(make: Make) -> None:
    """R2: killed three times at full speed: same kernel, same session, every line once, in order.

    Then the queue goes on, and the file has it all.
    """
    server = make()
    # ipykernel itself loses output if a busy machine keeps its sending thread from running.
    code = printing(30_000, "i % 100 or time.sleep(0.005)")
    path = server.notebook("a.ipynb", code, "print('next', len([1]))", "1 + 1")
    first, second, third = server.submit(path)
    sessions = None
    for count in (500, 8_000, 16_000):
        server.until_lines(first, count)
        now = [(s["id"], s["path"], s["kernel"]["id"]) for s in server.sessions()]
        assert len(now) == 1
        assert sessions in (None, now)
        sessions = now
        server.restart()
    ended = server.wait(first)
    assert (ended["state"], text_of(ended)) == ("finished", lines(30_000))
    assert text_of(server.wait(second)) == "next 1\n"
    ended = server.wait(third)
    assert ended["execution_count"] == 3
    assert ended["outputs"][0]["data"]["text/plain"] == "2"
    assert [kernel["id"] for kernel in server.kernels()] == [ended["kernel_id"]]
    server.stop()
    cells = server.saved(path).cells
    assert cells[0].outputs[0]["text"] == lines(30_000)
    assert [cell.execution_count for cell in cells] == [1, 2, 3]


def test_r2_the_run_ends_while_there_is_no_server(make: Make) -> None:
    """R2: the next cell starts when there is a server again; nobody had to wait for output."""
    server = make()
    code = printing(40, "time.sleep(0.02)") + "\nopen('over', 'w').close()"
    path = server.notebook("a.ipynb", code, "x = 1", "print('done', x)")
    first, _, third = server.submit(path)
    server.until_lines(first, 1)
    server.kill()
    server.until((server.root / "over").exists)
    server.start()
    assert text_of(server.wait(first)) == lines(40)
    assert text_of(server.wait(third)) == "done 1\n"


def test_r2_killed_before_the_kernel_was_started(make: Make) -> None:
    """R2: what was accepted is run: the next server starts the kernel."""
    server = make()
    path = server.notebook("a.ipynb", "print(1)", "print(2)")
    executions = server.submit(path)
    server.restart()
    assert [text_of(server.wait(execution)) for execution in executions] == ["1\n", "2\n"]
    assert [s["path"] for s in server.sessions()] == [path]
    assert len(server.kernels()) == 1


def test_r2_terminal_and_displays_go_on(make: Make) -> None:
    """R2, O3, O4, O5: cursor, pending clear and display ids are known to the next server."""
    server = make()
    path = server.notebook(
        "a.ipynb",
        "from IPython.display import display, clear_output, HTML\n"
        "handle = display(HTML('old'), display_id=True)\nprint('kept')",
        "import sys\nsys.stdout.write('50 %'); sys.stdout.flush(); input('go')\n"
        "sys.stdout.write('\\r100 %\\n'); handle.update(HTML('new'))",
        "print('gone'); clear_output(wait=True); input('go'); print('here')",
    )
    shown, bar, cleared = server.submit(path)
    server.until_prompt(bar)
    server.restart()
    server.until_prompt(bar)
    server.ask("POST", f"/api/executions/{bar['id']}/input", {"value": "x"})
    assert server.until_prompt(cleared)["prompt"] == {"prompt": "go", "password": False}
    server.restart()
    assert "gone" in server.text(cleared)
    server.ask("POST", f"/api/executions/{cleared['id']}/input", {"value": "x"})
    assert "gone" not in text_of(server.wait(cleared))
    assert text_of(server.wait(bar)) == "50 %go x\n100 %\n"
    outputs = server.wait(shown)["outputs"]
    assert outputs[0]["data"]["text/html"] == "new"
    assert outputs[1]["text"] == "kept\n"


def test_p5_a_prompt_survives_if_the_kernel_waits(make: Make) -> None:
    """P5: shown again, answered once; and not there any more when the kernel was killed."""
    server = make()
    path = server.notebook(
        "a.ipynb", "a = input('name: ')\nprint(a)\nb = input('more: ')\nprint(b)"
    )
    (execution,) = server.submit(path)
    assert server.until_prompt(execution)["prompt"]["prompt"] == "name: "
    server.restart()
    assert server.until_prompt(execution)["prompt"]["prompt"] == "name: "
    answer = server.ask("POST", f"/api/executions/{execution['id']}/input", {"value": "Ada"})
    assert answer.status == 200
    assert server.until_prompt(execution)["prompt"]["prompt"] == "more: "
    (pid,) = server.nanny_pids()
    (kernel,) = kernel_pids(pid)
    server.kill()
    os.kill(kernel, signal.SIGKILL)
    server.start()
    ended = server.wait(execution)
    assert ended["state"] == "lost"
    assert "prompt" not in ended
    assert text_of(ended).endswith("Ada\n")
    assert any("SIGKILL" in o.get("evalue", "") for o in ended["outputs"]), ended


def test_k6_a_nanny_that_died_with_its_kernel(make: Make) -> None:
    """R2, K6: its session is gone, what ran is lost, the next run has a new kernel."""
    server = make()
    path = server.notebook("a.ipynb", printing(10**9, "time.sleep(0.01)"), "print('again')")
    execution, queued = server.submit(path)
    server.until_lines(execution, 3)
    (pid,) = server.nanny_pids()
    kernels = kernel_pids(pid)
    server.kill()
    os.kill(pid, signal.SIGKILL)
    server.until(lambda: not any(map(is_running, kernels)))
    server.start()
    assert server.kernels() == server.sessions() == []
    assert server.wait(execution)["state"] == "lost"
    assert server.wait(queued)["state"] == "cancelled"
    (again,) = server.run(path, ["c1"])
    assert text_of(again) == "again\n"
    assert again["kernel_id"] != execution["kernel_id"]


def test_r2_an_adopted_kernel_is_a_kernel_like_others(make: Make) -> None:
    """R2, K2, Q8: it can be interrupted, restarted and shut down."""
    server = make()
    path = server.notebook(
        "a.ipynb", "import os\nprint(os.getpid())", "import time\ntime.sleep(1e6)"
    )
    (before,) = server.run(path, ["c0"])
    kernel = f"/api/kernels/{before['kernel_id']}"
    (running,) = server.submit(path, ["c1"])
    server.until(
        lambda: server.ask("GET", f"/api/executions/{running['id']}").json["state"] == "running"
    )
    server.restart()
    assert server.kernels()[0]["execution_state"] == "busy"
    assert server.raw("POST", f"{kernel}/interrupt").status == 204
    assert server.wait(running)["error"]["ename"] == "KeyboardInterrupt"
    (same,) = server.run(path, ["c0"])
    assert text_of(same) == text_of(before)
    assert server.raw("POST", f"{kernel}/restart").status == 200
    (other,) = server.run(path, ["c0"])
    assert text_of(other) != text_of(before)
    assert (other["kernel_id"], other["execution_count"]) == (before["kernel_id"], 1)
    (pid,) = server.nanny_pids()
    assert server.raw("DELETE", kernel).status == 204
    server.until(lambda: not is_running(pid))
    server.until(lambda: server.records() == [])
    server.restart()
    assert server.kernels() == server.sessions() == []
