"""The executions API over real kernels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from real_server import RealServer
from test_streams import listening, read_event

URL = "/api/executions"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    server = RealServer(tmp_path_factory.mktemp("real"))
    server.start()
    yield server
    assert server.stop() == 0, "".join(server.log)
    assert server.errors() == []


def stream_text(execution: dict[str, Any]) -> str:
    return "".join(o["text"] for o in execution["outputs"] if o["output_type"] == "stream")


def test_a1_runs_a_notebook_that_nobody_has_open(real: RealServer) -> None:
    """A1: its kernel is started through the session manager, the outputs end in the file."""
    path = real.notebook("nobody.ipynb", "x = 6 * 7", "print(x)\nx", "'\\u20ac'")
    first, second, third = real.run(path)
    assert [e["state"] for e in (first, second, third)] == ["finished"] * 3
    assert [e["execution_count"] for e in (first, second, third)] == [1, 2, 3]
    assert stream_text(second) == "42\n"
    assert second["outputs"][1]["data"] == {"text/plain": "42"}
    (session,) = real.raw("GET", "/api/sessions").json
    assert (session["path"], session["kernel"]["id"]) == (path, first["kernel_id"])
    assert real.raw("DELETE", f"/api/sessions/{session['id']}").status == 204


def test_a1_failed_cell_stops_the_rest(real: RealServer) -> None:
    """A1, Q6: error and reason are told; the file has what ran."""
    path = real.notebook("fails.ipynb", "1/0", "2")
    first, second = real.run(path)
    assert (first["state"], first["error"]["ename"]) == ("failed", "ZeroDivisionError")
    assert first["outputs"][0]["output_type"] == "error"
    assert (second["state"], second["reason"]) == ("cancelled", "earlier_error")


def test_a1_retry_with_the_same_key_runs_once(real: RealServer) -> None:
    """A1: same key and body: same answer; other body: 409."""
    path = real.notebook("retry.ipynb", "n = globals().get('n', 0) + 1\nn")
    body = {"path": path, "cells": ["c0"]}
    first = real.ask("POST", URL, body, Idempotency_Key="key-1")
    real.wait(first.json["executions"][0])
    again = real.ask("POST", URL, body, Idempotency_Key="key-1")
    assert again.json["request_id"] == first.json["request_id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json["executions"][0]["id"] == first.json["executions"][0]["id"]
    other = real.ask("POST", URL, {"path": path, "cells": "all"}, Idempotency_Key="key-1")
    assert (other.status, other.json["reason"]) == (409, "idempotency_key_reused")
    assert real.run(path)[0]["outputs"][0]["data"]["text/plain"] == "2"


def test_q3_expected_source_is_compared(real: RealServer) -> None:
    """Q3: another source than the expected: 409, nothing runs."""
    path = real.notebook("expected.ipynb", "1")
    cell = {"cell_id": "c0", "expected_sha256": "0" * 64}
    answer = real.ask("POST", URL, {"path": path, "cells": [cell]})
    assert (answer.status, answer.json["reason"]) == (409, "source_mismatch")
    assert answer.json["field"].startswith("cells[0]")
    assert real.ask("GET", f"{URL}?path={path}").json["executions"] == []


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"path": "missing.ipynb", "cells": "all"}, 404, "path"),
        ({"path": "wrong.ipynb", "cells": ["nowhere"]}, 404, "cells[0]"),
        ({"path": "wrong.ipynb", "cells": ["c0"], "kernel": {"id": "none"}}, 404, "kernel.id"),
        ({"path": "wrong.ipynb", "cells": ["c0"], "kernel": {"name": "none"}}, 400, "kernel.name"),
        ({"document_id": "json:notebook:none", "cells": "all"}, 404, "document_id"),
        ({"path": "wrong.txt", "cells": "all"}, 400, "path"),
        ({"path": "folder", "cells": "all"}, 400, "path"),
        ({"path": "x" * 300 + ".ipynb", "cells": "all"}, 400, "path"),
        ({"path": "wrong.ipynb/x", "cells": "all"}, 400, "path"),
        ({"path": ".hidden/x.ipynb", "cells": "all"}, 404, "path"),
        (
            {"path": "wrong.ipynb", "insert": {"source": "1", "after": "nowhere"}},
            404,
            "insert.after",
        ),
    ],
)
def test_a5_what_is_not_there(real: RealServer, body: Any, status: int, field: str) -> None:
    """A5: files, cells and kernels that are not there name their field; nothing is started."""
    real.notebook("wrong.ipynb", "1")
    (real.root / "wrong.txt").write_text("no notebook")
    (real.root / "folder").mkdir(exist_ok=True)
    before = real.raw("GET", "/api/kernels").json
    answer = real.ask("POST", URL, body)
    assert (answer.status, answer.json.get("field")) == (status, field), answer.body
    assert real.raw("GET", "/api/kernels").json == before


def test_a7_without_stdin_input_raises(real: RealServer) -> None:
    """A7: input() raises in the cell, and the kernel stays usable."""
    path = real.notebook("no_stdin.ipynb", "input()", "1")
    (execution,) = real.run(path, ["c0"], allow_stdin=False)
    assert execution["state"] == "failed"
    assert execution["error"]["ename"] == "StdinNotImplementedError"
    assert real.run(path, ["c1"])[0]["state"] == "finished"


def test_p2_prompt_is_answered_over_http(real: RealServer) -> None:
    """P2, P3: the wait ends at the prompt; a late answer gets 409; a password is nowhere."""
    source = "import getpass\nlen(getpass.getpass('pw? '))"
    path = real.notebook("prompt.ipynb", source)
    (execution,) = real.submit(path)
    waiting = real.until_prompt(execution)
    assert waiting["prompt"] == {"prompt": "pw? ", "password": True}
    assert waiting["state"] == "waiting_input"
    answer_url = f"{URL}/{execution['id']}/input"
    assert real.ask("POST", answer_url, {"value": "hunter2!"}).status == 200
    ended = real.wait(execution)
    assert ended["outputs"][-1]["data"]["text/plain"] == "8"
    assert "hunter2" not in json.dumps(ended)
    assert real.ask("POST", answer_url, {"value": "late"}).status == 409
    assert not any("hunter2" in line for line in real.log)


def test_a2_events_of_a_real_run(real: RealServer) -> None:
    """A2: each state once and in order, resumed from the beginning."""
    path = real.notebook("events.ipynb", "1")
    (execution,) = real.run(path)
    states = []
    with listening(real, f"?path={path}", Last_Event_ID="0") as events:
        while states[-1:] != ["finished"]:
            told = json.loads(read_event(events)["data"])
            assert told["id"] == execution["id"]
            states.append(told["state"])
    assert list(dict.fromkeys(states)) == ["queued", "running", "finished"]


def test_q7_running_cell_is_cancelled(real: RealServer) -> None:
    """Q7: DELETE interrupts it; it ends cancelled, and the next runs."""
    path = real.notebook("cancel.ipynb", "input()\nimport time\ntime.sleep(60)", "1")
    (execution,) = real.submit(path, ["c0"])
    assert real.until_prompt(execution)["state"] == "waiting_input"  # in its own code
    real.ask("POST", f"{URL}/{execution['id']}/input", {"value": ""})
    real.ask("DELETE", f"{URL}/{execution['id']}")
    ended = real.wait(execution)
    assert (ended["state"], ended["reason"]) == ("cancelled", "cancelled")
    assert real.run(path, ["c1"])[0]["state"] == "finished"


def test_a8_inserts_runs_and_returns_structured_data(real: RealServer) -> None:
    """A8: cells at an index and after another, run in one request, saved; mime types come back."""
    path = real.notebook("agent.ipynb", "a = 1")
    source = "display({'image/png': 'iVBORw0KGgo=', 'text/plain': 'p'}, raw=True)"
    first = {"source": source, "index": 0}
    answer = real.ask("POST", URL, {"path": path, "insert": first})
    assert answer.status == 202, answer.body
    shown = real.wait(answer.json["executions"][0])["outputs"][0]
    assert shown["data"] == {"image/png": "iVBORw0KGgo=", "text/plain": "p"}
    body = {"path": path, "insert": {"source": "a + 1", "after": "c0"}}
    real.run(path, ["c0"])
    second = real.wait(real.ask("POST", URL, body).json["executions"][0])
    assert second["outputs"][0]["data"]["text/plain"] == "2"
    document = real.ask("GET", f"{URL}/document?path={path}").json
    inserted = answer.json["executions"][0]["cell_id"]
    assert [c["id"] for c in document["cells"]] == [inserted, "c0", second["cell_id"]]


def test_a8_revision_guards_against_edits(real: RealServer) -> None:
    """A8: with the revision of before an edit: 409, the current one, and nothing is inserted."""
    path = real.notebook("revision.ipynb", "1")
    url = f"{URL}/document?path={path}"
    before = real.ask("GET", url).json["revision"]
    body = {"path": path, "insert": {"source": "2"}, "expected_revision": before}
    real.wait(real.ask("POST", URL, body).json["executions"][0])
    refused = real.ask("POST", URL, body)
    current = real.ask("GET", url).json
    assert (refused.status, refused.json["reason"]) == (409, "revision_mismatch")
    assert refused.json["current"]["revision"] == current["revision"] != before
    assert len(current["cells"]) == 2


def test_a8_runs_code_without_a_cell(real: RealServer) -> None:
    """A8: its outputs come back, the notebook stays as it is."""
    path = real.notebook("code.ipynb", "a = 5")
    real.run(path)
    before = real.ask("GET", f"{URL}/document?path={path}").json["cells"]
    answer = real.ask("POST", URL, {"path": path, "code": "print(a)\na"})
    execution = real.wait(answer.json["executions"][0])
    assert execution["cell_id"] is None
    assert stream_text(execution) == "5\n"
    assert execution["outputs"][1]["data"]["text/plain"] == "5"
    assert real.ask("GET", f"{URL}/document?path={path}").json["cells"] == before


def test_a2_log_has_the_whole_output(real: RealServer) -> None:
    """A2: as text."""
    path = real.notebook("log.ipynb", "for i in range(3000): print(i)\n1/0")
    (execution,) = real.run(path)
    text = real.ask("GET", f"{URL}/{execution['id']}/log").body.decode()
    assert text.startswith("0\n1\n2\n") and "\n2999\n" in text and "ZeroDivisionError" in text


def test_a3_nbmodel_on_a_real_kernel(real: RealServer) -> None:
    """A3: submitted, prompted, answered, read twice."""
    path = real.notebook("nbmodel.ipynb", "old")
    (warm,) = real.run(path, [{"cell_id": "c0", "source": "0"}])
    kernel, document = warm["kernel_id"], warm["document_id"]
    body = {"code": "input('n? ')", "metadata": {"document_id": document, "cell_id": "c0"}}
    answer = real.ask("POST", f"/api/kernels/{kernel}/execute", body)
    location = answer.headers["Location"]
    real.until_prompt({"id": answer.json["request_id"]})
    prompted = real.ask("GET", location)
    assert (prompted.status, prompted.json["input_request"]["prompt"]) == (300, "n? ")
    assert real.ask("POST", prompted.headers["Location"], {"input": "x"}).status == 201
    real.wait({"id": answer.json["request_id"]})
    for _ in range(2):
        result = real.ask("GET", location)
        assert (result.status, result.json["status"]) == (200, "ok")
        assert json.loads(result.json["outputs"])[-1]["data"] == {"text/plain": "'x'"}


def test_a3_server_documents_on_a_real_kernel(real: RealServer) -> None:
    """A3: the hash of the source the page showed decides."""
    path = real.notebook("jsd.ipynb", "1 + 1")
    (warm,) = real.run(path)
    cells = [{"cell_id": "c0", "source_hash": "3531899427"}]
    body = {"document_id": warm["document_id"], "cells": cells, "request_id": "a"}
    url = f"/api/kernels/{warm['kernel_id']}/execute"
    assert real.ask("POST", url, body).json is None
    body["cells"] = [{"cell_id": "c0", "source_hash": "1"}]
    answer = real.ask("POST", url, body)
    assert answer.json == {"error": "source_mismatch", "cell_id": "c0"}
    assert len(real.ask("GET", f"{URL}?path={path}").json["executions"]) == 2


def test_a3_collaboration_on_a_real_kernel(real: RealServer) -> None:
    """A3: the cell as it stands in the document."""
    path = real.notebook("jcollab.ipynb", "'from the document'")
    (warm,) = real.run(path)
    body = {"document_id": warm["document_id"], "cell_id": "c0"}
    answer = real.ask("POST", f"/api/kernels/{warm['kernel_id']}/execute", body)
    execution = real.wait(answer.json["executions"][0])
    assert execution["outputs"][0]["data"] == {"text/plain": "'from the document'"}
