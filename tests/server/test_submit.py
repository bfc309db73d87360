"""POST /api/executions: what is accepted, what is refused, and how."""

from __future__ import annotations

from typing import Any

import pytest
from server_harness import BASE_URL, Server
from server_standin import DOCUMENT, KERNEL, PATH, StandInEngine

from notebook_exec.core.model import Conflict, KernelStartError, LimitExceeded, OnError

URL = "/api/executions"


def test_a1_accepts_cells(server: Server, engine: StandInEngine) -> None:
    """A1: 202, Location, and the executions in the documented shape."""
    answer = server.ask("POST", URL, {"path": PATH, "cells": ["one"]})
    assert answer.status == 202
    (execution,) = answer.json["executions"]
    assert answer.headers["Location"] == f"{BASE_URL}api/executions/{execution['id']}"
    assert execution["queued_at"] == "2023-11-14T22:13:20.250Z"
    assert execution["path"] == PATH and execution["document_id"] == DOCUMENT
    assert execution["state"] == "queued" and execution["position"] == 0
    assert "outputs" not in execution and "started_at" not in execution
    (submission,) = engine.submissions
    assert submission.requested_by.username == execution["requested_by"]["username"]


def test_a1_location_of_many_leads_to_all_of_them(server: Server) -> None:
    """A1: the Location of a request with many cells lists them."""
    answer = server.ask("POST", URL, {"path": PATH, "cells": "all"})
    listed = server.ask("GET", answer.headers["Location"].removeprefix(BASE_URL.rstrip("/")))
    assert [e["id"] for e in listed.json["executions"]] == [
        e["id"] for e in answer.json["executions"]
    ]


def test_a1_every_option_arrives(server: Server, engine: StandInEngine) -> None:
    """A1: all fields reach the engine as they were meant."""
    digest = "AB" * 32
    cell = {"cell_id": "two", "source": "é\n", "expected_sha256": digest}
    body = {
        "document_id": DOCUMENT,
        "cells": ["one", cell],
        "kernel": {"id": KERNEL},
        "on_error": "continue",
        "client_id": "page-1",
        "time_limit": 2.5,
        "allow_stdin": False,
        "record_timing": True,
    }
    assert server.ask("POST", URL, body, Idempotency_Key="k").status == 202
    (got,) = engine.submissions
    assert got.cells[1].source == "é\n" and got.cells[1].expected_sha256 == digest.lower()  # type: ignore[union-attr]
    assert (got.document_id, got.path, got.kernel_id) == (DOCUMENT, None, KERNEL)
    assert (got.on_error, got.client_id, got.time_limit_s) == (OnError.CONTINUE, "page-1", 2.5)
    assert (got.allow_stdin, got.record_timing) == (False, True)
    assert got.idempotency_key is not None and got.idempotency_key.endswith("k")
    assert got.body_sha256 is not None and len(got.body_sha256) == 64


def test_a8_inserts_a_cell(server: Server, engine: StandInEngine) -> None:
    """A8: insert a cell and run it, at an index or after a cell."""
    body = {"path": PATH, "insert": {"source": "1", "index": 0}, "expected_revision": "r1"}
    assert server.ask("POST", URL, body).status == 202
    body = {"path": PATH, "insert": {"source": "2", "after": "one", "metadata": {"tags": ["x"]}}}
    assert server.ask("POST", URL, body).status == 202
    first, second = (submission.insert for submission in engine.submissions)
    assert first is not None and second is not None
    assert (first.index, first.after, first.cell["source"]) == (0, None, "1")
    assert (second.index, second.after) == (None, "one")
    assert second.cell["cell_type"] == "code" and second.cell["metadata"] == {"tags": ["x"]}


def test_a8_runs_code_without_a_cell(server: Server, engine: StandInEngine) -> None:
    """A8: code alone needs a kernel only."""
    answer = server.ask("POST", URL, {"code": "1", "kernel": {"id": KERNEL}})
    assert answer.json["executions"][0]["cell_id"] is None
    assert engine.submissions[0].code == "1"


