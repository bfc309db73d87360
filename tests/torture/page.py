"""A page that stays open whatever becomes of the server, and remembers what it was shown."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_ydoc import YNotebook
from programs import Seen, seen
from pycrdt import Doc, Map
from real_server import RealServer
from server_harness import TOKEN
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from y_client import YClient, room_url

LOOK_EVERY_S = 0.04


class Page:
    """``open`` it once; it comes back by itself, as y-websocket does. ``close`` it in the end."""

    def __init__(self, server: RealServer, path: str, is_up: asyncio.Event) -> None:
        self._server = server
        self._path = path
        self._is_up = is_up
        self.doc: Doc[Any] = Doc()
        self.notebook = YNotebook(self.doc)
        self.looks: dict[str, list[Seen]] = {}
        """By the id of the execution: what its cell was seen to show, look by look."""
        self.forgives = False
        """What it is shown may be taken back: the server died with a full disk (R7)."""
        self._client: YClient | None = None
        self._is_connected = asyncio.Event()
        self._url = ""
        self._task: asyncio.Task[None] | None = None
        self._changes = self.doc.observe(lambda event: self._changed())
        self._will_look = False

    def find(self) -> None:
        """Ask where its room is. Blocks."""
        told = self._server.session(self._path).json
        room = f"{told['format']}:{told['type']}:{told['fileId']}"
        self._url = room_url(self._server, room, told["sessionId"])

    def open(self) -> None:
        """Begin to connect."""
        self._task = asyncio.create_task(self._stay())

    async def close(self) -> None:
        """Its document is as it was; it may be opened again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def until_synced(self) -> None:
        """It is connected, and has what the server had then."""
        await self._is_connected.wait()
        assert self._client is not None
        await self._client.synced()

    async def _stay(self) -> None:
        headers = {"Authorization": f"token {TOKEN}"}
        while True:
            await self._is_up.wait()
            try:
                async with connect(
                    self._url, additional_headers=headers, max_size=None, close_timeout=1
                ) as socket:
                    self._client = client = YClient(socket, self.doc)
                    self._is_connected.set()
                    try:
                        await client.run()
                    finally:
                        self._is_connected.clear()
                        self._client = None
                        client.leave()
            except (OSError, EOFError, WebSocketException):
                await asyncio.sleep(0.02)  # y-websocket waits 100 ms

    # --- what is seen -------------------------------------------------------------------------

    def _changed(self) -> None:
        if not self._will_look:
            self._will_look = True
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, self.look)

    def look(self) -> None:
        """Remember what the cells show now."""
        self._will_look = False
        if self.forgives:
            self.looks.clear()
            return
        for cell_id, entry in self.entries().items():
            if entry["state"] == "queued":
                continue
            look = seen(self.cell(cell_id).get("outputs", []))
            looks = self.looks.setdefault(entry["id"], [])
            if not looks or looks[-1] != look:
                looks.append(look)

    def entries(self) -> dict[str, Any]:
        return self.doc.get("execution", type=Map).to_py() or {}

    def cells(self) -> dict[str, Any]:
        return {str(cell["id"]): cell.to_py() for cell in self.notebook.ycells}

    def cell(self, cell_id: str) -> dict[str, Any]:
        for cell in self.notebook.ycells:
            if cell["id"] == cell_id:
                found: dict[str, Any] = cell.to_py()
                return found
        return {}

    def type(self, cell_id: str, text: str) -> bool:
        """At the end of a cell's source; False if the page has not got the cell yet."""
        for cell in self.notebook.ycells:
            if cell["id"] == cell_id:
                source = cell["source"]
                source += text
                return True
        return False
