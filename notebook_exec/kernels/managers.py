"""What is needed of jupyter_client's kernel managers, as jupyter_server makes them."""

from __future__ import annotations

from asyncio import Future as AsyncFuture
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future as ThreadFuture
from datetime import datetime
from typing import Any, Protocol

from notebook_exec.core.model import Json


class Provisioner(Protocol):
    """The owner of a kernel's process: a ``KernelProvisionerBase``."""

    @property
    def has_process(self) -> bool:
        """Whether there is a process, dead or alive."""

    def poll(self) -> Coroutine[Any, Any, int | None]:
        """None while the process runs, else its exit code."""


class Session(Protocol):
    """A ``jupyter_client.session.Session``."""

    session: str


class KernelSpec(Protocol):
    """A ``jupyter_client.kernelspec.KernelSpec``."""

    language: str


class KernelManager(Protocol):
    """The manager of one kernel: a ``jupyter_client.AsyncKernelManager``."""

    session: Session
    autorestart: bool
    shutting_down: bool
    last_activity: datetime

    @property
    def provisioner(self) -> Provisioner | None:
        """None before the first start."""

    @property
    def kernel_spec(self) -> KernelSpec | None:
        """None for a kernel that someone else started."""

    @property
    def ready(self) -> AsyncFuture[None] | ThreadFuture[None]:
        """Done when a start or a shutdown is; each of them makes a new one."""

    @property
    def owns_kernel(self) -> bool:
        """Whether this server started the kernel."""

    def get_connection_info(self) -> dict[str, Json]:
        """What a connection file holds."""

    def restart_kernel(self, now: bool = False) -> Awaitable[None]:
        """Replace its process, as the restarter does; ``now``: without asking the old one."""

    def add_restart_callback(self, callback: Callable[[], None], event: str = "restart") -> None:
        """Call ``callback`` before each automatic restart, or when that was given up ("dead")."""

    def remove_restart_callback(self, callback: Callable[[], None], event: str = "restart") -> None:
        """Undo ``add_restart_callback``."""


class KernelManagers(Protocol):
    """The managers by kernel id: jupyter_server's ``AsyncMappingKernelManager``."""

    def __contains__(self, kernel_id: str) -> bool:
        """Whether the kernel is known."""

    def get_kernel(self, kernel_id: str) -> Any:
        """The ``KernelManager`` of ``kernel_id``."""

    def interrupt_kernel(self, kernel_id: str) -> Awaitable[None] | None:
        """Interrupt as the kernelspec says: by signal or by message."""

    def restart_kernel(self, kernel_id: str) -> Awaitable[object]:
        """Replace the process; done when the new one is started."""

    def shutdown_kernel(self, kernel_id: str) -> Awaitable[object]:
        """End the process and forget the kernel."""
