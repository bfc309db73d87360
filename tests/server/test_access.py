"""Who may do what: authentication, authorization, cross-site requests."""

from __future__ import annotations

import asyncio

import pytest
from server_harness import BASE_URL, TOKEN, Server
from server_standin import KERNEL, PATH, StandInEngine

from notebook_exec.server.openapi import document
from notebook_exec.server.routes import handlers

ROUTES = [
    ("POST", "/api/executions", "execute", "kernels"),
    ("GET", "/api/executions", "read", "kernels"),
    ("DELETE", f"/api/executions?path={PATH}", "execute", "kernels"),
    ("GET", "/api/executions/x", "read", "kernels"),
    ("DELETE", "/api/executions/x", "execute", "kernels"),
    ("POST", "/api/executions/x/input", "execute", "kernels"),
    ("GET", "/api/executions/x/log", "read", "kernels"),
    ("GET", "/api/executions/events", "read", "kernels"),
    ("GET", "/api/executions/document?path=x", "read", "contents"),
    ("POST", f"/api/kernels/{KERNEL}/execute", "execute", "kernels"),
    ("GET", f"/api/kernels/{KERNEL}/execute", "read", "kernels"),
    ("POST", f"/api/kernels/{KERNEL}/input", "execute", "kernels"),
    ("GET", f"/api/kernels/{KERNEL}/requests/x", "read", "kernels"),
    ("DELETE", f"/api/kernels/{KERNEL}/requests/x", "execute", "kernels"),
    ("POST", f"/api/kernels/{KERNEL}/hard-restart", "execute", "kernels"),
    ("POST", f"/api/kernels/{KERNEL}/signal", "execute", "kernels"),
    ("GET", f"/api/kernels/{KERNEL}/log", "read", "kernels"),
    ("GET", f"/api/kernels/{KERNEL}/status", "read", "kernels"),
    ("PUT", f"/api/collaboration/session/{PATH}", "read", "contents"),
    ("GET", "/api/notebook_exec/openapi.json", "read", "api"),
]
HIDDEN = [  # not offered, so not described either
    ("GET", "/api/collaboration/fork/x", "read", "contents"),
    ("PUT", "/api/collaboration/fork/x", "write", "contents"),
    ("DELETE", "/api/collaboration/fork/x", "write", "contents"),
    ("GET", "/api/collaboration/timeline/x", "read", "contents"),
    ("PUT", "/api/collaboration/undo_redo/x", "write", "contents"),
]


def test_every_described_route_is_tested() -> None:
    """A6: no route is forgotten in the document, and none in the tests of access."""
    described = {
        (m.upper(), p) for p, ops in document()["paths"].items() for m in ops if m != "parameters"
    }
    assert len(described) == len(ROUTES)
    implemented = {
        (method, pattern)
        for pattern, handler in handlers()
        for method in ("get", "post", "put", "delete")
        if method in vars(handler)
    }
    websockets = 2
    undo_redo_and_timeline_share_a_handler = 2
    assert len(implemented) == (
        len(ROUTES) + len(HIDDEN) + websockets + undo_redo_and_timeline_share_a_handler
    )


@pytest.mark.parametrize(("method", "path", "action", "resource"), ROUTES + HIDDEN)
def test_s1_needs_a_user(
    server: Server, method: str, path: str, action: str, resource: str
) -> None:
    """S1: without a token 403, and the engine is not asked."""
    answer = server.raw(method, path, b"{}" if method in ("POST", "PUT") else None, headers={})
    assert answer.status == 403
    assert server.authorizer.asked == []


@pytest.mark.parametrize(("method", "path", "action", "resource"), ROUTES + HIDDEN)
def test_s1_asks_the_authorizer(
    server: Server, method: str, path: str, action: str, resource: str
) -> None:
    """S1: each route asks for its own action and resource, and a no is 403."""
    server.authorizer.denied = frozenset({(action, resource)})
    answer = server.raw(method, path, b"{}" if method in ("POST", "PUT") else None)
    assert answer.status == 403
    assert answer.json["reason"] == "forbidden"
    assert server.authorizer.asked == [(action, resource)]


def test_s4_cross_site_requests_are_refused(server: Server, engine: StandInEngine) -> None:
    """S4: a browser's cookie is not enough to submit; the XSRF token must be there too."""
    login = server.raw("GET", f"/api/executions?token={TOKEN}", headers={})
    cookie = login.headers["Set-Cookie"].split(";")[0]
    body = b'{"path": "%s", "cells": "all"}' % PATH.encode()
    assert server.raw("GET", "/api/executions", headers={"Cookie": cookie}).status == 200
    answer = server.raw("POST", "/api/executions", body, headers={"Cookie": cookie})
    assert answer.status == 403
    assert engine.submissions == []


def test_s1_who_shows_the_token_each_time_is_not_logged_in(server: Server) -> None:
    """S1: no login is signed for scripts, which send no cookie; one by the URL stays a login."""
    headers = {"Authorization": f"token {TOKEN}"}
    assert "Set-Cookie" not in server.raw("GET", "/api/executions", headers=headers).headers
    by_url = server.raw("GET", f"/api/executions?token={TOKEN}", headers={})
    assert "Set-Cookie" in by_url.headers


def test_s4_other_origins_are_refused(server: Server) -> None:
    """S4: as jupyter_server does."""
    login = server.raw("GET", f"/api/executions?token={TOKEN}", headers={})
    cookie = login.headers["Set-Cookie"].split(";")[0]
    headers = {"Cookie": cookie, "Origin": "http://elsewhere.example"}
    assert server.raw("GET", "/api/executions", headers=headers).status == 404


def test_a6_openapi_is_served(server: Server) -> None:
    """A6: with the server's own base URL."""
    served = server.ask("GET", "/api/notebook_exec/openapi.json").json
    assert served["paths"] == document()["paths"]
    assert served["servers"] == [{"url": BASE_URL}]


def test_a6_openapi_is_valid() -> None:
    """A6: it is an OpenAPI 3.1 document."""
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document())


def test_a5_methods_that_are_not_there(server: Server) -> None:
    """A5: 405 in the common shape."""
    for method in ("PUT", "PATCH", "HEAD"):
        assert server.raw(method, "/api/executions").status == 405
    answer = server.raw("PATCH", "/api/executions")
    assert answer.json == {"message": "Method Not Allowed", "reason": "method_not_allowed"}


def test_a5_odd_queries_are_no_500(server: Server) -> None:
    """A5: arguments that jupyter_server itself reads included."""
    answer = server.raw("GET", "/api/executions?no_track_activity=%ff")
    assert answer.status == 200


def test_requests_wait_for_the_start(server: Server, engine: StandInEngine) -> None:
    """A request that comes before all is started is answered when it is."""
    services = server.services

    async def stop() -> None:
        services._engine = None  # as it was before the start
        services._settled = asyncio.Event()

    async def start() -> None:
        services._engine = engine
        services._settled.set()

    server.call(stop())
    asyncio.run_coroutine_threadsafe(start(), server.loop)
    assert server.ask("GET", "/api/executions").status == 200


def test_a_start_that_failed_is_told(server: Server, engine: StandInEngine) -> None:
    """503 with the reason; never a hanging request."""
    services = server.services

    async def fail() -> None:
        services.failed("the state folder cannot be written")

    async def recover() -> None:
        services._failure = None

    server.call(fail())
    try:
        answer = server.ask("GET", "/api/executions")
    finally:
        server.call(recover())
    assert (answer.status, answer.json["reason"]) == (503, "not_ready")
    assert "cannot be written" in answer.json["message"]
