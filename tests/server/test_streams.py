"""Server-Sent Events and logs."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from server_harness import TOKEN, Server
from server_standin import PATH, StandInEngine

from notebook_exec.core.model import ExecutionId, ExecutionState
from notebook_exec.server import streams

URL = "/api/executions"


@contextmanager
def listening(server: Server, query: str = "", **headers: str) -> Iterator[Any]:
    """The open response of a stream that has begun."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"Authorization": f"token {TOKEN}", **named}
    connection.request("GET", server.url(f"{URL}/events{query}"), headers=sent)
    response = connection.getresponse()
    assert response.status == 200
    assert response.getheader("Content-Type", "").startswith("text/event-stream")
    assert response.readline() == b": hello\n"
    yield response
    response.close()
    connection.close()


def read_event(response: Any) -> dict[str, str]:
    event: dict[str, str] = {}
    while True:
        line = response.readline().decode().rstrip("\n")
        if not line and event:
            return event
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def submit(server: Server) -> ExecutionId:
    answer = server.ask("POST", URL, {"path": PATH, "cells": ["one"]})
    return ExecutionId(answer.json["executions"][0]["id"])


def test_a2_events_tell_changes_and_can_be_resumed(server: Server, engine: StandInEngine) -> None:
    """A2: event, id and data of each change; Last-Event-ID goes on behind it."""
    known = submit(server)
    with listening(server, f"?path={PATH}") as response:
        server.call(engine.watched_by(1))
        server.call(engine.change(known, state=ExecutionState.RUNNING))
        event = read_event(response)
        assert (event["event"], event["id"]) == ("execution", "1")
        assert json.loads(event["data"])["state"] == "running"
    server.call(engine.change(known, state=ExecutionState.WAITING_INPUT))
    server.call(engine.change(known, state=ExecutionState.FINISHED))
    with listening(server, Last_Event_ID="1") as response:
        states = [json.loads(read_event(response)["data"])["state"] for _ in range(2)]
    assert states == ["waiting_input", "finished"]


def test_a2_reader_that_leaves_is_forgotten(server: Server, engine: StandInEngine) -> None:
    """A2: nothing is left behind by a reader that went away."""
    with listening(server):
        server.call(engine.watched_by(1))
    server.call(asyncio.wait_for(engine.watched_by(0), 5))


def test_a2_silent_streams_are_kept_open(
    server: Server, engine: StandInEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A2: a comment now and then, and no event is lost or told twice by it."""
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.001)
    known = submit(server)
    with listening(server) as response:
        assert response.readline() == b"\n"
        assert response.readline() == b": still here\n"
        server.call(engine.change(known, state=ExecutionState.RUNNING))
        server.call(engine.change(known, state=ExecutionState.FINISHED))
        assert [read_event(response)["id"] for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "9" * 30, "%C2%B2"])
def test_a5_last_event_id_must_be_a_number(server: Server, number: str) -> None:
    """A5: it names the header."""
    answer = server.ask("GET", f"{URL}/events", Last_Event_ID=number)
    assert (answer.status, answer.json["field"]) == (400, "Last-Event-ID")


def test_a2_log_as_text_and_as_outputs(server: Server, engine: StandInEngine) -> None:
    """A2, O15: the whole output, for people and for programs."""
    known = submit(server)
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "a\u2028b\n"},
        {"output_type": "display_data", "data": {"text/plain": "fig", "image/png": ""}},
        {"output_type": "display_data", "data": {"image/png": ""}, "metadata": {}},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t1", "t2"]},
        {"output_type": "stream", "name": "stderr", "text": "\udc80"},
    ]
    engine.kept[known] = outputs
    answer = server.ask("GET", f"{URL}/{known}/log")
    text = "a\u2028b\nfig\n<image/png>\nt1\nt2\n\\udc80"
    assert answer.body.decode() == text
    assert "attachment" in answer.headers["Content-Disposition"]
    answer = server.ask("GET", f"{URL}/{known}/log?format=jsonl")
    assert [json.loads(line) for line in answer.body.splitlines()] == outputs
    assert server.ask("GET", f"{URL}/{known}/log?format=pdf").json["field"] == "format"
