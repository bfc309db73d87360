"""What the engine needs of the server that owns the kernels."""

from __future__ import annotations

from typing import Protocol

from notebook_exec.core.model import KernelId
from notebook_exec.kernels.link import Link, LinkListener


class KernelHost(Protocol):
    """Kernels and the sessions that tie them to notebooks."""

    def has(self, kernel_id: KernelId) -> bool:
        """Whether there is such a kernel."""
        ...

    async def kernel_of(self, path: str) -> KernelId | None:
        """The kernel of the session of the notebook at ``path``, if it has one."""
        ...

    def check_name(self, name: str) -> None:
        """InvalidInput (field ``kernel.name``) if there is no such kernelspec."""
        ...

    async def start(self, kernel_id: KernelId, path: str, name: str | None) -> None:
        """Start a kernel with this id in a new session for ``path``. KernelStartError."""
        ...

    def connect(
        self, kernel_id: KernelId, listener: LinkListener, position: int | None = None
    ) -> Link:
        """A link to a kernel, not yet open. ``position``: it goes on after that message (R2)."""
        ...

    def hold_active(self, kernel_id: KernelId) -> None:
        """The kernel has work: it is not idle, whatever the culler thinks (K12)."""
        ...

    def release_active(self, kernel_id: KernelId) -> None:
        """The kernel has nothing to do any more."""
        ...
