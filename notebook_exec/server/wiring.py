"""Builds the program inside a Jupyter server, and takes it down again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from notebook_exec.core.model import CellId, DocumentId, KernelId
from notebook_exec.documents.agreement import Notice
from notebook_exec.documents.files import Files
from notebook_exec.documents.registry import Documents, DocumentSettings, Hooks
from notebook_exec.documents.transient import TransientRooms
from notebook_exec.engine.engine import Engine
from notebook_exec.engine.journal import StoreJournal, keep_agreement, load_state
from notebook_exec.engine.recovery import recover
from notebook_exec.engine.settings import EngineSettings
from notebook_exec.kernels.actions import KernelActions
from notebook_exec.kernels.culling import CullGuard
from notebook_exec.kernels.kernel_models import KernelModels
from notebook_exec.kernels.link import Link, LinkListener
from notebook_exec.kernels.nanny_link import NannyLink
from notebook_exec.kernels.operations import KernelOperations
from notebook_exec.kernels.zmq_link import ZmqLink
from notebook_exec.store.store import Store

from .kernel_host import ServerKernelHost
from .lasting_kernels import LastingKernels, state_dir_of
from .notices import Notices
from .services import Services
from .settings import Settings

log = logging.getLogger(__name__)

PRUNE_INTERVAL_S = 3600.0
_RESTART_LIMIT_S = 10.0
_START_LIMIT_S = 10.0


class Program:
    """All that runs for one Jupyter server; ``start`` it once, ``close`` it in the end."""

    def __init__(
        self, serverapp: Any, services: Services, lasting: LastingKernels | None = None
    ) -> None:
        self._lasting = lasting
        self._app = serverapp
        self._services = services
        self._settings = services.settings
        self._store: Store | None = None
        self._documents: Documents | None = None
        self._engine: Engine | None = None
        self._actions: KernelActions | None = None
        self._cull_guard: CullGuard | None = None
        self._rooms: TransientRooms | None = None
        self._notices: Notices | None = None
        self._models: KernelModels | None = None
        self._pruning: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the store, recover, then let requests in. Raises what keeps it from running."""
        app, settings = self._app, self._settings
        state_dir = state_dir_of(settings, Path(app.root_dir))
        self._store = store = await Store.open(state_dir)
        self._notices = notices = Notices(app.event_logger)
        store.on_trouble = notices.store_in_trouble
        store.on_recovered = notices.store_recovered
        journal = StoreJournal(store)
        documents = Documents(
            files=Files(app.contents_manager, app.web_app.settings["file_id_manager"]),
            journal=journal,
            stored=partial(load_state, store),
            settings=document_settings(settings),
            hooks=Hooks(
                is_running=self._is_running, on_notice=self._on_notice, store=keep_agreement
            ),
        )
        self._documents = documents
        journal.state_of = documents.state_of
        self._actions = KernelActions(app.kernel_manager, app.event_logger)
        self._cull_guard = CullGuard(app.kernel_manager)
        self._engine = Engine(
            documents=documents,
            store=store,
            host=ServerKernelHost(
                kernel_manager=app.kernel_manager,
                session_manager=app.session_manager,
                contents_manager=app.contents_manager,
                connect=self._connect,
                cull_guard=self._cull_guard,
            ),
            state_dir=state_dir,
            settings=engine_settings(settings),
            show_widget=self._services.kernel_pages.show_widget,
            show_death=self._services.kernel_pages.show_death,
        )
        adopted: Collection[KernelId] | None = None
        if self._lasting is not None:
            busy = {e.kernel_id for e in await store.unfinished_executions()}
            await self._lasting.start(store, busy)
            adopted = self._lasting.known
        await recover(store, documents, self._engine.resume, adopted)
        self._pruning = asyncio.create_task(self._prune(store))
        rooms = TransientRooms(
            max_message_bytes=settings.max_message_bytes,
            max_backlog_bytes=settings.max_backlog_bytes,
        )
        self._rooms = rooms
        self._models = KernelModels(app.kernel_manager)
        kernels = KernelOperations(app.kernel_manager)
        self._services.started(self._engine, documents, rooms, kernels)

    async def close(self) -> None:
        """End executions, save documents, close the store (R5). Safe to call twice."""
        if self._actions is not None:
            await self._actions.restarted(_RESTART_LIMIT_S)  # a new process has yet to be stored
        if self._pruning is not None:
            self._pruning.cancel()
            await asyncio.wait([self._pruning])
        if self._engine is not None:
            if self._lasting is not None:
                await self._lasting.settle(self._engine.is_starting, _START_LIMIT_S)
            await self._engine.close(() if self._lasting is None else self._lasting.to_keep)
        if self._lasting is not None:
            self._lasting.close()
        for part in (self._rooms, self._documents, self._store):
            if part is not None:
                await part.close()
        if self._cull_guard is not None:
            await self._cull_guard.close()
        if self._models is not None:
            self._models.close()
        if self._actions is not None:
            self._actions.close()

    def _connect(self, kernel_id: KernelId, listener: LinkListener, position: int | None) -> Link:
        assert self._actions is not None
        session = f"notebook_exec-{kernel_id}"
        if self._lasting is not None:
            if self._lasting.has(kernel_id):
                return NannyLink(
                    kernel_id, self._actions, listener, position=position, session=session
                )
            left = self._lasting.left_journal(kernel_id, listener, position or 0, session)
            if left is not None:
                return left
        return ZmqLink(kernel_id, self._actions, listener)

    def _is_running(self, document_id: DocumentId, cell_id: CellId) -> bool:
        return self._engine is not None and self._engine.is_running(document_id, cell_id)

    def _on_notice(self, document_id: DocumentId, notice: Notice) -> None:
        assert self._notices is not None
        path = None if self._documents is None else self._documents.path_of(document_id)
        self._notices.of_document(document_id, path, notice)

    async def _prune(self, store: Store) -> None:
        while True:
            await store.prune(time.time(), self._settings.history_days)
            await asyncio.sleep(PRUNE_INTERVAL_S)


def document_settings(settings: Settings) -> DocumentSettings:
    """Of all options those of the documents."""
    return DocumentSettings(
        save_delay_s=settings.save_delay_s,
        unload_delay_s=settings.unload_delay_s,
        poll_s=settings.file_poll_interval_s,
        max_message_bytes=settings.max_message_bytes,
        max_backlog_bytes=settings.max_backlog_bytes,
    )


def engine_settings(settings: Settings) -> EngineSettings:
    """Of all options those of the engine."""
    return EngineSettings(
        frame_interval_s=settings.frame_interval_s,
        idle_grace_s=settings.idle_grace_s,
        interrupt_grace_s=settings.interrupt_grace_s,
        max_output_bytes=settings.max_output_bytes,
        max_log_bytes=settings.max_log_bytes,
        history_bytes=settings.history_bytes,
        max_queue_length=settings.max_queue_length,
    )
