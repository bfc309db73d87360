"""Looking at executions, waiting for them, cancelling and answering."""

from __future__ import annotations

import asyncio
import http.client
import threading
from typing import Any

import pytest
from server_harness import TOKEN, Server
from server_standin import DOCUMENT, KERNEL, PATH, StandInEngine

from notebook_exec.core.model import (
    ExecutionError,
    ExecutionId,
    ExecutionState,
    Prompt,
    Reason,
    User,
)
from notebook_exec.server.views import excerpt

URL = "/api/executions"


def submit(server: Server, cells: Any = ("one",)) -> list[str]:
    answer = server.ask("POST", URL, {"path": PATH, "cells": cells})
    return [execution["id"] for execution in answer.json["executions"]]


def change(server: Server, engine: StandInEngine, execution_id: str, **fields: Any) -> None:
    server.call(engine.change(ExecutionId(execution_id), **fields))


def test_a2_detail_has_all_there_is(server: Server, engine: StandInEngine) -> None:
    """A2: the whole shape of an execution, in UTC."""
    (known,) = submit(server)
    change(
        server,
        engine,
        known,
        state=ExecutionState.FAILED,
        reason=Reason.TIME_LIMIT,
        started_at=1_700_000_001.0,
        ended_at=1_700_000_002.5,
        execution_count=3,
        error=ExecutionError("E", "v", ("t",)),
        client_id="c",
        prompt=Prompt("?", True),
    )
    engine.kept[ExecutionId(known)] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    body = server.ask("GET", f"{URL}/{known}").json
    assert body["error"] == {"ename": "E", "evalue": "v", "traceback": ["t"]}
    assert body["prompt"] == {"prompt": "?", "password": True}
    assert (body["reason"], body["execution_count"]) == ("time_limit", 3)
    assert body["started_at"] == "2023-11-14T22:13:21.000Z"
    assert body["ended_at"] == "2023-11-14T22:13:22.500Z"
    assert "position" not in body and body["client_id"] == "c"
    assert body["outputs"][0]["text"] == "x"


def test_a2_outputs_no_longer_kept_are_null(server: Server, engine: StandInEngine) -> None:
    """A2: null, not an empty list."""
    (known,) = submit(server)
    engine.kept[ExecutionId(known)] = None
    assert server.ask("GET", f"{URL}/{known}").json["outputs"] is None


def test_a2_can_be_read_any_number_of_times(server: Server) -> None:
    """A2: reading takes nothing away."""
    (known,) = submit(server)
    assert server.ask("GET", f"{URL}/{known}").json == server.ask("GET", f"{URL}/{known}").json


def test_a2_lists_by_every_filter(server: Server, engine: StandInEngine) -> None:
    """A2: path, document, state, kernel and request narrow the list."""
    first, second = submit(server, "all")
    change(server, engine, first, state=ExecutionState.RUNNING)
    for query, expected in (
        ("", [first, second]),
        ("?state=running", [first]),
        (f"?path={PATH}", [first, second]),
        (f"?document_id={DOCUMENT}&state=queued", [second]),
        (f"?kernel_id={KERNEL}", [first, second]),
        ("?kernel_id=other", []),
        ("?limit=1", [second]),
    ):
        answer = server.ask("GET", URL + query)
        assert [e["id"] for e in answer.json["executions"]] == expected, query
        assert all("outputs" not in e for e in answer.json["executions"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?state=done", "state"),
        ("?limit=0", "limit"),
        ("?limit=1.5", "limit"),
        ("?limit=x", "limit"),
        ("?kernel_id=a%2Fb", "kernel_id"),
        ("?document_id=x", "document_id"),
        ("?path=%ff", "path"),
        ("?path=a%00b", "path"),
        ("?path=../secret", "path"),
        ("?request_id=%20", "request_id"),
    ],
)
def test_a5_list_names_the_wrong_field(server: Server, query: str, field: str) -> None:
    """A5: 400 with the query argument's name."""
    answer = server.ask("GET", URL + query)
    assert (answer.status, answer.json["field"]) == (400, field)


def test_a5_unknown_names_are_404(server: Server) -> None:
    """A5: unknown ids and files are 404, whatever they look like."""
    for method, path in (
        ("GET", f"{URL}/nothing"),
        ("GET", f"{URL}/%2e%2e"),
        ("GET", f"{URL}/%00"),
        ("GET", f"{URL}/{'x' * 300}"),
        ("DELETE", f"{URL}/nothing"),
        ("GET", f"{URL}/nothing/log"),
        ("GET", f"{URL}?path=other.ipynb"),
        ("DELETE", f"{URL}?path=other.ipynb"),
        ("DELETE", f"{URL}?request_id=nothing"),
        ("GET", "/api/executions/document?path=other.ipynb"),
    ):
        answer = server.ask(method, path)
        assert (answer.status, answer.json["reason"]) == (404, "not_found"), path
    answer = server.ask("POST", f"{URL}/nothing/input", {"value": ""})
    assert answer.status == 404


def test_a2_wait_returns_at_the_end(server: Server, engine: StandInEngine) -> None:
    """A2: a wait ends when the execution does, not at its own limit."""
    (known,) = submit(server)
    answers: list[Any] = []
    waiter = threading.Thread(
        target=lambda: answers.append(server.ask("GET", f"{URL}/{known}?wait=1000"))
    )
    waiter.start()
    change(server, engine, known, state=ExecutionState.FINISHED)
    waiter.join(4)  # below max_wait_s
    assert answers[0].json["state"] == "finished"


