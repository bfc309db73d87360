"""Submissions by a websocket that stays open: what a request costs is paid once (SPEC A1)."""

from __future__ import annotations

import asyncio
import json

from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError

from notebook_exec.core.model import InvalidInput, Json, NotebookExecError

from . import fields
from .base import may, parse_object, scope_of, told, user_of, ws_allowed
from .executions import submit
from .services import NotStartedError
from .views import accepted_json
from .websocket import SocketHandler

_OPEN_AT_ONCE = 64
"""Submissions of one socket that are not answered yet; more are not read before one is."""
_MAX_HEAD_CHARS = 1024


class SubmissionsHandler(SocketHandler):
    """``WS /api/executions/socket``: many ``POST /api/executions`` on one connection.

    A message is a head, one line of JSON, and below it the body just as it would be posted:
    ``{"id": "1", "idempotency_key": "k"}``. Its answer has the same form, with the head
    ``{"id": "1", "status": 202}``. Answers come in the order in which they are ready.
    """

    auth_resource = "kernels"

    def initialize(self) -> None:
        """Nothing is open yet."""
        self._slots = asyncio.Semaphore(_OPEN_AT_ONCE)
        self._unanswered: set[asyncio.Task[None]] = set()

    @property
    def limit_bytes(self) -> int:
        """That of a body that is posted."""
        return self.services.settings.max_body_bytes

    @ws_allowed("execute", "kernels")
    async def get(self, *args: str, **kwargs: str) -> None:
        """Upgrade to a websocket."""
        await super().get(*args, **kwargs)

    async def on_message(self, message: str | bytes) -> None:
        """Begin with a submission; the next message is read when this returns."""
        await self._slots.acquire()
        task = asyncio.ensure_future(self._answer(message))
        self._unanswered.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._unanswered.discard(task)
        self._slots.release()

    async def _answer(self, message: str | bytes) -> None:
        name: Json = None
        try:
            head, body = _parse(message)
            name = fields.text(head.get("id"), "id")
            # As for each request: what a user may do can change while the socket is open.
            if not await may(self, "execute", "kernels"):
                raise HTTPError(403, "you may not run anything here")
            await self.services.wait_started()
            key = fields.optional_text(head, "idempotency_key")
            accepted = await submit(self.services, body, user_of(self), scope_of(self), key)
            status, answer = 202, accepted_json(accepted)
        except (NotebookExecError, NotStartedError, HTTPError) as error:
            status, answer = told(error)
        except Exception:
            # The border to whatever the engine may raise; the client is told, not left.
            self.log.exception("A submission by websocket failed")
            status, answer = told(HTTPError(500, "the submission failed"))
        answer_head = json.dumps({"id": name, "status": status})
        try:
            await self.write_message(f"{answer_head}\n{json.dumps(answer)}")
        except WebSocketClosedError:
            self.log.debug("The client went away before its submission was answered")


def _parse(message: str | bytes) -> tuple[dict[str, Json], bytes]:
    """Head and body of a message. InvalidInput."""
    if isinstance(message, bytes):
        raise InvalidInput("a submission must be a text message", field="message")
    head, newline, body = message.partition("\n")
    if not newline:
        raise InvalidInput("a head, a newline and a body are needed", field="message")
    if len(head) > _MAX_HEAD_CHARS:
        raise InvalidInput(f"the head has more than {_MAX_HEAD_CHARS} characters", field="head")
    given = parse_object(head.encode(), 4 * _MAX_HEAD_CHARS)
    fields.only(given, {"id", "idempotency_key"})
    return given, body.encode()
