"""A3: the execute routes of three other projects."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from server_harness import Server
from server_standin import DOCUMENT, KERNEL, PATH, StandInEngine

from notebook_exec.core.model import Conflict, ExecutionId, ExecutionState, Prompt
from notebook_exec.engine.source_hash import murmur2_decimal

URL = f"/api/kernels/{KERNEL}"


def nbmodel(server: Server) -> tuple[str, str]:
    """The id and the Location of a run as jupyter-server-nbmodel submits it."""
    metadata = {"document_id": DOCUMENT, "cell_id": "one", "document_path": PATH}
    body = {"code": "1 + 1", "metadata": {**metadata, "record_timing": True}}
    answer = server.ask("POST", f"{URL}/execute", body)
    assert answer.status == 202
    return answer.json["request_id"], answer.headers["Location"]


def test_a3_nbmodel_submits_a_cell(server: Server, engine: StandInEngine) -> None:
    """A3: code and cell; the Location has no base URL, as its clients join it to theirs."""
    known, location = nbmodel(server)
    assert location == f"{URL}/requests/{known}"
    (got,) = engine.submissions
    (cell,) = got.cells
    assert not isinstance(cell, str)
    assert (cell.cell_id, cell.source, got.document_id) == ("one", "1 + 1", DOCUMENT)
    assert (got.kernel_id, got.record_timing, got.code) == (KERNEL, True, None)


def test_a3_nbmodel_submits_code_alone(server: Server, engine: StandInEngine) -> None:
    """A3: without metadata it is code without a cell."""
    assert server.ask("POST", f"{URL}/execute", {"code": "2"}).status == 202
    assert engine.submissions[0].code == "2"


def test_a3_nbmodel_reads_until_it_is_over(server: Server, engine: StandInEngine) -> None:
    """A3: 202, 300, 202, 200; the result can be read again. [read once only]"""
    known, location = nbmodel(server)
    execution_id = ExecutionId(known)
    answer = server.ask("GET", location)
    assert (answer.status, answer.json["pending"]) == (202, True)
    prompt = {"state": ExecutionState.WAITING_INPUT, "prompt": Prompt("name? ", False)}
    server.call(engine.change(execution_id, **prompt))
    answer = server.ask("GET", location)
    assert answer.status == 300
    assert answer.json["input_request"] == {"prompt": "name? ", "password": False}
    assert answer.json["parent_header"]["msg_id"] == known
    assert answer.headers["Location"] == f"{URL}/input"
    assert server.ask("POST", answer.headers["Location"], {"input": "x"}).status == 201
    assert engine.answers == [(known, "x")]
    engine.kept[execution_id] = [{"output_type": "stream", "name": "stdout", "text": "2"}]
    end = {"state": ExecutionState.FINISHED, "execution_count": 5}
    server.call(engine.change(execution_id, **end))
    for _ in range(2):
        answer = server.ask("GET", location)
        assert (answer.status, answer.json["status"]) == (200, "ok")
        assert answer.json["execution_count"] == 5
        assert json.loads(answer.json["outputs"])[0]["text"] == "2"


def test_a3_nbmodel_lists_and_cancels(server: Server, engine: StandInEngine) -> None:
    """A3: what is not over is listed; DELETE cancels it."""
    known, location = nbmodel(server)
    listed = server.ask("GET", f"{URL}/execute").json
    assert [request["request_id"] for request in listed["requests"]] == [known]
    assert server.ask("DELETE", location).status == 204
    assert engine.executions[ExecutionId(known)].state is ExecutionState.CANCELLED
    assert server.ask("GET", location).json["status"] == "aborted"
    assert server.ask("GET", f"{URL}/execute").json["requests"] == []


def test_a3_input_without_a_prompt_is_a_conflict(server: Server) -> None:
    """P2: an answer that nobody waits for gets 409."""
    answer = server.ask("POST", f"{URL}/input", {"input": "x"})
    assert (answer.status, answer.json["reason"]) == (409, "no_prompt")


def test_a3_request_of_another_kernel_is_not_found(server: Server) -> None:
    """A3: the kernel in the URL must be the execution's."""
    known, _ = nbmodel(server)
    assert server.ask("GET", f"/api/kernels/other/requests/{known}").status == 404


def test_a3_collaboration_runs_the_cell_of_the_document(
    server: Server, engine: StandInEngine
) -> None:
    """A3: jupyter-collaboration's front end sends the cell's id alone, and wants a 2xx."""
    body = {"cell_id": "one", "document_id": DOCUMENT}
    assert server.ask("POST", f"{URL}/execute", body).status == 202
    (cell,) = engine.submissions[0].cells
    assert not isinstance(cell, str) and cell.source is None


def server_documents(**more: Any) -> dict[str, Any]:
    cells = [{"cell_id": "one", "source_hash": murmur2_decimal("1")}]
    return {"document_id": DOCUMENT, "cells": cells, "client_id": "7", **more}


