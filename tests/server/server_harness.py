"""A Jupyter Server in a thread, and a client that checks answers against the OpenAPI document."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jsonschema import Draft202012Validator
from jupyter_server.auth.authorizer import AllowAllAuthorizer
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from traitlets.config import Config

from notebook_exec.server.openapi import document
from notebook_exec.server.routes import handlers
from notebook_exec.server.services import SETTINGS_KEY, Services

BASE_URL = "/base/"
TOKEN = "the-token"
T = TypeVar("T")


@dataclass
class Answer:
    """A response that is in the OpenAPI document."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RuleAuthorizer(AllowAllAuthorizer):
    """Allows all but what ``denied`` holds."""

    denied: frozenset[tuple[str, str]] = frozenset()
    asked: list[tuple[str, str]]

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        return (action, resource) not in self.denied


class Client:
    """Speaks HTTP to a server on this machine; ``ask`` checks what comes back."""

    port = 0

    def url(self, path: str) -> str:
        return BASE_URL.rstrip("/") + path

    def raw(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 30,
    ) -> Answer:
        """One request on a connection of its own, with the token unless headers are given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            given = {"Authorization": f"token {TOKEN}"} if headers is None else headers
            connection.request(method, self.url(path), body, given)
            response = connection.getresponse()
            answer = Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()
        return answer

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; its answer must be as the OpenAPI document says (A6)."""
        sent = None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Authorization": f"token {TOKEN}", **named}
        answer = self.raw(method, path, sent, given)
        check(method, path, answer)
        return answer


class Server(Client):
    """jupyter_server's own web application with our routes, on a loop in a thread of its own."""

    def __init__(self, root: Path, services: Services) -> None:
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._root = root
        self.services = services
        self.app: ServerApp
        self.loop: asyncio.AbstractEventLoop
        self.authorizer: RuleAuthorizer
        self._thread = threading.Thread(target=self._run, name="server")
        self._thread.start()
        assert self._started.wait(60)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # told to the test, which waits for the start
            self._failure = failure
            self._started.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        config = Config()
        config.ServerApp.base_url = BASE_URL
        config.ServerApp.root_dir = str(self._root)
        config.ServerApp.authorizer_class = RuleAuthorizer
        config.IdentityProvider.token = TOKEN
        self.app = ServerApp(config=config, log_level="CRITICAL")
        self.app.init_signal = lambda: None  # not in the main thread
        self.app.initialize(argv=[], find_extensions=False, new_httpserver=False)
        settings = self.app.web_app.settings
        settings[SETTINGS_KEY] = self.services
        self.authorizer = settings["authorizer"]
        self.authorizer.asked = []
        routes = [(url_path_join(BASE_URL, pattern), handler) for pattern, handler in handlers()]
        self.app.web_app.add_handlers(".*$", routes)
        http_server = HTTPServer(self.app.web_app)
        sockets = bind_sockets(0, "127.0.0.1")
        http_server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        http_server.stop()
        await http_server.close_all_connections()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something on the server's loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        ServerApp.clear_instance()


def check(method: str, path: str, answer: Answer) -> None:
    """Fail unless the OpenAPI document has that answer for that request."""
    operation = _operation(method, path)
    described = operation["responses"].get(str(answer.status))
    assert described is not None, f"{method} {path}: {answer.status} is not described"
    for name in described.get("headers", {}):
        if "anyOf" not in str(described.get("content")):
            assert name in answer.headers, f"{method} {path}: no header {name}"
    content = described.get("content")
    if content is None:
        assert answer.body == b""
        return
    kind = answer.headers["Content-Type"].split(";")[0]
    assert kind in content, f"{method} {path}: {kind} is not described"
    if kind == "application/json":
        schema = {**content[kind]["schema"], "components": document()["components"]}
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
            answer.json
        )


def _operation(method: str, path: str) -> Any:
    plain = path.partition("?")[0]
    paths = document()["paths"]
    fitting = [
        template
        for template in paths
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), plain)
        or (template.endswith("{path}") and plain.startswith(template[: -len("{path}")]))
    ]
    assert fitting, f"{path} is not described"
    template = min(fitting, key=lambda name: name.count("{"))
    assert method.lower() in paths[template], f"{method} {path} is not described"
    return paths[template][method.lower()]
