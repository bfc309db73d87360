"""Requests for fuzzing: words of the API in places where they do and do not belong."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from server_standin import DOCUMENT, KERNEL, PATH

NAMES = [
    "path", "document_id", "cells", "code", "insert", "kernel", "on_error", "client_id",
    "time_limit", "allow_stdin", "record_timing", "expected_revision", "cell_id", "source",
    "expected_sha256", "index", "after", "metadata", "source_hash", "request_id", "id", "name",
    "value", "input", "signal", "format", "type", "document_path", "cell_type",
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
# Slashes are encoded: a plain one would lead away from our routes.
raw_path = st.binary(max_size=30).map(lambda raw: quote_from_bytes(raw, safe=""))

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


TEMPLATES = [
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
    ("GET", "/api/kernels/%s/log"),
    ("GET", "/api/kernels/%s/status"),
    ("POST", "/api/kernels/%s/hard-restart"),
    ("GET", f"/api/kernels/{KERNEL}/log?offset=%s"),
    ("GET", f"/api/kernels/{KERNEL}/log?follow=%s"),
    ("PUT", "/api/collaboration/session/%s"),
    ("GET", "/api/collaboration/timeline/%s"),
    ("PUT", "/api/collaboration/undo_redo/%s"),
    ("GET", "/api/collaboration/fork/%s"),
]
