"""jupyter_server's kernels and sessions, as the engine needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from notebook_exec.core.model import InvalidInput, KernelId, KernelStartError
from notebook_exec.kernels.adoption import forget_failed_start
from notebook_exec.kernels.culling import CullGuard
from notebook_exec.kernels.link import Link, LinkListener


class ServerKernelHost:
    """Starts kernels through the kernel manager, so that every client of the server sees them.

    ``connect`` makes a link to a kernel of ``kernel_manager``.
    """

    def __init__(
        self,
        *,
        kernel_manager: Any,
        session_manager: Any,
        contents_manager: Any,
        connect: Callable[[KernelId, LinkListener, int | None], Link],
        cull_guard: CullGuard,
    ) -> None:
        self._kernels = kernel_manager
        self._sessions = session_manager
        self._contents = contents_manager
        self._connect = connect
        self._cull_guard = cull_guard
        # Looking a session up costs a query and two models, for each request to run a cell.
        self._known: dict[str, KernelId] = {}
        self._known_at: int | None = None

    def has(self, kernel_id: KernelId) -> bool:
        """Whether there is such a kernel."""
        return kernel_id in self._kernels

    async def kernel_of(self, path: str) -> KernelId | None:
        """The kernel of the session of the notebook at ``path``, if it has one."""
        stamp = self._stamp()
        if stamp is None or stamp != self._known_at:
            self._known.clear()
            self._known_at = stamp
        known = self._known.get(path)
        if known is not None and self.has(known):
            return known
        try:
            session = await self._sessions.get_session(path=path)
        except HTTPError:
            return None  # there is no such session
        kernel = session.get("kernel") if session else None
        if not kernel:
            return None
        kernel_id = KernelId(kernel["id"])
        if stamp is not None:
            self._known[path] = kernel_id
        return kernel_id

    def _stamp(self) -> int | None:
        """Another number after each change of the table of sessions; None where there is none."""
        connection = getattr(self._sessions, "connection", None)
        changes: int | None = getattr(connection, "total_changes", None)
        return changes

    def check_name(self, name: str) -> None:
        """InvalidInput if there is no such kernelspec."""
        try:
            self._kernels.kernel_spec_manager.get_kernel_spec(name)
        except NoSuchKernel:
            known = sorted(self._kernels.kernel_spec_manager.find_kernel_specs())
            raise InvalidInput(
                f"There is no kernelspec {name!r}; there are: {', '.join(known) or 'none'}.",
                field="kernel.name",
            ) from None

    async def start(self, kernel_id: KernelId, path: str, name: str | None) -> None:
        """Start a kernel with this id in a new session for ``path``. KernelStartError."""
        base = path.rpartition("/")[2]
        # The kernel first, under our id, then its session: what is submitted while it starts
        # is already tied to the id.
        try:
            folder = await ensure_async(self._contents.get_kernel_path(path=path))
            await ensure_async(
                self._kernels.start_kernel(
                    kernel_id=kernel_id,
                    path=folder,
                    kernel_name=name,
                    env=self._sessions.get_kernel_env(path, base),
                )
            )
            await self._sessions.create_session(
                path=path, name=base, type="notebook", kernel_name=name, kernel_id=kernel_id
            )
        except Exception as error:  # whatever a kernel provisioner raises ends the queue (Q10)
            forget_failed_start(self._kernels, kernel_id)
            message = str(error) or type(error).__name__
            raise KernelStartError(f"The kernel could not be started: {message}") from error

    def connect(
        self, kernel_id: KernelId, listener: LinkListener, position: int | None = None
    ) -> Link:
        """A link to a kernel, not yet open."""
        return self._connect(kernel_id, listener, position)

    def hold_active(self, kernel_id: KernelId) -> None:
        """The kernel has work: it is not culled (K12)."""
        self._cull_guard.hold(kernel_id)

    def release_active(self, kernel_id: KernelId) -> None:
        """The kernel has nothing to do any more."""
        self._cull_guard.release(kernel_id)
