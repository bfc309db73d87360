"""The engine with a real store, real documents over a real contents manager, and fake kernels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from fake_link import FakeHost, FakeLink
from files_harness import Folder, notebook
from files_harness import until as file_until
from pycrdt import Map, Text, TransactionEvent
from room_harness import Page

from notebook_exec.core.model import CellId, DocumentId, ExecutionId, KernelId, User
from notebook_exec.documents import protocol
from notebook_exec.documents.files import Files
from notebook_exec.documents.registry import Documents, DocumentSettings, Hooks, LiveDocument
from notebook_exec.documents.room import Room
from notebook_exec.documents.undo import release_undo_manager
from notebook_exec.engine.api import Accepted, CellRequest, ExecutionView, Submission
from notebook_exec.engine.engine import Engine
from notebook_exec.engine.journal import StoreJournal, keep_agreement, load_state
from notebook_exec.engine.recovery import recover
from notebook_exec.engine.settings import EngineSettings
from notebook_exec.store.store import Store

ADA = User("ada", "Ada")
BOB = User("bob", "Bob")
TIMEOUT_S = 20.0
QUIET = DocumentSettings(save_delay_s=3600, poll_s=3600, unload_delay_s=3600)
QUICK = DocumentSettings(save_delay_s=0.02, poll_s=0.02, unload_delay_s=0.02)
ENGINE = EngineSettings(frame_interval_s=0.002, idle_grace_s=0.3, interrupt_grace_s=0.3)


class Viewer(Page):
    """A page that takes what comes at once, and keeps what it showed after each transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[dict[str, Any]] = []
        self.updates: list[bytes] = []
        self._news = asyncio.Event()
        self._looking = self.doc.observe(self._look)

    def connect(self, room: Room) -> None:
        self.client = room.connect(_Socket(self), can_write=True, user=self.user)
        self.send(protocol.step1(self.doc.get_state()))

    def take(self, message: bytes) -> None:
        self._take(message)
        self._news.set()

    def _look(self, event: TransactionEvent) -> None:
        self.updates.append(event.update)
        asyncio.get_running_loop().call_soon(self._news.set)

    def show_all(self) -> None:
        """Keep the present state of all cells, as a step of what was shown."""
        self.shown.append(self.cells())

    def entry(self, cell_id: str) -> dict[str, Any] | None:
        entries = self.doc.get("execution", type=Map).to_py() or {}
        return entries.get(cell_id)

    def cells(self) -> dict[str, Any]:
        """By id: execution_state, count, outputs, source, state in the map, metadata."""
        entries = self.doc.get("execution", type=Map).to_py() or {}
        cells = {}
        for ycell in self.notebook.ycells:
            cell = ycell.to_py()
            cell["state"] = (entries.get(cell["id"]) or {}).get("state")
            cells[cell["id"]] = cell
        return cells

    def cell(self, cell_id: str) -> dict[str, Any]:
        return self.cells().get(cell_id, {})

    def text(self, cell_id: str) -> str:
        """All that the cell's streams show."""
        return "".join(o["text"] for o in self.cell(cell_id).get("outputs", ()) if "text" in o)

    # --- what a user does ---

    def index(self, cell_id: str) -> int:
        return [str(ycell["id"]) for ycell in self.notebook.ycells].index(cell_id)

    def delete(self, cell_id: str) -> None:
        del self.notebook.ycells[self.index(cell_id)]

    def move(self, cell_id: str, to: int) -> None:
        """As JupyterLab does: out and in again, in one transaction."""
        with self.doc.transaction():
            cell = self.notebook.ycells[self.index(cell_id)].to_py()
            self.delete(cell_id)
            self.notebook.ycells.insert(to, self.notebook.create_ycell(cell))

    def type_in(self, cell_id: str, text: str) -> None:
        ytext = self.notebook.ycells[self.index(cell_id)]["source"]
        ytext += text

    def clear(self, cell_id: str) -> None:
        """Clear the cell's outputs."""
        self.notebook.ycells[self.index(cell_id)]["outputs"].clear()

    def put_output(self, cell_id: str, text: str) -> None:
        """An output that no run made."""
        output = Map({"output_type": "stream", "name": "stdout", "text": Text(text)})
        self.notebook.ycells[self.index(cell_id)]["outputs"].append(output)

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when ``condition`` holds after some message."""

        async def wait() -> None:
            while not condition():
                self._news.clear()
                await self._news.wait()

        await asyncio.wait_for(wait(), TIMEOUT_S)


class _Socket:
    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    async def send(self, data: bytes) -> None:
        self._viewer.take(data)
        self._viewer.show_all()

    def close(self, code: int, reason: str) -> None:
        self._viewer.client = None


class World:
    """A folder, a state folder and a host that outlive servers; ``start`` starts one."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = Folder(base)
        self.host = FakeHost()
        self.engine: Engine
        self.documents: Documents
        self.store: Store
        self.viewers: list[Viewer] = []
        self._is_up = False

    async def start(
        self,
        *,
        documents: DocumentSettings = QUIET,
        engine: EngineSettings = ENGINE,
        adopted: Collection[KernelId] | None = None,
    ) -> None:
        """A server over what the one before left; the ``adopted`` kernels went on."""
        await self.stop()
        self.store = store = await Store.open(self.base / "state")
        journal = StoreJournal(store)
        self.documents = Documents(
            files=Files(self.folder.manager, self.folder.ids),
            journal=journal,
            stored=partial(load_state, store),
            settings=documents,
            hooks=Hooks(
                is_running=lambda document, cell: self.engine.is_running(document, cell),  # noqa: PLW0108 - not there yet
                store=keep_agreement,
            ),
        )
        journal.state_of = self.documents.state_of
        self.engine = Engine(
            documents=self.documents,
            store=store,
            host=self.host,
            state_dir=self.base / "state",
            settings=engine,
        )
        await recover(store, self.documents, self.engine.resume, adopted)
        self._is_up = True

    async def stop(self, keep: Collection[KernelId] = ()) -> None:
        """Stop in an orderly way; the kernels to ``keep`` go on."""
        if self._is_up:
            self._is_up = False
            for viewer in self.viewers:
                viewer.disconnect()
            await self.engine.close(keep)
            await self.documents.close()
            await self.store.close()

    async def kill(self) -> None:
        """What is stored is all that is left; nothing more reaches store or files."""
        self._is_up = False
        for viewer in self.viewers:
            viewer.disconnect()
        self.store.submit = lambda ops, then=None, **_: None  # type: ignore[method-assign]
        for runner in self.engine._runners.values():
            await runner.close()
        for live in self.documents:
            assert live.sync._task is not None
            live.sync._task.cancel()
            release_undo_manager(live.room.ydocument)
        self.engine.ledger.close()
        await self.engine._logs.close()
        await self.store.close()

    async def close(self) -> None:
        await self.stop()
        self.folder.close()

    # --- notebooks ----------------------------------------------------------------------------

    def write(self, path: str, *sources: str, **tags: list[str]) -> None:
        """A notebook of cells c0, c1 …; ``c1=[…]`` are a cell's tags."""
        made = notebook(*sources)
        for cell in made["cells"]:
            if cell["id"] in tags:
                cell["metadata"]["tags"] = tags[cell["id"]]
        self.folder.write(path, made)

    async def live(self, path: str) -> LiveDocument:
        return await self.documents.open(await self.documents.document_id(path))

    async def view(self, path: str) -> Viewer:
        """A page that has the notebook open and in step."""
        live = await self.live(path)
        viewer = Viewer()
        viewer.connect(live.room)
        self.viewers.append(viewer)
        await viewer.until(lambda: len(viewer.notebook.ycells))
        viewer.shown.clear()
        return viewer

    async def until(self, condition: Callable[[], object]) -> None:
        """For what sets no event: a file, an unloaded document."""
        await file_until(condition)

    async def source(self, path: str, cell_id: str) -> str:
        """The source that the server's document has, after all that clients sent."""
        await asyncio.sleep(0)
        live = await self.live(path)
        assert live.notebook is not None
        view = live.notebook.cell(CellId(cell_id))
        assert view is not None
        return view.source

    def loaded(self, document_id: DocumentId | None) -> bool:
        assert document_id is not None
        return self.documents.get(document_id) is not None

    # --- runs ---------------------------------------------------------------------------------

    def submission(self, path: str | None, *cells: str | CellRequest, **more: Any) -> Submission:
        asked = tuple(
            cell if isinstance(cell, CellRequest) else CellRequest(CellId(cell)) for cell in cells
        )
        given: dict[str, Any] = {"requested_by": ADA, "document_id": None, **more}
        return Submission(path=path, cells=asked or "all", **given)

    async def submit(self, path: str | None, *cells: str | CellRequest, **more: Any) -> Accepted:
        return await self.engine.submit(self.submission(path, *cells, **more))

    async def link(self, accepted: Accepted) -> FakeLink:
        """The link to the kernel that a request went to."""
        return await self.link_of(accepted.executions[0].execution.kernel_id)

    async def link_of(self, kernel_id: KernelId) -> FakeLink:
        async def wait() -> FakeLink:
            while kernel_id not in self.host.links:  # noqa: ASYNC110 - tasks make it, quickly
                await asyncio.sleep(0)
            return self.host.links[kernel_id]

        return await asyncio.wait_for(wait(), TIMEOUT_S)

    async def over(self, accepted: Accepted) -> list[ExecutionView]:
        """The executions of a request, once all are over."""
        return [await self.ended(view.execution.id) for view in accepted.executions]

    async def ended(self, execution_id: ExecutionId) -> ExecutionView:
        await self.engine.ledger.wait(execution_id, lambda e: e.state.is_final, TIMEOUT_S)
        view = await self.engine.get(execution_id)
        assert view.execution.state.is_final, view.execution
        return view


def states(views: list[ExecutionView]) -> list[str]:
    return [view.execution.state.value for view in views]