def test_a8_revision_of_the_past_is_a_conflict(server: Server, engine: StandInEngine) -> None:
    """A8: 409 tells the current revision, and nothing is submitted."""
    answer = server.ask("POST", URL, {"path": PATH, "cells": "all", "expected_revision": "r0"})
    assert answer.status == 409
    assert answer.json["current"] == {"revision": "r1"}
    assert answer.json["reason"] == "revision_mismatch"
    assert engine.submissions == []


def test_a8_document_tells_revision_and_cells(server: Server) -> None:
    """A8: what a script needs before it edits."""
    answer = server.ask("GET", f"/api/executions/document?path={PATH}")
    assert answer.json["revision"] == "r1"
    assert [cell["id"] for cell in answer.json["cells"]] == ["one", "two"]


WRONG: list[tuple[str, Any]] = [
    ("cells", {"path": PATH}),
    ("cells", {"path": PATH, "cells": []}),
    ("cells", {"path": PATH, "cells": "most"}),
    ("cells", {"path": PATH, "cells": 3}),
    ("cells[1]", {"path": PATH, "cells": ["one", 3]}),
    ("cells[0]", {"path": PATH, "cells": ["a b"]}),
    ("cells[0]", {"path": PATH, "cells": [""]}),
    ("cells[0].cell_id", {"path": PATH, "cells": [{"source": "1"}]}),
    ("cells[0].source", {"path": PATH, "cells": [{"cell_id": "one", "source": ["1"]}]}),
    ("cells[0].source", {"path": PATH, "cells": [{"cell_id": "one", "source": "\ud800"}]}),
    (
        "cells[0].expected_sha256",
        {"path": PATH, "cells": [{"cell_id": "one", "expected_sha256": "12"}]},
    ),
    ("cells[0].sorce", {"path": PATH, "cells": [{"cell_id": "one", "sorce": "1"}]}),
    ("code", {"path": PATH, "cells": "all", "code": "1"}),
    ("path", {"cells": "all"}),
    ("path", {"code": "1"}),
    ("path", {"path": "", "cells": "all"}),
    ("path", {"path": "/", "cells": "all"}),
    ("path", {"path": 7, "cells": "all"}),
    ("path", {"path": "../x.ipynb", "cells": "all"}),
    ("path", {"path": "a/../../x.ipynb", "cells": "all"}),
    ("path", {"path": "a\0b", "cells": "all"}),
    ("path", {"path": "x" * 5000, "cells": "all"}),
    ("document_id", {"path": PATH, "document_id": DOCUMENT, "cells": "all"}),
    ("document_id", {"document_id": "json:notebook", "cells": "all"}),
    ("document_id", {"document_id": "json:notebook:../../etc", "cells": "all"}),
    ("kernel", {"path": PATH, "cells": "all", "kernel": "k"}),
    ("kernel", {"path": PATH, "cells": "all", "kernel": {}}),
    ("kernel", {"path": PATH, "cells": "all", "kernel": {"id": "a", "name": "b"}}),
    ("kernel.id", {"path": PATH, "cells": "all", "kernel": {"id": "a/b"}}),
    ("kernel.name", {"path": PATH, "cells": "all", "kernel": {"name": 1}}),
    ("on_error", {"path": PATH, "cells": "all", "on_error": "stopp"}),
    ("on_error", {"path": PATH, "cells": "all", "on_error": []}),
    ("client_id", {"path": PATH, "cells": "all", "client_id": {}}),
    ("time_limit", {"path": PATH, "cells": "all", "time_limit": 0}),
    ("time_limit", {"path": PATH, "cells": "all", "time_limit": -1}),
    ("time_limit", {"path": PATH, "cells": "all", "time_limit": "1"}),
    ("time_limit", {"path": PATH, "cells": "all", "time_limit": True}),
    ("time_limit", {"path": PATH, "cells": "all", "time_limit": 10**400}),
    ("allow_stdin", {"path": PATH, "cells": "all", "allow_stdin": "no"}),
    ("record_timing", {"path": PATH, "cells": "all", "record_timing": 1}),
    ("expected_revision", {"path": PATH, "cells": "all", "expected_revision": 1}),
    ("expected_revision", {"code": "1", "kernel": {"id": KERNEL}, "expected_revision": "r1"}),
    ("cellz", {"path": PATH, "cells": "all", "cellz": 1}),
    ("insert", {"path": PATH, "insert": "1"}),
    ("insert.source", {"path": PATH, "insert": {}}),
    ("insert.index", {"path": PATH, "insert": {"source": "", "index": -1}}),
    ("insert.index", {"path": PATH, "insert": {"source": "", "index": True}}),
    ("insert.index", {"path": PATH, "insert": {"source": "", "index": 10**30}}),
    ("insert.after", {"path": PATH, "insert": {"source": "", "after": "a", "index": 0}}),
    ("insert.cell_type", {"path": PATH, "insert": {"source": "", "cell_type": "raw"}}),
    ("insert.metadata", {"path": PATH, "insert": {"source": "", "metadata": []}}),
    ("insert.metadata", {"path": PATH, "insert": {"source": "", "metadata": {"a": ["\udfff"]}}}),
    ("insert.metadata", {"path": PATH, "insert": {"source": "", "metadata": {"a": 2**70}}}),
]


