"""The routes for one kernel, over real kernels with a nanny and without one."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from real_server import RealServer
from server_harness import TOKEN
from slow_contents import SLOW
from websockets.sync.client import connect

SPIN = "import time\nwhile True: time.sleep(0.01)"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    yield from serving(tmp_path_factory.mktemp("nannies"))  # the default


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    yield from serving(tmp_path_factory.mktemp("plain"), nanny=False)


def serving(folder: Path, **options: Any) -> Iterator[RealServer]:
    server = RealServer(folder, **options)
    server.start()
    yield server
    assert server.stop() == 0, "".join(server.log)
    assert server.errors() == []


def text(execution: dict[str, Any]) -> str:
    return "".join(o["text"] for o in execution["outputs"] if o["output_type"] == "stream")


@contextmanager
def following(real: RealServer, kernel_id: str, offset: int = 0) -> Iterator[Any]:
    """The log as it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", real.port, timeout=30)
    url = real.url(f"/api/kernels/{kernel_id}/log?follow=1&offset={offset}")
    connection.request("GET", url, headers={"Authorization": f"token {TOKEN}"})
    response = connection.getresponse()
    assert response.status == 200
    try:
        yield response
    finally:
        response.close()
        connection.close()


def is_running(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def read_until(response: Any, end: bytes) -> bytes:
    read = b""
    while end not in read:
        chunk = response.read1(65536)
        assert chunk, read
        read += chunk
    return read


def test_k4_a_signal_reaches_the_group(real: RealServer) -> None:
    """A4, K4: by name, to the kernel and to its children."""
    source = (
        "import os, signal, subprocess\n"
        "signal.signal(signal.SIGUSR1, lambda *a: print('kernel', flush=True))\n"
        "child = subprocess.Popen(['sh', '-c', 'trap \"exit 7\" USR1; echo ready; "
        "while :; do sleep 0.05; done'], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "'set'"
    )
    # What a handler prints between two cells belongs to none: the second has to run.
    path = real.notebook("signal.ipynb", source, "input()\nchild.wait()")
    (first,) = real.run(path, ["c0"])
    (second,) = real.submit(path, ["c1"])
    real.until_prompt(second)
    answer = real.ask("POST", f"/api/kernels/{first['kernel_id']}/signal", {"signal": "SIGUSR1"})
    assert answer.status == 204
    real.ask("POST", f"/api/executions/{second['id']}/input", {"value": ""})
    ended = real.wait(second)
    assert ended["outputs"][-1]["data"]["text/plain"] == "7"
    assert "kernel" in text(ended)


def test_a4_status_of_a_kernel(real: RealServer) -> None:
    """A4: pid, state, memory, age and nanny are those of the processes that run."""
    path = real.notebook("status.ipynb", "import os; print(os.getpid(), os.getppid())", SPIN)
    (first,) = real.run(path, ["c0"])
    url = f"/api/kernels/{first['kernel_id']}/status"
    pid, nanny = map(int, text(first).split())
    status = real.ask("GET", url).json
    assert (status["pid"], status["nanny"]) == (pid, {"pid": nanny, "version": 1})
    assert (status["state"], status["allocation"]) == ("idle", None)
    assert 0 < status["uptime_s"] < 60
    assert status["rss_bytes"] > 10 * 2**20
    assert status["cpu_percent"] >= 0
    (spinning,) = real.submit(path, ["c1"])
    while status["state"] != "busy":
        status = real.ask("GET", url).json
    assert real.ask("DELETE", f"/api/executions/{spinning['id']}").status == 200
    real.wait(spinning)


def test_o17_k5_the_log_of_a_kernel(real: RealServer) -> None:
    """O17, K5: what C code and children write is in the log, while it runs and after it died."""
    write = "os.system('echo from a child: \\u20ac; echo and an error >&2')"
    path = real.notebook("log.ipynb", "import os", write, "os.kill(os.getpid(), 11)")
    (first,) = real.run(path, ["c0"])
    kernel_id = first["kernel_id"]
    with following(real, kernel_id) as response:
        assert response.headers["X-Log-Offset"] == "0"
        assert response.headers["Transfer-Encoding"] == "chunked"
        real.run(path, ["c1"])
        seen = read_until(response, b"and an error\n")
    assert "from a child: €\n" in seen.decode()
    whole = real.ask("GET", f"/api/kernels/{kernel_id}/log")
    assert whole.body.startswith(seen)
    assert int(whole.headers["X-Log-End"]) == len(whole.body)
    rest = real.ask("GET", f"/api/kernels/{kernel_id}/log?offset=5&download=1")
    assert (rest.headers["X-Log-Offset"], rest.body) == ("5", whole.body[5:])
    real.run(path, ["c2"])
    after = real.ask("GET", f"/api/kernels/{kernel_id}/log")
    assert after.body.startswith(whole.body)


def test_k3_hard_restart(real: RealServer) -> None:
    """K3: another kernel process and another nanny, the same id and session; runs end, more run."""
    path = real.notebook("hard.ipynb", "import os; print(os.getpid(), os.getppid())", SPIN, "1 + 1")
    (first,) = real.run(path, ["c0"])
    kernel_id = first["kernel_id"]
    (session,) = [s for s in real.raw("GET", "/api/sessions").json if s["path"] == path]
    assert session["kernel"]["hard_restart"] is True
    running, queued = real.submit(path, ["c1", "c2"])
    url = real.url(f"/api/kernels/{kernel_id}/channels").removeprefix("/")
    with (
        connect(
            f"ws://127.0.0.1:{real.port}/{url}",
            additional_headers={"Authorization": f"token {TOKEN}"},
            max_size=None,
        ) as websocket,
        following(real, kernel_id) as log,
    ):
        answer = real.ask("POST", f"/api/kernels/{kernel_id}/hard-restart")
        assert (answer.status, answer.json["id"]) == (200, kernel_id)
        for execution in (running, queued):
            ended = real.wait(execution)
            assert (ended["state"], ended["reason"]) == ("cancelled", "kernel_restarted")
        while True:  # what a page sees of a restart: the kernel starts
            message = json.loads(websocket.recv(timeout=30))
            if message["content"].get("execution_state") in ("starting", "restarting"):
                break
        (again,) = real.run(path, ["c0"])
        assert again["kernel_id"] == kernel_id
        assert not set(text(again).split()) & set(text(first).split())
        assert again["execution_count"] == 1
        log.read()  # the log of the nanny before has an end
    assert not [pid for pid in text(first).split() if is_running(int(pid))]
    (same,) = [s for s in real.raw("GET", "/api/sessions").json if s["path"] == path]
    assert same["id"] == session["id"]
    assert real.ask("GET", f"/api/kernels/{kernel_id}/log").status == 200


def test_k3_where_it_cannot_differ(plain: RealServer) -> None:
    """K3: a kernel without a nanny says so in its model; it is replaced all the same."""
    path = plain.notebook("plain.ipynb", "import os; print(os.getpid())")
    (first,) = plain.run(path)
    kernel_id = first["kernel_id"]
    assert plain.raw("GET", f"/api/kernels/{kernel_id}").json["hard_restart"] is False
    answer = plain.ask("POST", f"/api/kernels/{kernel_id}/hard-restart")
    assert (answer.status, answer.json["hard_restart"]) == (200, False)
    (again,) = plain.run(path)
    assert again["kernel_id"] == kernel_id
    assert text(again) != text(first)


def test_a4_a_kernel_without_a_nanny(plain: RealServer) -> None:
    """A4: status as far as it can be known, signals, and no log."""
    path = plain.notebook("plain2.ipynb", "import os; print(os.getpid())", SPIN)
    (first,) = plain.run(path, ["c0"])
    url = f"/api/kernels/{first['kernel_id']}"
    status = plain.ask("GET", f"{url}/status").json
    assert (status["pid"], status["nanny"]) == (int(text(first)), None)
    assert status["rss_bytes"] > 10 * 2**20
    assert status["uptime_s"] > 0
    assert status["cpu_percent"] is not None
    refused = plain.ask("GET", f"{url}/log")
    assert (refused.status, "nanny" in refused.json["message"]) == (404, True)
    (spinning,) = plain.submit(path, ["c1"])
    while plain.ask("GET", f"{url}/status").json["state"] != "busy":
        pass
    assert plain.ask("POST", f"{url}/signal", {"signal": "SIGINT"}).status == 204
    ended = plain.wait(spinning)
    assert (ended["error"]["ename"], ended["reason"]) == ("KeyboardInterrupt", "interrupted")


def test_k5_the_log_of_a_kernel_that_is_gone(tmp_path: Path) -> None:
    """K5: a kernel that dies again and again is given up; why is still in its log."""
    server = RealServer(tmp_path, nanny=True)
    config = json.loads((tmp_path / "config" / "jupyter_server_config.json").read_text())
    config["AsyncIOLoopKernelRestarter"] = {"restart_limit": 1, "time_to_dead": 0.2}
    (tmp_path / "config" / "jupyter_server_config.json").write_text(json.dumps(config))
    spec = tmp_path / "data" / "kernels" / "flaky"
    spec.mkdir(parents=True)
    flag = tmp_path / "died"
    script = (
        "import os, runpy, sys\n"
        f"if os.path.exists({str(flag)!r}): sys.exit('no licence')\n"
        "runpy.run_module('ipykernel_launcher', run_name='__main__')"
    )
    argv = ["python", "-c", script, "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "flaky", "language": "python"})
    )
    server.start()
    try:
        die = f"import os; open({str(flag)!r}, 'w'); os._exit(1)"
        path = server.notebook("flaky.ipynb", "1", die)
        (first,) = server.run(path, ["c0"], kernel={"name": "flaky"})
        url = f"/api/kernels/{first['kernel_id']}"
        nanny = server.ask("GET", f"{url}/status").json["nanny"]["pid"]
        with following(server, first["kernel_id"]) as log:
            server.run(path, ["c1"])
            seen = log.read()  # to its end: it is not restarted any more
        assert b"no licence" in seen
        assert server.raw("GET", url).status == 404
        while is_running(nanny):  # until it has ended: nothing is left to be done for it
            server.raw("GET", "/api/status")
        left = server.ask("GET", f"{url}/log?offset=0")
        assert (left.status, b"no licence" in left.body) == (200, True)
        assert server.ask("GET", f"{url}/log?follow=1").body == left.body
    finally:
        assert server.stop() == 0


DIES_SLOWLY = """
import atexit, time
def last_words():
    with open("dying", "w") as pipe:
        pipe.write("now")
    time.sleep(0.5)
atexit.register(last_words)
"""


def test_r5_a_server_stops_that_restarts_a_kernel(tmp_path: Path) -> None:
    """R5: told to stop meanwhile, it ends the new process too, and itself."""
    server = RealServer(tmp_path)
    server.start()
    os.mkfifo(server.root / "dying")
    path = server.notebook("slow.ipynb", DIES_SLOWLY)
    (execution,) = server.run(path)
    url = f"/api/kernels/{execution['kernel_id']}/restart"
    restart = threading.Thread(target=server.raw, args=("POST", url, b""))
    restart.start()
    assert (server.root / "dying").read_text() == "now"  # written in the middle of the restart
    assert server.stop() == 0
    restart.join()
    assert server.errors() == []


def test_r5_a_server_stops_that_reads_for_a_request(tmp_path: Path) -> None:
    """R5: told to stop meanwhile, it waits for the thread that reads, and ends."""
    server = RealServer(tmp_path)
    server.start("--ServerApp.contents_manager_class=slow_contents.SlowContents")
    for pipe in ("reading", "go"):
        os.mkfifo(server.root / pipe)
    url = f"/api/contents/{SLOW}"
    request = threading.Thread(target=server.raw, args=("GET", url))
    request.start()
    assert (server.root / "reading").read_text() == "now"
    go_on = threading.Thread(target=go_on_late, args=(server,))
    go_on.start()
    assert server.stop() == 0
    for thread in (go_on, request):
        thread.join()


def go_on_late(server: RealServer) -> None:
    """When all is shut down, and nothing but the request is left."""
    server.until_logged("requests that still read")
    (server.root / "go").write_text("")
