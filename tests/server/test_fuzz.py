"""A5: no input makes the server fail, whatever it is; seeds that failed become named examples."""

from __future__ import annotations

import json
from typing import Any

from fuzzing import POSTS, TEMPLATES, bodies, fuzz, raw_path
from hypothesis import example, given
from hypothesis import strategies as st
from server_harness import Server
from server_standin import KERNEL, PATH, StandInEngine


@fuzz
@given(path=st.sampled_from(POSTS), body=bodies)
@example(path=POSTS[0], body={"code": "1", "kernel": {"id": KERNEL}, "time_limit": 2**2000})
@example(path=POSTS[0], body={"\ud800": 1})
def test_a5_any_json(server: Server, engine: StandInEngine, path: str, body: Any) -> None:
    """A5: any JSON object is accepted or refused with 4xx that says why; none changes half."""
    before = len(engine.executions)
    answer = server.raw("POST", path, json.dumps(body).encode())
    assert answer.status < 500, answer.body
    if answer.status >= 400:
        assert {"message", "reason"} <= answer.json.keys() or "error" in answer.json
        assert len(engine.executions) == before
    if answer.status == 400:
        assert answer.json["field"]


@fuzz
@given(
    path=st.sampled_from(POSTS),
    body=st.binary(max_size=200),
    kind=st.sampled_from(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "x",
        ]
    ),
)
@example(path=POSTS[0], body=b"--x\r\n", kind="multipart/form-data; boundary=x")
@example(path=POSTS[0], body=b"a=%ff", kind="application/x-www-form-urlencoded")
def test_a5_any_bytes(server: Server, path: str, body: bytes, kind: str) -> None:
    """A5: bytes that are no JSON, under any content type."""
    headers = {"Authorization": "token the-token", "Content-Type": kind}
    assert 400 <= server.raw("POST", path, body, headers).status < 500


@fuzz
@given(
    template=st.sampled_from(TEMPLATES),
    name=raw_path,
)
@example(template=("GET", "/api/executions/%s"), name="%00")
@example(template=("GET", "/api/executions?path=%s"), name="%ed%a0%80")
def test_a5_any_name(server: Server, template: tuple[str, str], name: str) -> None:
    """A5: any bytes in a path or a query."""
    method, path = template
    body = b'{"format": "json", "type": "notebook"}' if method == "PUT" else None
    answer = server.raw(method, path % name, body)
    assert answer.status < 500, (answer.status, answer.body)


@fuzz
@given(body=bodies)
def test_a5_any_session(server: Server, body: Any) -> None:
    """A5: the same for the route of rooms."""
    answer = server.raw("PUT", f"/api/collaboration/session/{PATH}", json.dumps(body).encode())
    assert answer.status in (200, 400), answer.body
