"""How each system is asked to open a room and to run cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from cases import PLAIN, Case
from sender import Sender, Submissions


@dataclass(frozen=True)
class Notebook:
    """A notebook with its kernel on a server."""

    path: str
    kernel_id: str
    session_id: str
    document_id: str
    room_url: str
    cell_ids: tuple[str, ...]
    sources: tuple[str, ...]


class System:
    """A server that speaks jupyter-collaboration's protocol."""

    def __init__(self, http: aiohttp.ClientSession, sender: Sender) -> None:
        self.http = http
        self.sender = sender

    async def room(self, path: str) -> tuple[str, str]:
        """The id of the document at ``path``, and the address of its room."""
        model = await self.call(
            "PUT",
            f"/api/collaboration/session/{quote(path)}",
            {"format": "json", "type": "notebook"},
        )
        document_id = f"{model['format']}:{model['type']}:{model['fileId']}"
        return document_id, f"/api/collaboration/room/{document_id}?sessionId={model['sessionId']}"

    async def run(self, notebook: Notebook, indices: list[int]) -> None:
        """Ask for the cells at ``indices`` to be run, in that order."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of what it has open itself."""

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; its answer's JSON. Raises for anything but success."""
        async with self.http.request(method, path, json=body) as response:
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {response.status} {await response.text()}")
            return await response.json(content_type=None) if response.status != 204 else None


class OursByPost(System):
    """notebook_exec: one request, whatever the number of cells, as scripts send it."""

    async def run(self, notebook: Notebook, indices: list[int]) -> None:
        cells = [notebook.cell_ids[index] for index in indices]
        await self.submit({"path": notebook.path, "cells": cells})

    async def submit(self, body: Any) -> None:
        """Send one request."""
        await self.sender.post("/api/executions", body)


class Ours(OursByPost):
    """The same by the page's websocket."""

    def __init__(self, http: aiohttp.ClientSession, sender: Sender) -> None:
        super().__init__(http, sender)
        self._submissions: Submissions | None = None

    async def submit(self, body: Any) -> None:
        if self._submissions is None:
            self._submissions = await Submissions.connect(self.http)
        await self._submissions.post(body)

    async def close(self) -> None:
        if self._submissions is not None:
            await self._submissions.close()


class NbModel(System):
    """jupyter-server-nbmodel: a request for each cell, with its source."""

    async def run(self, notebook: Notebook, indices: list[int]) -> None:
        for index in indices:
            metadata = {
                "cell_id": notebook.cell_ids[index],
                "document_id": notebook.document_id,
                "document_path": notebook.path,
            }
            body = {"code": notebook.sources[index], "metadata": metadata}
            await self.sender.post(f"/api/kernels/{notebook.kernel_id}/execute", body)


class Documents(System):
    """jupyter-server-documents: one request, with a hash of each cell's source."""

    async def room(self, path: str) -> tuple[str, str]:
        model = await self.call("POST", f"/api/fileid/index?path={quote(path)}")
        document_id = f"json:notebook:{model['id']}"
        return document_id, f"/api/collaboration/room/{document_id}"

    async def run(self, notebook: Notebook, indices: list[int]) -> None:
        cells = [
            {
                "cell_id": notebook.cell_ids[index],
                "source_hash": str(murmur_hash_2(notebook.sources[index].encode())),
            }
            for index in indices
        ]
        body = {"document_id": notebook.document_id, "cells": cells}
        await self.sender.post(f"/api/kernels/{notebook.kernel_id}/execute", body)


SYSTEMS: dict[str, type[System]] = {
    "ours": Ours,
    PLAIN: Ours,
    "jupyter-server-nbmodel": NbModel,
    "jupyter-server-documents": Documents,
}


def system_of(name: str, case: Case) -> type[System]:
    """How to ask the system ``name``, which may have a way for ``case``."""
    system = SYSTEMS[name]
    return OursByPost if system is Ours and case.by_post else system


def murmur_hash_2(data: bytes) -> int:
    """MurmurHash2 of ``data``, 32 bits, seed 0 (Austin Appleby, public domain)."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    state = len(data) & mask
    whole = len(data) - len(data) % 4
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        state = state * multiplier & mask ^ word
    if whole < len(data):
        state = (state ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    state = (state ^ state >> 13) * multiplier & mask
    return state ^ state >> 15
