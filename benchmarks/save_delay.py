"""How long opening and saving a big notebook hold up the event loop (SPEC D3, D10).

    python -m benchmarks.save_delay [--cells 500] [--megabytes 50]

Prints, for each phase, how long it took and the longest time the loop could do nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import string
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server_fileid.manager import ArbitraryFileIdManager
from nbformat.sign import NotebookNotary

from notebook_exec.core.model import DocumentId
from notebook_exec.documents.files import Files
from notebook_exec.documents.registry import Documents, DocumentSettings, LiveDocument

TICK_S = 0.001


class Clock:
    """Measures the loop's longest delay."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def run(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_S)
            self.longest_s = max(self.longest_s, time.perf_counter() - before - TICK_S)

    async def phase(self, name: str, work: Awaitable[Any]) -> Any:
        await asyncio.sleep(0.05)
        self.longest_s = 0.0
        before = time.perf_counter()
        result = await work
        took = time.perf_counter() - before
        await asyncio.sleep(0.05)
        print(f"{name:34} {took:7.2f} s   longest delay {self.longest_s * 1000:6.1f} ms")
        return result


class Nowhere:
    """A journal that keeps nothing."""

    def append(
        self,
        document_id: DocumentId,
        update: bytes,
        alongside: Sequence[object],
        then: Callable[[bool], None],
    ) -> None:
        asyncio.get_running_loop().call_soon(then, True)


async def nothing_stored(document_id: DocumentId) -> None:
    return None


def write_notebook(path: Path, cells: int, megabytes: float) -> None:
    rng = random.Random(1)
    size = int(megabytes * 2**20 / cells)
    letters = string.ascii_letters + string.digits + "é\n"
    block = "".join(rng.choices(letters, k=min(size, 100_000)))
    made = []
    for index in range(cells):
        text = (block * (size // len(block) + 1))[:size]
        output: dict[str, Any] = {"output_type": "stream", "name": "stdout", "text": text}
        if index % 5 == 0:
            data = {"image/png": text.replace("\n", ""), "text/plain": "<Figure>"}
            output = {"output_type": "display_data", "data": data, "metadata": {}}
        cell = nbformat.v4.new_code_cell(
            f"print({index})", id=f"c{index}", outputs=[nbformat.from_dict(output)]
        )
        made.append(cell)
    nbformat.write(nbformat.v4.new_notebook(cells=made), str(path))


async def type_for(live: LiveDocument, seconds: float) -> None:
    """Changes one cell every 10 ms."""
    assert live.notebook is not None
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        text = live.room.ydocument.ycells[3]["source"]
        with live.room.transact():
            text += "x"
        await asyncio.sleep(0.01)


async def measure(base: Path, cells: int, megabytes: float) -> None:
    root = base / "root"
    root.mkdir()
    write_notebook(root / "big.ipynb", cells, megabytes)
    manager = AsyncLargeFileManager(root_dir=str(root))
    manager.notary = NotebookNotary(
        parent=manager, db_file=str(base / "nbsignatures.db"), secret_file=str(base / "secret")
    )
    files = Files(manager, ArbitraryFileIdManager(root_dir=str(root), db_path=str(base / "ids")))
    documents = Documents(
        files=files,
        journal=Nowhere(),
        stored=nothing_stored,
        settings=DocumentSettings(save_delay_s=3600, poll_s=3600),
    )
    clock = Clock()
    ticking = asyncio.create_task(clock.run())
    document_id = await documents.document_id("big.ipynb")
    live: LiveDocument = await clock.phase("open", documents.open(document_id))
    ycells = live.room.ydocument.ycells
    with live.room.transact():
        for ycell in ycells:  # so that it is signed too, as what was run here
            ycell["metadata"]["trusted"] = True
    await clock.phase("first save", live.save())
    await clock.phase("typing for 2 s", type_for(live, 2))
    await clock.phase("save after one cell changed", live.save())
    await clock.phase("typing while it is saved", asyncio.gather(type_for(live, 2), live.save()))
    await documents.close()
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--megabytes", type=float, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        asyncio.run(measure(Path(base), given.cells, given.megabytes))


if __name__ == "__main__":
    main()
