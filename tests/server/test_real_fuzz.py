"""A5: no input makes a real server fail, and what is refused changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fuzzing import POSTS, TEMPLATES, bodies, fuzz, raw_path
from hypothesis import example, given
from hypothesis import strategies as st
from real_server import RealServer
from server_standin import DOCUMENT, KERNEL, PATH

DOCUMENT_URL = f"/api/executions/document?path={PATH}"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    server = RealServer(tmp_path_factory.mktemp("fuzzed"))
    (server.root / "folder").mkdir()
    server.start()
    yield server
    assert server.stop() == 0, "".join(server.log)
    assert server.errors() == []


@pytest.fixture(scope="module")
def names(real: RealServer) -> tuple[str, str]:
    """The ids of the document and of its kernel."""
    real.notebook(PATH, "1", "2")
    (warm,) = real.run(PATH, ["c0"])
    return warm["document_id"], warm["kernel_id"]


@fuzz
@given(path=st.sampled_from(POSTS), body=bodies)
@example(path=POSTS[0], body={"path": PATH, "insert": {"source": "", "metadata": {"": {}}}})
@example(path=POSTS[0], body={"path": PATH, "cells": ["c0", "c0"], "time_limit": 1e300})
def test_a5_any_json(real: RealServer, names: tuple[str, str], path: str, body: Any) -> None:
    """A5: accepted, or refused with 4xx and the notebook as it was."""
    document_id, kernel_id = names
    text = json.dumps(body).replace(DOCUMENT, document_id).replace(KERNEL, kernel_id)
    before = real.ask("GET", DOCUMENT_URL).json["revision"]
    answer = real.raw("POST", path.replace(KERNEL, kernel_id), text.encode())
    assert answer.status < 500, answer.body
    if answer.status >= 400:
        assert real.ask("GET", DOCUMENT_URL).json["revision"] == before
    if answer.status == 400:
        assert answer.json["field"]


@fuzz
@given(template=st.sampled_from(TEMPLATES), name=raw_path)
@example(template=("GET", "/api/executions/document?path=%s"), name="%00")
@example(template=("PUT", "/api/collaboration/session/%s"), name="%ff/%fe")
@example(template=("PUT", "/api/collaboration/session/%s"), name="x" * 4000)
def test_a5_any_name(real: RealServer, template: tuple[str, str], name: str) -> None:
    """A5: any bytes in a path or a query."""
    method, path = template
    body = b'{"format": "json", "type": "notebook"}' if method == "PUT" else None
    answer = real.raw(method, path % name, body)
    assert answer.status < 500, (answer.status, answer.body)
