"""The executions API: submit, look, wait, cancel, answer (SPEC A1, A2, A7, A8)."""

from __future__ import annotations

import asyncio
import hashlib
import math

from jupyter_server.utils import url_path_join

from notebook_exec.core.model import (
    DocumentId,
    ExecutionId,
    ExecutionState,
    InvalidInput,
    Json,
    NotFound,
    RequestId,
    User,
)
from notebook_exec.engine.api import Accepted, ExecutionView

from . import fields, validation
from .base import ApiHandler, allowed, parse_object
from .services import Services
from .views import accepted_json, execution_json

_MAX_LIST = 10_000
_DEFAULT_LIST = 1000


async def submit(
    services: Services, body: bytes, user: User, scope: str, idempotency_key: str | None
) -> Accepted:
    """Accept what a body asks to be run, whichever way it came (A1).

    ``scope``: within what ``idempotency_key`` is unique. Raises what ``Engine.submit`` does.
    """
    settings = services.settings
    submission = validation.submission(
        parse_object(body, settings.max_body_bytes),
        user,
        max_cells=settings.max_cells_per_request,
        idempotency_key=validation.idempotency_key(idempotency_key, scope),
        body_sha256=hashlib.sha256(body).hexdigest(),
    )
    return await services.engine.submit(submission)


class ExecutionsHandler(ApiHandler):
    """``/api/executions``: submit, list, cancel many."""

    @allowed("execute", "kernels")
    async def post(self) -> None:
        """Submit cells, a new cell, or code (A1, A8)."""
        accepted = await submit(
            self.services,
            self.request.body,
            self.user,
            self.scope,
            self.request.headers.get("Idempotency-Key"),
        )
        base = url_path_join(self.base_url, "api/executions")
        if len(accepted.executions) == 1:
            location = f"{base}/{accepted.executions[0].execution.id}"
        else:
            location = f"{base}?request_id={accepted.request_id}"
        self.set_header("Location", location)
        if accepted.replayed:
            self.set_header("Idempotency-Replayed", "true")
        self.reply(accepted_json(accepted), 202)

    @allowed("read", "kernels")
    async def get(self) -> None:
        """List what fits all that is asked for, oldest first (A2)."""
        views = await self._find(_limit(self.query("limit")))
        self.reply({"executions": [execution_json(view) for view in views]})

    @allowed("execute", "kernels")
    async def delete(self) -> None:
        """Cancel all of a notebook or of a request, or what of it is in one state (Q7)."""
        path, document_id = self.query("path"), self.query("document_id")
        request_id = self.query("request_id")
        given = [name for name in (path, document_id, request_id) if name is not None]
        if len(given) != 1:
            raise InvalidInput(
                "exactly one of path, document_id and request_id must be given", field="path"
            )
        engine = self.services.engine
        if request_id is not None or self.query("state") is not None:
            views = await self._find(_MAX_LIST)
            if not views and self.query("state") is None:
                raise NotFound("there is no such request", field="request_id")
            ids = [view.execution.id for view in views if not view.execution.state.is_final]
            cancelled = await engine.cancel(ids, self.user)
        else:
            cancelled = await engine.cancel_document(await self._document(), self.user)
        self.reply({"executions": [execution_json(view) for view in cancelled]})

    async def _document(self) -> DocumentId:
        path, document_id = self.query("path"), self.query("document_id")
        if document_id is not None:
            return fields.document_id(document_id)
        return await self.services.engine.document_id(fields.path(path))

    async def _find(self, limit: int) -> list[ExecutionView]:
        path, document_id = self.query("path"), self.query("document_id")
        state, kernel_id = self.query("state"), self.query("kernel_id")
        request_id = self.query("request_id")
        if request_id is not None and not fields.is_execution_id(request_id):
            raise InvalidInput("request_id is no request's id", field="request_id")
        return await self.services.engine.find(
            path=None if path is None else fields.path(path),
            document_id=None if document_id is None else fields.document_id(document_id),
            state=None if state is None else _state(state),
            kernel_id=None if kernel_id is None else fields.kernel_id(kernel_id),
            request_id=None if request_id is None else RequestId(request_id),
            limit=limit,
        )


