"""The kernels that outlive this server, and those that outlived the one before (R2, R5)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir

from notebook_exec.core.model import Json, KernelId
from notebook_exec.kernels import adoption
from notebook_exec.kernels.left_journal import LeftJournal, has_left
from notebook_exec.kernels.link import Link, LinkListener
from notebook_exec.store.ops import DropKernel, PutKernel
from notebook_exec.store.peek import stored_kernels
from notebook_exec.store.store import Store

from .settings import Settings

log = logging.getLogger(__name__)

_SESSIONS = "sessions.sqlite"
_LOOK_S = 0.02


class LastingKernels:
    """Adopts, records and leaves kernels with a nanny, where the managers are of the known kind."""

    def __init__(self, serverapp: Any, settings: Settings) -> None:
        self._managers = serverapp.kernel_manager
        self._sessions = serverapp.session_manager
        self._events = serverapp.event_logger
        self._settings = settings
        self._state_dir = state_dir_of(settings, Path(serverapp.root_dir))
        self._store: Store | None = None
        self._records: adoption.KernelRecords | None = None
        self.adopted: set[KernelId] = set()
        self._left: dict[KernelId, Mapping[str, Json]] = {}  # records of those whose nanny is gone

    def prepare(self) -> None:
        """Before HTTP is served: a client that asked too early would end a kernel's session."""
        if not adoption.can_adopt(self._managers, self._sessions):
            return
        adoption.start_with_nannies(
            self._managers, orphan_timeout_s=self._settings.orphan_timeout_s
        )
        kernels = stored_kernels(self._state_dir)
        if kernels is None:
            return
        for kernel in kernels:
            try:
                if kernel.record is None:
                    log.warning("kernel %s cannot be found: no record", kernel.kernel_id)
                elif adoption.adopt(self._managers, kernel.kernel_id, kernel.record):
                    self.adopted.add(kernel.kernel_id)
                else:
                    log.warning("kernel %s ended, and its nanny with it", kernel.kernel_id)
                    if has_left(kernel.record, kernel.position or 0):
                        self._left[kernel.kernel_id] = kernel.record
            except Exception:
                # Whatever keeps one kernel from being adopted, the server starts, with the others.
                log.exception("kernel %s cannot be adopted", kernel.kernel_id)
        if adoption.keep_sessions(self._sessions, self._state_dir / _SESSIONS):
            adoption.drop_other_sessions(self._sessions, self._managers)

    async def start(self, store: Store, busy: Collection[KernelId]) -> None:
        """The event loop runs, the store is open. ``busy``: the kernels that run something."""
        if not adoption.can_adopt(self._managers, self._sessions):
            return
        for kernel_id in self.adopted:
            adoption.attend(self._managers, kernel_id, is_busy=kernel_id in busy)
        self._store = store
        self._records = adoption.KernelRecords(
            self._managers, self._events, put=self._put, drop=self._drop
        )
        await self._records.put_all()

    def has(self, kernel_id: KernelId) -> bool:
        """Whether a kernel is one of them."""
        return self._records is not None and adoption.has_nanny(self._managers, kernel_id)

    @property
    def known(self) -> Collection[KernelId]:
        """Those that live, and those that are gone and left what they said last."""
        return self.adopted | self._left.keys()

    def left_journal(
        self, kernel_id: KernelId, listener: LinkListener, position: int, session: str
    ) -> Link | None:
        """A link to what a kernel that is gone said last; None if it left nothing."""
        record = self._left.pop(kernel_id, None)
        if record is None:
            return None
        return LeftJournal(kernel_id, listener, record, position=position, session=session)

    async def settle(self, is_starting: Callable[[], bool], limit_s: float) -> None:
        """Before kernels are ended or left to the next server: what is being started is, wholly.

        Half a kernel can be neither ended nor kept.
        """
        if self._records is None:
            return
        deadline = time.monotonic() + limit_s
        while is_starting() or adoption.is_any_starting(self._managers):
            if time.monotonic() > deadline:
                log.warning("a kernel that is being started is not waited for any longer")
                break
            await asyncio.sleep(_LOOK_S)
        await self._records.put_all()

    @property
    def to_keep(self) -> frozenset[KernelId]:
        """Those that go on when this server stops."""
        if not self._settings.keep_kernels:
            return frozenset()
        return frozenset(k for k in self._managers.list_kernel_ids() if self.has(k))

    def close(self) -> None:
        """Before jupyter_server shuts its kernels down: it does not know those to keep any more."""
        if self._records is None:
            return
        keep = self.to_keep
        self._records.close()
        for kernel_id in self._managers.list_kernel_ids():
            if kernel_id in keep:
                adoption.let_go(self._managers, kernel_id)
            elif self.has(kernel_id):
                self._drop(kernel_id)
        self._records = None

    def _put(self, kernel_id: KernelId, record: dict[str, Json]) -> None:
        assert self._store is not None
        self._store.submit([PutKernel(kernel_id, record)])

    def _drop(self, kernel_id: KernelId) -> None:
        assert self._store is not None
        self._store.submit([DropKernel(kernel_id)])


def state_dir_of(settings: Settings, root: Path) -> Path:
    """Where the state of the server with this root directory lives."""
    if settings.state_dir is not None:
        return settings.state_dir
    resolved = root.expanduser().resolve()
    digest = hashlib.sha256(str(resolved).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = re.sub(r"[^\w.-]+", "-", resolved.name) or "root"
    return Path(jupyter_data_dir()) / "notebook_exec" / f"{name}-{digest}"
