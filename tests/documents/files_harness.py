"""A folder with a real contents manager and file id manager over it, as the server wires them."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.services.contents.largefilemanager import (
    AsyncLargeFileManager,
    LargeFileManager,
)
from jupyter_server_fileid.manager import ArbitraryFileIdManager, LocalFileIdManager
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from notebook_exec.documents.files import Files

TIMEOUT_S = 20.0
SCHEMA = "https://events.jupyter.org/jupyter_server/contents_service/v1"


class Folder:
    """A root folder, its managers, and ``Files`` over them."""

    def __init__(
        self,
        base: Path,
        *,
        is_async: bool = True,
        local_ids: bool = False,
        manager_class: Any = None,
    ) -> None:
        self.root = base / "root"
        self.root.mkdir(exist_ok=True)
        kind = manager_class or (AsyncLargeFileManager if is_async else LargeFileManager)
        self.manager = kind(root_dir=str(self.root), delete_to_trash=False)
        self.manager.notary = NotebookNotary(  # type: ignore[no-untyped-call]
            parent=self.manager,
            db_file=str(base / "signatures.db"),
            secret_file=str(base / "secret"),
        )
        ids = LocalFileIdManager if local_ids else ArbitraryFileIdManager
        self.ids = ids(root_dir=str(self.root), db_path=str(base / "ids.db"))
        self.events: list[str] = []
        self.manager.event_logger.add_listener(schema_id=SCHEMA, listener=self._listen)
        self.files = Files(self.manager, self.ids)

    async def _listen(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        """As ``jupyter_server_fileid`` listens."""
        self.events.append(data["action"])
        handler = self.ids.get_handlers_by_action()[data["action"]]
        if handler:
            handler(data)

    async def call(self, method: str, *args: Any) -> Any:
        """What a request to the contents API does, with the events that follow."""
        result = getattr(self.manager, method)(*args)
        if inspect.isawaitable(result):
            result = await result
        await asyncio.sleep(0)
        return result

    def write(self, path: str, content: Any) -> None:
        """As another program writes; always with another mtime."""
        target = self.root / path
        before = target.stat().st_mtime_ns if target.exists() else 0
        text = content if isinstance(content, str) else nbformat.writes(content)
        target.write_text(text, newline="")
        if target.stat().st_mtime_ns <= before:
            os.utime(target, ns=(before + 10**7, before + 10**7))

    def read(self, path: str) -> Any:
        """A notebook on disk, valid."""
        content = json.loads((self.root / path).read_text())
        nbformat.validate(content)
        return content

    def text(self, path: str) -> str:
        return (self.root / path).read_bytes().decode()

    def names(self) -> set[str]:
        return {entry.name for entry in self.root.iterdir() if not entry.name.startswith(".")}

    def close(self) -> None:
        self.files.close()
        self.ids.con.close()
        self.manager.notary.store.close()


def notebook(*sources: str, **outputs: list[dict[str, Any]]) -> Any:
    """Code cells ``c0``, ``c1`` … with these sources; ``c1=[…]`` gives outputs."""
    cells = []
    for index, source in enumerate(sources):
        cell = new_code_cell(source, id=f"c{index}")  # type: ignore[no-untyped-call]
        cell["outputs"] = [nbformat.from_dict(o) for o in outputs.get(f"c{index}", [])]
        cells.append(cell)
    return new_notebook(cells=cells)  # type: ignore[no-untyped-call]


def markdown(source: str, cell_id: str) -> Any:
    return new_markdown_cell(source, id=cell_id)  # type: ignore[no-untyped-call]


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def html(text: str) -> dict[str, Any]:
    """An output that shows only where it is trusted."""
    return {"output_type": "display_data", "data": {"text/html": text}, "metadata": {}}
