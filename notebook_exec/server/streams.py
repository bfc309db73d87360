"""Answers that do not end at once: changes of executions as they come, and whole logs (SPEC A2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from tornado.iostream import StreamClosedError

from notebook_exec.core.model import DocumentId, InvalidInput, Json
from notebook_exec.engine.api import ExecutionView

from . import fields
from .base import ApiHandler, allowed
from .executions import checked_id
from .views import execution_json

HEARTBEAT_S = 15.0
"""A comment is sent when nothing else was for so long: proxies cut what is silent."""


class EventsHandler(ApiHandler):
    """``/api/executions/events``: Server-Sent Events ``execution``, one a change (A2)."""

    _pump: asyncio.Task[None] | None = None
    _client_gone = False

    @allowed("read", "kernels")
    async def get(self) -> None:
        """Tell each change, after the one named by ``Last-Event-ID`` if given."""
        after = _last_event_id(self.request.headers.get("Last-Event-ID"))
        events = self.services.engine.events(after, await self._document())
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")  # nginx would hold the events back
        self._pump = asyncio.ensure_future(self._tell(events))
        try:
            await self._pump
        except asyncio.CancelledError:
            if not self._client_gone:
                raise
        except StreamClosedError:
            return

    async def _document(self) -> DocumentId | None:
        document_id, path = self.query("document_id"), self.query("path")
        if document_id is not None:
            return fields.document_id(document_id)
        if path is not None:
            return await self.services.engine.document_id(fields.path(path))
        return None

    async def _tell(self, events: AsyncIterator[tuple[int, ExecutionView]]) -> None:
        self.write(": hello\n\n")
        await self.flush()
        following: asyncio.Task[tuple[int, ExecutionView]] | None = None
        try:
            while True:
                if following is None:
                    following = asyncio.ensure_future(_next(events))
                done, _ = await asyncio.wait({following}, timeout=HEARTBEAT_S)
                if not done:
                    self.write(": still here\n\n")
                else:
                    try:
                        number, view = following.result()
                    except StopAsyncIteration:
                        return
                    following = None
                    data = json.dumps(execution_json(view))
                    self.write(f"event: execution\nid: {number}\ndata: {data}\n\n")
                await self.flush()  # waits for a slow reader
        finally:
            if following is not None:
                following.cancel()
                await asyncio.wait({following})

    def on_connection_close(self) -> None:
        """Stop when the reader went away."""
        self._client_gone = True
        if self._pump is not None:
            self._pump.cancel()
        super().on_connection_close()

    def finish(self, *args: Json, **kwargs: Json) -> asyncio.Future[None]:
        """Keep the content type that the stream began with."""
        if self._headers_written:
            kwargs["set_content_type"] = "text/event-stream; charset=utf-8"
        return super().finish(*args, **kwargs)


async def _next(events: AsyncIterator[tuple[int, ExecutionView]]) -> tuple[int, ExecutionView]:
    return await events.__anext__()


def _last_event_id(header: str | None) -> int | None:
    if header is None or header == "":
        return None
    if not header.isascii() or not header.isdecimal() or len(header) > 18:
        raise InvalidInput("Last-Event-ID must be a number", field="Last-Event-ID")
    return int(header)


class LogHandler(ApiHandler):
    """``/api/executions/{id}/log``: the whole output, also what the cell shows no more (O15)."""

    @allowed("read", "kernels")
    async def get(self, execution_id: str) -> None:
        """Send it as text, or with ``format=jsonl`` one nbformat output a line."""
        known = checked_id(execution_id)
        form = self.query("format") or "text"
        if form not in ("text", "jsonl"):
            raise InvalidInput("format must be text or jsonl", field="format")
        lines = await self.services.engine.log(known)
        kind = "text/plain" if form == "text" else "application/jsonl"
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        extension = "txt" if form == "text" else "jsonl"
        self.set_header("Content-Disposition", f'attachment; filename="{known}.{extension}"')
        try:
            async for chunk in lines:
                self.write(chunk if form == "jsonl" else as_text(chunk))
                await self.flush()
        except StreamClosedError:
            return  # the reader has seen enough
        await self.finish(set_content_type=f"{kind}; charset=utf-8")


def as_text(lines: bytes) -> bytes:
    """Outputs, one JSON object a line, as what a terminal would show of them."""
    return "".join(map(_output_text, lines.splitlines())).encode("utf-8", "backslashreplace")


def _output_text(line: bytes) -> str:
    output = json.loads(line)
    kind = output.get("output_type")
    if kind == "stream":
        return _joined(output.get("text", ""))
    if kind == "error":
        return "\n".join(output.get("traceback", ())) + "\n"
    data = output.get("data", {})
    if "text/plain" in data:
        return _joined(data["text/plain"]) + "\n"
    return f"<{', '.join(data)}>\n"


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