def test_a7_wait_that_times_out_tells_the_state(server: Server, engine: StandInEngine) -> None:
    """A7: state and outputs so far, and nothing is cancelled."""
    (known,) = submit(server)
    engine.kept[ExecutionId(known)] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    answer = server.ask("GET", f"{URL}/{known}?wait=0.01")
    assert answer.json["state"] == "queued"
    assert answer.json["outputs"][0]["text"] == "x"


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "x", "", "1e999", "%C2%B2"])
def test_a5_wait_must_be_a_number(server: Server, wait: str) -> None:
    """A5: a wait that is none names the field."""
    (known,) = submit(server)
    answer = server.ask("GET", f"{URL}/{known}?wait={wait}")
    assert (answer.status, answer.json["field"]) == (400, "wait")


def test_a7_client_that_goes_away_cancels_nothing(server: Server, engine: StandInEngine) -> None:
    """A7: the wait ends with the connection, the execution goes on."""
    (known,) = submit(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request(
        "GET",
        server.url(f"{URL}/{known}?wait=1000"),
        headers={"Authorization": f"token {TOKEN}"},
    )

    server.call(engine.waited_for())
    connection.close()
    server.call(asyncio.wait_for(engine.waits_ended.wait(), 4))
    assert server.ask("GET", f"{URL}/{known}").json["state"] == "queued"


def test_q7_cancels_one_request_or_notebook(server: Server) -> None:
    """Q7: one cell, a request, all of a notebook."""
    first, second = submit(server, "all")
    answer = server.ask("DELETE", f"{URL}/{second}")
    assert (answer.json["id"], answer.json["state"]) == (second, "cancelled")
    request_id = answer.json["request_id"]
    answer = server.ask("DELETE", f"{URL}?request_id={request_id}")
    assert [e["id"] for e in answer.json["executions"]] == [first]
    (third,) = submit(server)
    answer = server.ask("DELETE", f"{URL}?path={PATH}")
    assert [e["id"] for e in answer.json["executions"]] == [third]


def test_q7_cancels_what_waits_and_not_what_runs(server: Server, engine: StandInEngine) -> None:
    """Q7: with a state, only what is in it."""
    first, second = submit(server, "all")
    change(server, engine, first, state=ExecutionState.RUNNING)
    answer = server.ask("DELETE", f"{URL}?path={PATH}&state=queued")
    assert [e["id"] for e in answer.json["executions"]] == [second]
    assert server.ask("GET", f"{URL}/{first}").json["state"] == "running"
    assert server.ask("DELETE", f"{URL}?path={PATH}&state=queued").json == {"executions": []}


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("\n  \n  x = 1  \ny", "x = 1"),
        ("", ""),
        (" \n", ""),
        ("a" * 120, "a" * 120),
        ("é" * 500, "é" * 119 + "…"),
    ],
)
def test_q12_a_cell_is_known_by_its_first_line(source: str, shown: str) -> None:
    """Q12: what is told of a run says what ran, in one line."""
    assert excerpt(source) == shown


def test_q12_tells_who_ended_it(server: Server, engine: StandInEngine) -> None:
    """Q12: who cancelled it is told beside who asked for it."""
    (known,) = submit(server)
    ada = User("ada", "Ada")
    change(server, engine, known, state=ExecutionState.CANCELLED, ended_by=ada)
    told = server.ask("GET", f"{URL}/{known}").json
    assert told["ended_by"] == {"username": "ada", "display_name": "Ada"}


def test_q7_cancelling_what_is_over_changes_nothing(server: Server, engine: StandInEngine) -> None:
    """Q7: the answer is the execution as it ended."""
    (known,) = submit(server)
    change(server, engine, known, state=ExecutionState.FINISHED)
    assert server.ask("DELETE", f"{URL}/{known}").json["state"] == "finished"


@pytest.mark.parametrize("query", ["", f"?path={PATH}&request_id=x"])
def test_a5_cancel_needs_exactly_one_name(server: Server, query: str) -> None:
    """A5: nothing is cancelled by a request that does not say what."""
    (known,) = submit(server)
    assert server.ask("DELETE", URL + query).status == 400
    assert server.ask("GET", f"{URL}/{known}").json["state"] == "queued"


def test_p2_answers_once(server: Server, engine: StandInEngine) -> None:
    """P2: the first answer goes to the kernel, a second gets 409."""
    (known,) = submit(server)
    change(server, engine, known, state=ExecutionState.WAITING_INPUT, prompt=Prompt("?", False))
    assert server.ask("POST", f"{URL}/{known}/input", {"value": "yes"}).status == 200
    answer = server.ask("POST", f"{URL}/{known}/input", {"value": "no"})
    assert answer.status == 409
    assert engine.answers == [(known, "yes")]


@pytest.mark.parametrize("body", [{}, {"value": 3}, {"value": None}, {"value": "\ud800"}])
def test_a5_answer_must_be_text(server: Server, body: Any) -> None:
    """A5: the field is named, and what was typed is not repeated (P3)."""
    (known,) = submit(server)
    answer = server.ask("POST", f"{URL}/{known}/input", body)
    assert (answer.status, answer.json["field"]) == (400, "value")


def test_p3_a_wrong_answer_is_not_repeated(server: Server) -> None:
    """P3: no error message holds what was typed."""
    (known,) = submit(server)
    for body in (b'{"value": "hunter2', b'{"value": "hunter2", "x": 1}', b'{"hunter": 1}'):
        answer = server.raw("POST", f"{URL}/{known}/input", body)
        assert answer.status == 400
        assert b"hunter2" not in answer.body
