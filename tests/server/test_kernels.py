"""What the routes for one kernel take and answer, over a stand-in of the kernels."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from server_harness import Server
from server_standin import KERNEL, StandInEngine

URL = f"/api/kernels/{KERNEL}"
NOBODY = "/api/kernels/00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("SIGUSR1", signal.SIGUSR1),
        ("usr1", signal.SIGUSR1),
        (int(signal.SIGTERM), signal.SIGTERM),
        ("SIGKILL", signal.SIGKILL),
    ],
)
def test_a4_signal(server: Server, engine: StandInEngine, given: Any, number: int) -> None:
    """A4: by name or by number."""
    assert server.ask("POST", f"{URL}/signal", {"signal": given}).status == 204
    assert engine.kernels.done == [number]


@pytest.mark.parametrize(
    "given", ["SIGNOTHING", "", "9", 0, -9, 65, 2**70, 1.5, True, None, [9], {"a": 1}, "\u0130"]
)
def test_a5_what_is_no_signal(server: Server, engine: StandInEngine, given: Any) -> None:
    """A5: what cannot be sent is refused by name, and nothing is sent."""
    answer = server.ask("POST", f"{URL}/signal", {"signal": given})
    assert (answer.status, answer.json["field"]) == (400, "signal")
    assert engine.kernels.done == []


@pytest.mark.parametrize(("body", "field"), [({}, "signal"), ({"signal": 9, "to": 1}, "to")])
def test_a5_signal_fields(server: Server, engine: StandInEngine, body: Any, field: str) -> None:
    """A5: what is missing or unknown is named."""
    answer = server.ask("POST", f"{URL}/signal", body)
    assert (answer.status, answer.json["field"]) == (400, field)
    assert engine.kernels.done == []


def test_a4_hard_restart(server: Server, engine: StandInEngine) -> None:
    """A4: with an empty body or an empty object; answers with the kernel's model."""
    answer = server.ask("POST", f"{URL}/hard-restart")
    assert (answer.status, answer.json["id"]) == (200, KERNEL)
    assert server.ask("POST", f"{URL}/hard-restart", {}).status == 200
    assert engine.kernels.done == ["hard_restart"] * 2
    refused = server.ask("POST", f"{URL}/hard-restart", {"now": True})
    assert (refused.status, refused.json["field"]) == (400, "now")
    assert engine.kernels.done == ["hard_restart"] * 2


def test_a4_status(server: Server) -> None:
    """A4: exactly the fields of the specification."""
    body = server.ask("GET", f"{URL}/status").json
    assert list(body) == [
        *("kernel_id", "state", "pid", "cpu_percent", "rss_bytes", "uptime_s"),
        *("nanny", "allocation"),
    ]


def test_a4_log(server: Server, engine: StandInEngine) -> None:
    """A4: text from an offset in bytes, and where to go on."""
    answer = server.ask("GET", f"{URL}/log")
    assert answer.body == engine.kernels.log_text
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (answer.headers["X-Log-Offset"], answer.headers["X-Log-End"]) == ("0", "13")
    assert "Content-Disposition" not in answer.headers
    rest = server.ask("GET", f"{URL}/log?offset=6&follow=1&download=1")
    assert (rest.headers["X-Log-Offset"], rest.body) == ("6", b"line 2\n")
    assert rest.headers["Content-Disposition"] == f'attachment; filename="kernel-{KERNEL}.log"'
    assert engine.kernels.done == [("log", False), ("log", True)]
    beyond = server.ask("GET", f"{URL}/log?offset=999")
    assert (beyond.headers["X-Log-Offset"], beyond.body) == ("13", b"")


@pytest.mark.parametrize(
    ("query", "field"),
    [("offset=-1", "offset"), ("offset=x", "offset"), ("offset=1e3", "offset"),
     ("follow=yes", "follow"), ("follow=%ff", "follow"), ("download=2", "download")],
)  # fmt: skip
def test_a5_log_arguments(server: Server, query: str, field: str) -> None:
    """A5: what is wrong is named."""
    answer = server.ask("GET", f"{URL}/log?{query}")
    assert (answer.status, answer.json["field"]) == (400, field)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "signal", {"signal": 15}), ("POST", "hard-restart", None), ("GET", "log", None),
     ("GET", "status", None)],
)  # fmt: skip
def test_a5_no_such_kernel(server: Server, method: str, path: str, body: Any) -> None:
    """A5: a kernel that is not there, an id that is none."""
    answer = server.ask(method, f"{NOBODY}/{path}", body)
    assert (answer.status, answer.json["field"]) == (404, "kernel_id")
    answer = server.ask(method, f"/api/kernels/no%20id/{path}", body)
    assert (answer.status, answer.json["field"]) == (400, "kernel_id")