class ExecutionHandler(ApiHandler):
    """``/api/executions/{id}``: one execution with its outputs, or its cancellation."""

    _waiting: asyncio.Task[ExecutionView] | None = None
    _client_gone = False

    @allowed("read", "kernels")
    async def get(self, execution_id: str) -> None:
        """Tell all of one execution, after waiting for its end if asked to (A2, A7)."""
        known = checked_id(execution_id)
        wait_s = _wait(self.query("wait"), self.services.settings.max_wait_s)
        engine = self.services.engine
        if wait_s > 0:
            # The client may go away while it waits; that must end the wait and nothing else.
            self._waiting = asyncio.ensure_future(engine.wait(known, wait_s))
            try:
                view = await self._waiting
            except asyncio.CancelledError:
                if self._client_gone:
                    return
                raise
        else:
            view = await engine.get(known)
        body = execution_json(view)
        body["outputs"] = await engine.outputs(known)
        self.reply(body)

    @allowed("execute", "kernels")
    async def delete(self, execution_id: str) -> None:
        """Cancel it; one that is over is told as it is (Q7)."""
        known = checked_id(execution_id)
        engine = self.services.engine
        view = await engine.get(known)
        if not view.execution.state.is_final:
            for cancelled in await engine.cancel([known], self.user):
                if cancelled.execution.id == known:
                    view = cancelled
        self.reply(execution_json(view))

    def on_connection_close(self) -> None:
        """Stop waiting for a client that went away."""
        self._client_gone = True
        if self._waiting is not None:
            self._waiting.cancel()
        super().on_connection_close()


class InputHandler(ApiHandler):
    """``/api/executions/{id}/input``: the answer to a prompt (P2)."""

    @allowed("execute", "kernels")
    async def post(self, execution_id: str) -> None:
        """Answer ``{"value"}``; the value appears in no message and no log (P3)."""
        known = checked_id(execution_id)
        body = self.json_object()
        fields.only(body, {"value"})
        if "value" not in body:
            raise InvalidInput("value is missing", field="value")
        value = fields.text(body["value"], "value")
        view = await self.services.engine.answer(known, value, self.user)
        self.reply(execution_json(view))


class DocumentHandler(ApiHandler):
    """``/api/executions/document``: a notebook's revision and cells, for scripts (A8)."""

    @allowed("read", "contents")
    async def get(self) -> None:
        """Tell the notebook at ``path`` as it is now, edits not yet saved included."""
        view = await self.services.engine.document(fields.path(self.query("path")))
        self.reply(
            {
                "document_id": view.document_id,
                "path": view.path,
                "revision": view.revision,
                "cells": view.cells,
            }
        )


def checked_id(execution_id: str) -> ExecutionId:
    """The id out of a URL. NotFound if it can be nobody's."""
    if not fields.is_execution_id(execution_id):
        raise NotFound("there is no such execution", field="id")
    return ExecutionId(execution_id)


def _state(value: str) -> ExecutionState:
    try:
        return ExecutionState(value)
    except ValueError:
        names = ", ".join(state.value for state in ExecutionState)
        raise InvalidInput(f"state must be one of {names}", field="state") from None


def _number(value: Json, field: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise InvalidInput(f"{field} must be a number", field=field) from None
    if not 0 <= number < math.inf:
        raise InvalidInput(f"{field} must be a finite number, not below zero", field=field)
    return number


def _wait(value: str | None, max_wait_s: float) -> float:
    """Seconds to wait; more than is allowed is cut, and the answer then tells the state (A7)."""
    return 0.0 if value is None else min(_number(value, "wait"), max_wait_s)


def _limit(value: str | None) -> int:
    if value is None:
        return _DEFAULT_LIST
    number = _number(value, "limit")
    if number < 1 or number != int(number):
        raise InvalidInput("limit must be a whole number from 1 on", field="limit")
    return min(int(number), _MAX_LIST)
