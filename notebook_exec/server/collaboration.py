"""The routes of jupyter-collaboration: sessions and rooms (SPEC D1).

What its front end can show and we do not offer, the timeline and forks, is answered such that it
goes on: an empty list, or 404 with a text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from notebook_exec.core.model import DocumentId, InvalidInput, Json, NotebookExecError, NotFound

from . import fields
from .base import ApiHandler, allowed, may, user_of, ws_allowed
from .websocket import SocketHandler, SocketTransport

if TYPE_CHECKING:
    from notebook_exec.documents.room import Room, RoomClient

# Close codes that the front end of jupyter-collaboration knows.
UNSUPPORTED = 1003  # shows a dialog built from the JSON in the reason
TRY_AGAIN_LATER = 1013
BAD_REQUEST = 4400
NOT_FOUND = 4404
INTERNAL_ERROR = 4500

FORMATS = ("json", "text", "base64")
_TYPE = re.compile(r"[\w.+-]{1,64}", re.ASCII)
_TRANSIENT_ID = re.compile(r"[\w.-]{1,64}:[\w.-]{1,64}", re.ASCII)


class SessionHandler(ApiHandler):
    """``/api/collaboration/session/{path}``."""

    @allowed("read", "contents")
    async def put(self, path: str) -> None:
        """Tell the room of the file at ``path``."""
        body = self.json_object()
        form = fields.text(body.get("format"), "format")
        if form not in FORMATS:
            raise InvalidInput(f"format must be one of {', '.join(FORMATS)}", field="format")
        kind = fields.text(body.get("type"), "type")
        if not _TYPE.fullmatch(kind):
            raise InvalidInput("type is no type of a document", field="type")
        services = self.services
        document_id = await services.documents.document_id(fields.path(path), form, kind)
        # Loaded here: only then is known which history it has, and whether it can be opened so.
        live = await services.documents.open(document_id)
        self.reply(
            {
                "format": form,
                "type": kind,
                "fileId": document_id.split(":", 2)[2],
                "sessionId": live.session,
            }
        )


class RoomHandler(SocketHandler):
    """``WS /api/collaboration/room/{room_id}``: one client of one room."""

    auth_resource = "contents"
    _client: RoomClient | None = None

    @property
    def limit_bytes(self) -> int:
        """That of a room."""
        return self.services.settings.max_message_bytes

    @ws_allowed("read", "contents")
    async def get(self, *args: str, **kwargs: str) -> None:
        """Upgrade to a websocket."""
        await super().get(*args, **kwargs)

    async def open(self, room_id: str) -> None:
        """Join the room; tornado reads no message before this returns."""
        super().open()
        try:
            await self.services.wait_started()
            can_write = await may(self, "write", "contents")
            room = await self._room(room_id)
        except NotFound as error:
            self._refuse(NOT_FOUND, error.message)
        except NotebookExecError as error:
            self._refuse(BAD_REQUEST, error.message)
        except Exception:
            # The border to whatever a contents manager may raise; the client is told, not left.
            self.log.exception("Cannot open the room %r", room_id)
            self._refuse(INTERNAL_ERROR, "the document cannot be opened")
        else:
            if room is not None and self.ws_connection is not None:
                transport = SocketTransport(self)
                self._client = room.connect(transport, can_write=can_write, user=user_of(self))

    async def _room(self, room_id: str) -> Room | None:
        """The room, or None if the client was refused."""
        services = self.services
        if _TRANSIENT_ID.fullmatch(room_id):
            room = services.transient_rooms.open(room_id)
        elif fields.is_document_id(room_id):
            live = await services.documents.open(DocumentId(room_id))
            session_id = self.get_query_argument("sessionId", "")
            if session_id and session_id != live.session:
                self._refuse_session(session_id)
                return None
            room = live.room
        else:
            raise InvalidInput("there is no such kind of room", field="room_id")
        if room.client_count >= services.settings.max_room_clients:
            self._refuse(TRY_AGAIN_LATER, "the document has as many clients as are allowed")
            return None
        return room

    def _refuse_session(self, session_id: str) -> None:
        """Its document has another history; merged into ours its content would be there twice."""
        body = {"reason": "unknown_session", "sessionId": session_id[:36], "reloadable": True}
        self._refuse(UNSUPPORTED, json.dumps(body))

    def _refuse(self, code: int, reason: str) -> None:
        SocketTransport(self).close(code, reason)

    def on_message(self, message: str | bytes) -> None:
        """Hand it to the room; text is not part of the protocol."""
        if self._client is not None and isinstance(message, bytes):
            self._client.receive(message)

    def on_close(self) -> None:
        """Leave the room."""
        if self._client is not None:
            self._client.closed()
            self._client = None


class ForksHandler(ApiHandler):
    """``/api/collaboration/fork/{room_id}``: there are none."""

    @allowed("read", "contents")
    async def get(self, room_id: str) -> None:
        """List no forks."""
        self.reply({})

    @allowed("write", "contents")
    async def put(self, room_id: str) -> None:
        """Refuse to make one."""
        self.reply(_not_offered("forks of documents"), 404)

    @allowed("write", "contents")
    async def delete(self, room_id: str) -> None:
        """Know of none."""
        self.reply(_not_offered("forks of documents"), 404)


class TimelineHandler(ApiHandler):
    """``/api/collaboration/timeline/{path}`` and ``/undo_redo/{room_id}``: not offered."""

    @allowed("read", "contents")
    async def get(self, name: str) -> None:
        """Say that there is no timeline."""
        self.reply(_not_offered("the timeline of a document"), 404)

    @allowed("write", "contents")
    async def put(self, name: str) -> None:
        """Say that there is no timeline."""
        self.reply(_not_offered("the timeline of a document"), 404)


def _not_offered(what: str) -> dict[str, Json]:
    text = f"{what} is not offered by this server"
    return {"code": 404, "error": text, "message": text, "reason": "not_offered"}
