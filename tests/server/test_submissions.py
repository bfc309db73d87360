"""WS /api/executions/socket: submissions on one connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from server_harness import TOKEN, Server
from server_standin import PATH, StandInEngine
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from notebook_exec.core.model import Conflict

BODY = {"path": PATH, "cells": ["one"]}
WITH_TOKEN = {"Authorization": f"token {TOKEN}"}


@asynccontextmanager
async def opened(
    server: Server, headers: dict[str, str] | None = None
) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{server.port}{server.url('/api/executions/socket')}"
    given = WITH_TOKEN if headers is None else headers
    async with connect(url, additional_headers=given, max_size=None) as socket:
        yield socket


async def sent(
    socket: ClientConnection, message: str | bytes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Head and body of the next answer."""
    await socket.send(message)
    answer = await asyncio.wait_for(socket.recv(), 20)
    assert isinstance(answer, str)
    head, body = answer.split("\n")
    return json.loads(head), json.loads(body)


def message(body: object, **head: object) -> str:
    return f"{json.dumps({'id': '1'} | head)}\n{json.dumps(body)}"


def test_a1_a_socket_takes_what_a_post_takes(server: Server, engine: StandInEngine) -> None:
    """A1: the same fields, the same answer, the same idempotency key."""

    async def ask() -> None:
        async with opened(server) as socket:
            head, body = await sent(socket, message(BODY, id="a", idempotency_key="k"))
        assert head == {"id": "a", "status": 202}
        posted = server.ask("POST", "/api/executions", BODY, Idempotency_Key="k").json
        assert set(body) == set(posted)
        assert set(body["executions"][0]) == set(posted["executions"][0])
        by_socket, by_post = engine.submissions
        assert by_socket.idempotency_key == by_post.idempotency_key
        assert by_socket.body_sha256 == by_post.body_sha256
        assert by_socket.cells == by_post.cells

    asyncio.run(ask())


def test_a1_key_of_a_logged_in_page_is_one_by_either_way(
    server: Server, engine: StandInEngine
) -> None:
    """A1: a page shows cookie and token with a POST, the cookie alone with a websocket."""
    login = server.raw("GET", f"/api/executions?token={TOKEN}", headers={})
    cookie = {"Cookie": login.headers["Set-Cookie"].split(";")[0]}

    async def ask() -> None:
        async with opened(server, cookie) as socket:
            await sent(socket, message(BODY, idempotency_key="k"))

    asyncio.run(ask())
    body = json.dumps(BODY).encode()
    headers = {"Idempotency-Key": "k", **WITH_TOKEN, **cookie}
    assert server.raw("POST", "/api/executions", body, headers).status == 202
    by_socket, by_post = engine.submissions
    assert by_socket.idempotency_key == by_post.idempotency_key
    assert by_socket.requested_by == by_post.requested_by


def test_a5_a_socket_names_what_is_wrong(server: Server, engine: StandInEngine) -> None:
    """A5: each message is answered, by its id where it has one, and the socket stays open."""
    wrong: list[tuple[str | bytes, str | None, str]] = [
        (b"\x00\x01", None, "message"),
        ("", None, "message"),
        ("{}", None, "message"),
        ("x\n{}", None, "body"),
        ("[]\n{}", None, "body"),
        ("{}\n{}", None, "id"),
        ('{"id": 1}\n{}', None, "id"),
        ('{"id": "\\ud800"}\n{}', None, "id"),
        ('{"id": "1", "idempotencykey": "k"}\n{}', None, "idempotencykey"),
        (f'{{"id": "{"x" * 2000}"}}\n{{}}', None, "head"),
        ('{"id": "1", "idempotency_key": 3}\n{}', "1", "idempotency_key"),
        ('{"id": "1", "idempotency_key": ""}\n{}', "1", "Idempotency-Key"),
        ('{"id": "1"}\n', "1", "body"),
        ('{"id": "1"}\nnot JSON', "1", "body"),
        (message({"path": PATH, "cells": []}), "1", "cells"),
        (message({"path": PATH, "cells": ["one"], "sources": []}), "1", "sources"),
    ]

    async def ask() -> None:
        async with opened(server) as socket:
            for text, name, field in wrong:
                head, body = await sent(socket, text)
                assert (head["id"], head["status"], body["field"]) == (name, 400, field), text
            head, body = await sent(socket, message({"path": "x" * 100_001}))
            assert (head["status"], body["field"]) == (413, "body")
            engine.fail = Conflict("used before", reason="idempotency_key_reused")
            head, body = await sent(socket, message(BODY))
            assert (head["status"], body["reason"]) == (409, "idempotency_key_reused")
            engine.fail = None
            assert (await sent(socket, message(BODY)))[0]["status"] == 202

    asyncio.run(ask())
    assert len(engine.submissions) == 1


def test_a5_a_failure_inside_is_told(
    server: Server, engine: StandInEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A5: 500, and the socket goes on."""

    async def fail(_: object) -> None:
        raise RuntimeError("a bug")

    async def ask() -> None:
        async with opened(server) as socket:
            with monkeypatch.context() as patch:
                patch.setattr(engine, "submit", fail)
                head, body = await sent(socket, message(BODY))
            assert (head["status"], body["reason"]) == (500, "error")
            assert "a bug" not in body["message"]
            assert (await sent(socket, message(BODY)))[0]["status"] == 202

    asyncio.run(ask())


def test_s1_a_socket_asks_the_authorizer_each_time(server: Server, engine: StandInEngine) -> None:
    """S1: no token, no socket; no permission, no run, also when it is taken away later."""

    async def ask() -> None:
        with pytest.raises(InvalidStatus):
            async with opened(server, {}):
                pass
        async with opened(server) as socket:
            server.authorizer.denied = frozenset({("execute", "kernels")})
            head, body = await sent(socket, message(BODY))
            assert (head["status"], body["reason"]) == (403, "forbidden")
        with pytest.raises(InvalidStatus):
            async with opened(server):
                pass

    asyncio.run(ask())
    assert engine.submissions == []


def test_s4_a_socket_from_elsewhere_is_refused(server: Server) -> None:
    """S4: a browser sends its cookie along from any site."""
    login = server.raw("GET", f"/api/executions?token={TOKEN}", headers={})
    cookie = {"Cookie": login.headers["Set-Cookie"].split(";")[0]}

    async def ask() -> None:
        with pytest.raises(InvalidStatus):
            async with opened(server, {**cookie, "Origin": "http://elsewhere.example"}):
                pass

    asyncio.run(ask())


def test_a1_many_at_once_are_all_answered(server: Server, engine: StandInEngine) -> None:
    """A1: more than are worked on at once wait their turn."""

    async def ask() -> None:
        async with opened(server) as socket:
            for number in range(200):
                await socket.send(message(BODY, id=str(number)))
            heads = [json.loads(str(await socket.recv()).split("\n")[0]) for _ in range(200)]
        assert {head["id"] for head in heads} == {str(number) for number in range(200)}
        assert {head["status"] for head in heads} == {202}

    asyncio.run(ask())
    assert len(engine.submissions) == 200


def test_a1_who_leaves_before_the_answer_runs_all_the_same(
    server: Server, engine: StandInEngine
) -> None:
    """A1: as with a POST, what arrived is accepted."""

    async def ask() -> None:
        async with opened(server) as socket:
            await socket.send(message(BODY))
        async with opened(server) as socket:  # handled behind it, on the same loop
            await sent(socket, message(BODY))

    asyncio.run(ask())
    assert len(engine.submissions) == 2
