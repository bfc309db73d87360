"""A5: no input makes the server fail, whatever it is; seeds that failed become named examples."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from server_harness import Server
from server_standin import DOCUMENT, KERNEL, PATH, StandInEngine

NAMES = [
    "path", "document_id", "cells", "code", "insert", "kernel", "on_error", "client_id",
    "time_limit", "allow_stdin", "record_timing", "expected_revision", "cell_id", "source",
    "expected_sha256", "index", "after", "metadata", "source_hash", "request_id", "id", "name",
    "value", "input", "format", "type", "document_path", "cell_type",
]  # fmt: skip
GOOD: list[Any] = [PATH, DOCUMENT, KERNEL, "one", "two", "all", "stop", "code", "json", "notebook"]

text = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**63, max_value=2**2000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | st.sampled_from(GOOD)
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | text, inner, max_size=5)
    ),
    max_leaves=25,
)
bodies = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)
raw_path = st.binary(max_size=30).map(lambda raw: quote_from_bytes(raw, safe="/"))

POSTS = [
    "/api/executions",
    "/api/executions/x/input",
    f"/api/kernels/{KERNEL}/execute",
    f"/api/kernels/{KERNEL}/input",
]
fuzz = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


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
    template=st.sampled_from(
        [
            ("GET", "/api/executions/%s"),
            ("DELETE", "/api/executions/%s"),
            ("GET", "/api/executions/%s/log"),
            ("GET", "/api/executions?path=%s"),
            ("GET", "/api/executions?state=%s"),
            ("GET", "/api/executions?kernel_id=%s"),
            ("GET", "/api/executions?document_id=%s"),
            ("GET", "/api/executions?limit=%s"),
            ("DELETE", "/api/executions?path=%s"),
            ("DELETE", "/api/executions?request_id=%s"),
            ("GET", "/api/executions/document?path=%s"),
            ("GET", "/api/executions/x?wait=%s"),
            ("GET", "/api/kernels/%s/execute"),
            ("GET", f"/api/kernels/{KERNEL}/requests/%s"),
            ("PUT", "/api/collaboration/session/%s"),
            ("GET", "/api/collaboration/timeline/%s"),
            ("PUT", "/api/collaboration/undo_redo/%s"),
            ("GET", "/api/collaboration/fork/%s"),
        ]
    ),
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
