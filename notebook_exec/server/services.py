"""What the handlers work on, and whether it has been started yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .kernel_pages import KernelPages
from .predecessors import Predecessors
from .settings import Settings

if TYPE_CHECKING:
    from notebook_exec.documents.registry import Documents
    from notebook_exec.documents.transient import TransientRooms
    from notebook_exec.engine.api import EngineApi

    from .kernels import Kernels

SETTINGS_KEY = "notebook_exec_services"
"""Where the web application's settings hold the Services."""


class NotStartedError(Exception):
    """The extension could not be started; the text says why."""


class Services:
    """Given to the handlers at once, filled when the event loop runs and all is started."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.predecessors = Predecessors()
        self.kernel_pages = KernelPages()
        self._engine: EngineApi | None = None
        self._documents: Documents | None = None
        self._transient_rooms: TransientRooms | None = None
        self._kernels: Kernels | None = None
        self._failure: str | None = None
        self._settled = asyncio.Event()

    def started(
        self,
        engine: EngineApi,
        documents: Documents,
        transient_rooms: TransientRooms,
        kernels: Kernels,
    ) -> None:
        """Let the requests in."""
        self._engine = engine
        self._documents = documents
        self._transient_rooms = transient_rooms
        self._kernels = kernels
        self._settled.set()

    def failed(self, message: str) -> None:
        """Answer every request with ``message`` from now on."""
        self._failure = message
        self._settled.set()

    async def wait_started(self) -> None:
        """Return when requests can be served. NotStartedError if they never will be."""
        await self._settled.wait()
        if self._failure is not None:
            raise NotStartedError(self._failure)

    async def opened_documents(self) -> Documents:
        """The live documents, when there are any."""
        await self.wait_started()
        return self.documents

    @property
    def is_started(self) -> bool:
        """Whether nothing has to be waited for."""
        return self._engine is not None and self._failure is None

    @property
    def engine(self) -> EngineApi:
        """The engine; only after ``wait_started``."""
        if self._engine is None:
            raise NotStartedError("notebook_exec has not been started")
        return self._engine

    @property
    def documents(self) -> Documents:
        """The live documents; only after ``wait_started``."""
        if self._documents is None:
            raise NotStartedError("notebook_exec has not been started")
        return self._documents

    @property
    def transient_rooms(self) -> TransientRooms:
        """Rooms without a file; only after ``wait_started``."""
        if self._transient_rooms is None:
            raise NotStartedError("notebook_exec has not been started")
        return self._transient_rooms

    @property
    def kernels(self) -> Kernels:
        """What is asked of kernels besides running code; only after ``wait_started``."""
        if self._kernels is None:
            raise NotStartedError("notebook_exec has not been started")
        return self._kernels
