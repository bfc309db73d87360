"""The websocket between a page and its kernel, while a cell of ours runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from real_server import RealServer
from server_harness import TOKEN
from websockets.sync.client import ClientConnection, connect

NEW_KERNEL = json.dumps({"name": "python3"}).encode()
WAIT_S = 30.0  # the cells below wait longer for their gates
GATE = "import os, time\nwhile not os.path.exists({!r}): time.sleep(0.02)\n"


@pytest.fixture(scope="module", params=[True, False], ids=["nanny", "no nanny"])
def has_nanny(request: pytest.FixtureRequest) -> bool:
    with_nanny: bool = request.param
    return with_nanny


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, has_nanny: bool) -> Iterator[RealServer]:
    server = RealServer(tmp_path_factory.mktemp("real"), nanny=has_nanny)
    server.start()
    yield server
    assert server.stop() == 0, "".join(server.log)
    assert server.errors() == []


class Page:
    """A page's connection to a kernel, by the older protocol, whose messages are JSON."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._session = uuid4().hex
        self.kernel_sessions: set[str] = set()
        """Where there is a second, JupyterLab drops what it has not handled yet."""

    def send(self, msg_type: str, **content: Any) -> None:
        """On shell."""
        header = {
            "msg_id": uuid4().hex,
            "msg_type": msg_type,
            "session": self._session,
            "username": "ada",
            "date": "2026-01-01T00:00:00Z",
            "version": "5.3",
        }
        empty: dict[str, Any] = {"parent_header": {}, "metadata": {}, "buffers": []}
        message = {"channel": "shell", "header": header, "content": content, **empty}
        self._socket.send(json.dumps(message))

    def until(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first message that is wanted."""
        while True:
            frame = self._socket.recv(timeout=WAIT_S)
            if isinstance(frame, bytes):  # the first numbers say where its parts begin
                count = int.from_bytes(frame[:4], "big")
                ends = [int.from_bytes(frame[4 * i : 4 * i + 4], "big") for i in (1, 2)]
                frame = frame[ends[0] : ends[1] if count > 1 else None].decode()
            message: dict[str, Any] = json.loads(frame)
            self.kernel_sessions.add(message["header"]["session"])
            if wanted(message):
                return message


@pytest.fixture
def page_of(real: RealServer) -> Iterator[Callable[[str], Page]]:
    """Connects a page to a kernel."""
    with ExitStack() as opened:

        def open_page(kernel_id: str) -> Page:
            url = f"ws://127.0.0.1:{real.port}/base/api/kernels/{kernel_id}/channels?token={TOKEN}"
            socket = connect(f"{url}&session_id={uuid4().hex}", open_timeout=WAIT_S)
            return Page(opened.enter_context(socket))

        yield open_page


def state_of(real: RealServer, execution: dict[str, Any], wait_s: float = 0) -> str:
    """Whether it is queued, runs or is over; ``wait_s``: in so many seconds, if it is not then."""
    state: str = real.ask("GET", f"/api/executions/{execution['id']}?wait={wait_s}").json["state"]
    return state


def until_it_runs(real: RealServer, execution: dict[str, Any]) -> None:
    """A wait is for what ends, so it is asked again and again whether it has begun."""
    for _ in range(100):
        if state_of(real, execution, 0.2) == "running":
            return
    raise AssertionError("it does not run")


def comm_data(message: dict[str, Any]) -> dict[str, Any]:
    """The data of a comm_msg; empty for other messages."""
    is_comm = message["header"]["msg_type"] == "comm_msg"
    data: dict[str, Any] = message["content"]["data"] if is_comm else {}
    return data


def test_u4_a_kernel_that_began_with_a_cell_is_connected_to(
    real: RealServer, page_of: Callable[[str], Page]
) -> None:
    """U4: jupyter_server asks a kernel who it is, and waits a minute behind the cell for it."""
    path = real.notebook("begins.ipynb", GATE.format(str(real.root / "begins.gate")))
    kernel_id = real.raw("POST", "/api/kernels", NEW_KERNEL).json["id"]
    (execution,) = real.submit(path, kernel={"id": kernel_id})
    until_it_runs(real, execution)
    page = page_of(kernel_id)
    assert state_of(real, execution) == "running"
    # Answered behind the cell; what the kernel publishes may still pass a page that just came.
    page.send("kernel_info_request")
    (real.root / "begins.gate").touch()
    page.until(lambda message: message["header"]["msg_type"] == "kernel_info_reply")
    assert real.wait(execution)["state"] == "finished"


def test_o12_widgets_are_told_while_a_cell_runs(
    real: RealServer, page_of: Callable[[str], Page], has_nanny: bool
) -> None:
    """O12: to a page that comes in the middle; and what is captured is shown as it comes."""
    source = "\n".join(
        (
            "import ipywidgets as w",
            "s, out = w.IntSlider(3, description='dial'), w.Output()",
            "display(s, out)",
            "with out: print('early')",
            GATE.format(str(real.root / "one.gate")),
            "s.value = 4",
            "with out: print('late')",
            GATE.format(str(real.root / "two.gate")),
        )
    )
    path = real.notebook("widgets.ipynb", source)
    kernel_id = real.raw("POST", "/api/kernels", NEW_KERNEL).json["id"]
    (execution,) = real.submit(path, kernel={"id": kernel_id})
    first = page_of(kernel_id)
    first.until(lambda message: "early" in json.dumps(comm_data(message)))

    page = page_of(kernel_id)
    if has_nanny:  # which answers while a cell runs, and JupyterLab begins with that
        page.send("kernel_info_request")
        page.until(lambda message: message["header"]["msg_type"] == "kernel_info_reply")
    comm_id = uuid4().hex
    page.send("comm_open", comm_id=comm_id, target_name="jupyter.widget.control", data={})
    page.send("comm_msg", comm_id=comm_id, data={"method": "request_states"})
    answer = page.until(lambda message: message["content"].get("comm_id") == comm_id)
    states = {s["model_name"]: s["state"] for s in answer["content"]["data"]["states"].values()}
    assert states["IntSliderModel"]["value"] == 3
    assert [o["text"] for o in states["OutputModel"]["outputs"]] == ["early\n"]

    (real.root / "one.gate").touch()
    page.until(lambda message: comm_data(message).get("state", {}).get("value") == 4)
    page.until(lambda message: "late" in json.dumps(comm_data(message)))
    assert state_of(real, execution) == "running"
    (real.root / "two.gate").touch()
    assert all("text" not in output for output in real.wait(execution)["outputs"])
    if has_nanny:
        assert len(page.kernel_sessions) == 1


def test_k10_a_page_gets_a_part_of_a_flood(
    real: RealServer, page_of: Callable[[str], Page]
) -> None:
    """K10, O1: it has all of it by the document, and is told of no limit that it passed."""
    source = "for i in range(6000): print('line', i, flush=True)"
    path = real.notebook("flood.ipynb", "pass", source)
    kernel_id = real.raw("POST", "/api/kernels", NEW_KERNEL).json["id"]
    page = page_of(kernel_id)
    executions = real.submit(path, kernel={"id": kernel_id})
    told: list[str] = []

    def is_over(message: dict[str, Any]) -> bool:
        if message["header"]["msg_type"] == "stream":
            told.append(message["content"]["text"])
        is_idle: bool = message["content"].get("execution_state") == "idle"
        return is_idle and bool(told) and message["parent_header"]["msg_type"] == "execute_request"

    page.until(is_over)
    assert 0 < len(told) < 1000
    assert not any("rate exceeded" in text for text in told)
    (text,) = (output["text"] for output in real.wait(executions[-1])["outputs"])
    assert len(str(text).splitlines()) == 6000