@pytest.mark.parametrize(("field", "body"), WRONG, ids=[f"{i}-{w[0]}" for i, w in enumerate(WRONG)])
def test_a5_wrong_input_names_its_field(
    server: Server, engine: StandInEngine, field: str, body: Any
) -> None:
    """A5: 400 with the wrong field's name; nothing reaches the engine."""
    answer = server.ask("POST", URL, body)
    assert answer.status == 400, answer.body
    assert answer.json["field"] == field
    assert answer.json["reason"] == "invalid"
    assert engine.submissions == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"cells": NaN}',
        b'{"time_limit": ' + b"9" * 5000 + b"}",
        b"[" * 90_000,
        b'{"a":' * 15_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a5_bodies_that_are_no_json_object(server: Server, body: bytes) -> None:
    """A5: whatever the bytes are, 400 that names the body."""
    answer = server.raw("POST", URL, body)
    assert (answer.status, answer.json["field"]) == (400, "body")


def test_s4_limits_of_a_request(server: Server, engine: StandInEngine) -> None:
    """S4: too large a body and too many cells are told as such."""
    large = {"path": PATH, "cells": [{"cell_id": "one", "source": "x" * 100_000}]}
    answer = server.ask("POST", URL, large)
    assert (answer.status, answer.json["field"], answer.json["reason"]) == (413, "body", "limit")
    answer = server.ask("POST", URL, {"path": PATH, "cells": ["one"] * 51})
    assert (answer.status, answer.json["field"]) == (413, "cells")
    assert engine.submissions == []


def test_s4_a_full_queue_is_429(server: Server, engine: StandInEngine) -> None:
    """S4: what others filled is not the request's own size."""
    engine.fail = LimitExceeded("the queue is full", field="queue")
    answer = server.ask("POST", URL, {"path": PATH, "cells": "all"})
    assert (answer.status, answer.json["reason"]) == (429, "limit")


def test_a1_reused_idempotency_key_is_a_conflict(server: Server, engine: StandInEngine) -> None:
    """A1: same key, other body: 409."""
    engine.fail = Conflict("used before", reason="idempotency_key_reused", field="Idempotency-Key")
    answer = server.ask("POST", URL, {"path": PATH, "cells": "all"}, Idempotency_Key="k")
    assert (answer.status, answer.json["reason"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a5_idempotency_key_is_checked(server: Server, key: str) -> None:
    """A5: a key that cannot be one names the header."""
    answer = server.ask("POST", URL, {"path": PATH, "cells": "all"}, Idempotency_Key=key)
    assert (answer.status, answer.json["field"]) == (400, "Idempotency-Key")


def test_a1_kernel_that_cannot_be_started(server: Server, engine: StandInEngine) -> None:
    """Q10: its reason and its log's tail are told."""
    engine.fail = KernelStartError("no such program", log_tail="sh: nothing")
    answer = server.ask("POST", URL, {"path": PATH, "cells": "all"})
    assert answer.status == 503
    assert answer.json["log_tail"] == "sh: nothing"