def test_a3_server_documents_is_answered_with_null(server: Server, engine: StandInEngine) -> None:
    """A3: 200 null."""
    answer = server.ask("POST", f"{URL}/execute", server_documents(request_id="r1"))
    assert (answer.status, answer.json) == (200, None)
    (cell,) = engine.submissions[0].cells
    assert not isinstance(cell, str) and cell.expected_murmur2 == murmur2_decimal("1")
    assert engine.submissions[0].client_id == "7"


def test_a3_server_documents_may_send_a_path(server: Server, engine: StandInEngine) -> None:
    """A3: its front end sends the path where it does not know the document's id."""
    body = {**server_documents(), "document_id": PATH}
    assert server.ask("POST", f"{URL}/execute", body).status == 200
    assert engine.submissions[0].path == PATH


def test_a3_server_documents_is_told_of_another_source(
    server: Server, engine: StandInEngine
) -> None:
    """A3: 409 with exactly these two keys."""
    engine.fail = Conflict("x", reason="source_mismatch", current={"cell_id": "one", "sha256": ""})
    answer = server.ask("POST", f"{URL}/execute", server_documents())
    assert answer.status == 409
    assert answer.json == {"error": "source_mismatch", "cell_id": "one"}


def test_a3_server_documents_requests_keep_their_order(
    server: Server, engine: StandInEngine
) -> None:
    """A3: a request waits for the one it follows, also when that one comes later."""
    second = server_documents(request_id="2", previous_request_id="1")
    second["client_id"] = "second"
    sent = threading.Thread(target=lambda: server.ask("POST", f"{URL}/execute", second))
    sent.start()
    first = server_documents(request_id="1")
    first["client_id"] = "first"
    server.ask("POST", f"{URL}/execute", first)
    sent.join(10)
    assert [submission.client_id for submission in engine.submissions] == ["first", "second"]


def test_a3_a_predecessor_that_never_comes_is_408(server: Server, engine: StandInEngine) -> None:
    """A3: and nothing is run."""
    server.services.predecessors._timeout_s = 0.01
    try:
        body = server_documents(previous_request_id="lost")
        answer = server.ask("POST", f"{URL}/execute", body)
    finally:
        server.services.predecessors._timeout_s = 10.0
    assert answer.status == 408
    assert engine.submissions == []


def test_a3_the_hash_is_that_of_the_front_end() -> None:
    """A3: MurmurHash2, seed 0, of the UTF-8 source; the first is from its own tests."""
    assert murmur2_decimal("1 + 1") == "3531899427"
    assert murmur2_decimal("") == "0"
    lengths = {murmur2_decimal("é" + "x" * n) for n in range(8)}
    assert len(lengths) == 8


WRONG: list[tuple[str, Any]] = [
    ("code", {}),
    ("code", {"code": 3}),
    ("metadata", {"code": "1", "metadata": [1]}),
    ("metadata.document_id", {"code": "1", "metadata": {"document_id": 3, "cell_id": "one"}}),
    ("metadata.cell_id", {"code": "1", "metadata": {"document_id": DOCUMENT, "cell_id": []}}),
    ("metadata.document_path", {"code": "1", "metadata": {"document_path": "../x"}}),
    ("document_id", {"cell_id": "one"}),
    ("document_id", {"cell_id": "one", "document_id": "x"}),
    ("cell_id", {"cell_id": None, "document_id": DOCUMENT}),
    ("document_id", {"cells": []}),
    ("cells", {"document_id": DOCUMENT, "cells": []}),
    ("cells", {"document_id": DOCUMENT, "cells": "all"}),
    ("cells[0]", {"document_id": DOCUMENT, "cells": ["one"]}),
    ("cells[0].cell_id", {"document_id": DOCUMENT, "cells": [{}]}),
    ("cells[0].source_hash", {"document_id": DOCUMENT, "cells": [{"cell_id": "one"}]}),
    (
        "cells[0].source_hash",
        {"document_id": DOCUMENT, "cells": [{"cell_id": "one", "source_hash": "xyz"}]},
    ),
    ("request_id", server_documents(request_id=3)),
    ("client_id", {**server_documents(), "client_id": 3}),
]


@pytest.mark.parametrize(("field", "body"), WRONG, ids=[f"{i}-{w[0]}" for i, w in enumerate(WRONG)])
def test_a5_wrong_bodies_name_their_field(
    server: Server, engine: StandInEngine, field: str, body: Any
) -> None:
    """A5: 400 with the wrong field's name; nothing is submitted."""
    answer = server.ask("POST", f"{URL}/execute", body)
    assert (answer.status, answer.json["field"]) == (400, field)
    assert engine.submissions == []


def test_a5_input_must_be_text(server: Server) -> None:
    """A5: missing or wrong."""
    for body in ({}, {"input": 3}, {"input": None}):
        answer = server.ask("POST", f"{URL}/input", body)
        assert (answer.status, answer.json["field"]) == (400, "input")
