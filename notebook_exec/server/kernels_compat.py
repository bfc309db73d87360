"""The execute routes of three other projects, so that their clients work unchanged (SPEC A3).

``POST /api/kernels/{id}/execute`` is told apart by its body:

- ``{"code", "metadata"}``: jupyter-server-nbmodel, which then asks ``GET …/requests/{uid}`` until
  it is over (202, 300 while it waits for input, 200) and answers with ``POST …/input``;
- ``{"document_id", "cells": [{"cell_id", "source_hash"}], …}``: jupyter-server-documents;
- ``{"document_id", "cell_id"}``: the front end of jupyter-collaboration.

What these bodies have besides is ignored, as their own servers do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from tornado import web

from notebook_exec.core.model import (
    Conflict,
    DocumentId,
    ExecutionState,
    InvalidInput,
    Json,
    KernelId,
    LimitExceeded,
    NotFound,
    Output,
    User,
)
from notebook_exec.engine.api import Accepted, CellRequest, ExecutionView, Submission

from . import fields
from .base import ApiHandler, allowed
from .executions import checked_id
from .views import accepted_json, iso_utc

_STATUS = {
    ExecutionState.FINISHED: "ok",
    ExecutionState.FAILED: "error",
    ExecutionState.CANCELLED: "aborted",
    ExecutionState.LOST: "error",
}


class ExecuteHandler(ApiHandler):
    """``/api/kernels/{id}/execute``."""

    @allowed("execute", "kernels")
    async def post(self, kernel_id: str) -> None:
        """Run what the body names; its shape decides on the shape of the answer."""
        kernel = fields.kernel_id(kernel_id)
        body = self.json_object()
        if "cells" in body:
            await self._documents_shape(kernel, body)
        elif "code" in body:
            accepted = await self.services.engine.submit(nbmodel(kernel, body, self.user))
            self._answer_nbmodel(accepted)
        elif "cell_id" in body:
            accepted = await self.services.engine.submit(collaboration(kernel, body, self.user))
            self.reply(accepted_json(accepted), 202)
        else:
            raise InvalidInput("one of code, cells and cell_id must be given", field="code")

    @allowed("read", "kernels")
    async def get(self, kernel_id: str) -> None:
        """List what is not over yet, as jupyter-server-nbmodel does."""
        kernel = fields.kernel_id(kernel_id)
        views = await self.services.engine.find(kernel_id=kernel)
        requests = [
            await self._pending(view) for view in views if not view.execution.state.is_final
        ]
        self.reply({"kernel_id": kernel, "requests": requests})

    async def _pending(self, view: ExecutionView) -> dict[str, Json]:
        outputs = await self.services.engine.outputs(view.execution.id)
        return nbmodel_result(view, outputs)

    def _answer_nbmodel(self, accepted: Accepted) -> None:
        result = nbmodel_result(accepted.executions[0], [])
        # Without base_url, as its clients join it to their server's URL.
        self.set_header("Location", result["request_url"])
        self.set_header("Access-Control-Expose-Headers", "Location")
        self.reply(result, 202)

    async def _documents_shape(self, kernel: KernelId, body: dict[str, Json]) -> None:
        services = self.services
        submission = server_documents(
            kernel, body, self.user, services.settings.max_cells_per_request
        )
        request_id = fields.optional_text(body, "request_id", limit=fields.MAX_ID_CHARS)
        previous = fields.optional_text(body, "previous_request_id", limit=fields.MAX_ID_CHARS)
        if previous is not None and not await services.predecessors.wait(self.scope, previous):
            raise web.HTTPError(408, "the request named by previous_request_id did not come")
        try:
            await services.engine.submit(submission)
        except Conflict as error:
            if error.reason != "source_mismatch":
                raise
            current = error.current or {}
            self.reply({"error": "source_mismatch", "cell_id": current.get("cell_id")}, 409)
            return
        finally:
            # Whether it was accepted or not: what follows it has not to wait any longer.
            if request_id is not None:
                services.predecessors.came(self.scope, request_id)
        self.reply(None)


class RequestHandler(ApiHandler):
    """``/api/kernels/{id}/requests/{uid}``: can be read any number of times."""

    @allowed("read", "kernels")
    async def get(self, kernel_id: str, request_id: str) -> None:
        """Tell how it stands: 202 not over, 300 waits for input, 200 over."""
        view = await self._view(kernel_id, request_id)
        state = view.execution.state
        result = nbmodel_result(view, await self.services.engine.outputs(view.execution.id))
        if state is ExecutionState.WAITING_INPUT:
            self.set_header("Location", f"/api/kernels/{kernel_id}/input")
            self.set_header("Access-Control-Expose-Headers", "Location")
            self.reply(result, 300)
        else:
            self.reply(result, 200 if state.is_final else 202)

    @allowed("execute", "kernels")
    async def delete(self, kernel_id: str, request_id: str) -> None:
        """Cancel it."""
        view = await self._view(kernel_id, request_id)
        if not view.execution.state.is_final:
            await self.services.engine.cancel([view.execution.id], self.user)
        self.set_status(204)
        self.finish()

    async def _view(self, kernel_id: str, request_id: str) -> ExecutionView:
        view = await self.services.engine.get(checked_id(request_id))
        if view.execution.kernel_id != kernel_id:
            raise NotFound("the kernel has no such request", field="request_id")
        return view


class InputHandler(ApiHandler):
    """``/api/kernels/{id}/input``: the answer to whatever prompt the kernel shows."""

    @allowed("execute", "kernels")
    async def post(self, kernel_id: str) -> None:
        """Answer ``{"input"}``."""
        kernel = fields.kernel_id(kernel_id)
        body = self.json_object()
        if "input" not in body:
            raise InvalidInput("input is missing", field="input")
        value = fields.text(body["input"], "input")
        engine = self.services.engine
        waiting = await engine.find(kernel_id=kernel, state=ExecutionState.WAITING_INPUT)
        if not waiting:
            raise Conflict("the kernel does not wait for input", reason="no_prompt")
        await engine.answer(waiting[-1].execution.id, value, self.user)
        self.reply({}, 201)


def nbmodel(kernel_id: KernelId, body: dict[str, Json], user: User) -> Submission:
    """A body of jupyter-server-nbmodel: a source, and the cell it is for if there is one."""
    code = fields.text(body["code"], "code")
    metadata = fields.mapping(body.get("metadata") or {}, "metadata")
    path, document_id = _document(metadata, "metadata.")
    cell_id = metadata.get("cell_id")
    cell = (
        None
        if cell_id is None or (path is None and document_id is None)
        else CellRequest(fields.cell_id(cell_id, "metadata.cell_id"), source=code)
    )
    return Submission(
        path=path,
        document_id=document_id,
        cells=() if cell is None else (cell,),
        code=code if cell is None else None,
        requested_by=user,
        kernel_id=kernel_id,
        record_timing=metadata.get("record_timing") is True,
    )


def collaboration(kernel_id: KernelId, body: dict[str, Json], user: User) -> Submission:
    """A body of jupyter-collaboration: a cell, to be run as it stands in the document."""
    return Submission(
        path=None,
        document_id=fields.document_id(body.get("document_id")),
        cells=(CellRequest(fields.cell_id(body["cell_id"])),),
        requested_by=user,
        kernel_id=kernel_id,
    )


def server_documents(
    kernel_id: KernelId, body: dict[str, Json], user: User, max_cells: int
) -> Submission:
    """A body of jupyter-server-documents: cells, each with the hash of the source it showed."""
    path, document_id = _document(body, "")
    if path is None and document_id is None:
        raise InvalidInput("document_id is missing", field="document_id")
    given = fields.items(body["cells"], "cells")
    if len(given) > max_cells:
        raise LimitExceeded(f"cells has more than {max_cells} entries", field="cells")
    client_id = body.get("client_id")
    return Submission(
        path=path,
        document_id=document_id,
        cells=tuple(_hashed_cell(entry, f"cells[{index}]") for index, entry in enumerate(given)),
        requested_by=user,
        kernel_id=kernel_id,
        client_id=None if client_id is None else fields.plain_id(client_id, "client_id"),
    )


def _hashed_cell(entry: Json, field: str) -> CellRequest:
    cell = fields.mapping(entry, field)
    return CellRequest(
        fields.cell_id(cell.get("cell_id"), f"{field}.cell_id"),
        expected_murmur2=fields.decimal(cell.get("source_hash"), f"{field}.source_hash"),
    )


def _document(given: Mapping[str, Json], within: str) -> tuple[str | None, DocumentId | None]:
    """The notebook's id; a path in its place where a front end did not know the id yet."""
    value = given.get("document_id")
    if value is not None:
        name = fields.text(value, f"{within}document_id")
        if fields.is_document_id(name):
            return None, DocumentId(name)
        return fields.path(name, f"{within}document_id"), None
    path = given.get("document_path")
    return (None if path is None else fields.path(path, f"{within}document_path")), None


def nbmodel_result(view: ExecutionView, outputs: list[Output] | None) -> dict[str, Json]:
    """An execution in the words of jupyter-server-nbmodel; its outputs are JSON in a string."""
    execution = view.execution
    state = execution.state
    result: dict[str, Json] = {
        "request_id": execution.id,
        "kernel_id": execution.kernel_id,
        "request_url": f"/api/kernels/{execution.kernel_id}/requests/{execution.id}",
        "cell_id": execution.cell_id,
        "document_path": view.path,
        "pending": not state.is_final,
        "request_status": "complete" if state.is_final else state.value,
        "outputs": json.dumps(outputs or []),
    }
    if state.is_final:
        result["status"] = _STATUS[state]
        result["execution_count"] = execution.execution_count
    if execution.prompt is not None and state is ExecutionState.WAITING_INPUT:
        result["request_status"] = "input"
        result["parent_header"] = {
            "msg_id": execution.id,
            "msg_type": "execute_request",
            "username": execution.requested_by.username,
            "session": "",
            "date": iso_utc(execution.started_at or execution.queued_at),
            "version": "5.3",
        }
        result["input_request"] = {
            "prompt": execution.prompt.prompt,
            "password": execution.prompt.password,
        }
    return result
