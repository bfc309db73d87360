"""Which kernel a notebook has, asked of jupyter_server's own session manager."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.services.sessions.sessionmanager import SessionManager

from notebook_exec.server.kernel_host import ServerKernelHost

PATH = "nb.ipynb"


class Kernels(AsyncMappingKernelManager):
    """Those that are there, and no more of them than their ids."""

    def __init__(self, *ids: str) -> None:
        super().__init__()
        self.ids = set(ids)
        self.looks = 0

    def __contains__(self, kernel_id: str) -> bool:
        return kernel_id in self.ids

    def update_env(self, *, kernel_id: str, env: dict[str, str]) -> None:
        """As its own; there is no process to tell."""

    def kernel_model(self, kernel_id: str) -> dict[str, Any]:
        self.looks += 1
        return {"id": kernel_id, "name": "python3"}


@pytest.fixture
def kernels() -> Kernels:
    return Kernels("k1", "k2")


@pytest.fixture
async def sessions(kernels: Kernels) -> AsyncIterator[SessionManager]:
    manager = SessionManager()
    manager.kernel_manager = kernels
    yield manager
    manager.close()
    manager.connection.close()


@pytest.fixture
def host(kernels: Kernels, sessions: SessionManager) -> ServerKernelHost:
    return ServerKernelHost(
        kernel_manager=kernels,
        session_manager=sessions,
        contents_manager=None,
        connect=lambda *args: pytest.fail("nobody connects"),
        cull_guard=None,  # type: ignore[arg-type]
    )


async def save(sessions: SessionManager, session_id: str, kernel_id: str) -> None:
    await sessions.save_session(session_id, path=PATH, type="notebook", kernel_id=kernel_id)


async def test_a1_the_kernel_is_that_of_the_session_as_it_is_now(
    kernels: Kernels, sessions: SessionManager, host: ServerKernelHost
) -> None:
    """A1: another kernel, a kernel that is gone, a session that ended: it is asked again."""
    assert await host.kernel_of(PATH) is None
    await save(sessions, "s1", "k1")
    assert await host.kernel_of(PATH) == "k1"
    await sessions.update_session("s1", kernel_id="k2")
    assert await host.kernel_of(PATH) == "k2"
    await sessions.update_session("s1", path="moved.ipynb")
    assert await host.kernel_of(PATH) is None
    assert await host.kernel_of("moved.ipynb") == "k2"
    kernels.ids.discard("k2")
    assert await host.kernel_of("moved.ipynb") is None


async def test_a1_nothing_is_looked_up_while_nothing_changes(
    kernels: Kernels, sessions: SessionManager, host: ServerKernelHost
) -> None:
    """A1: a request for a cell does not cost a query and a model of the kernel each time."""
    await save(sessions, "s1", "k1")
    assert await host.kernel_of(PATH) == "k1"
    looks = kernels.looks
    assert [await host.kernel_of(PATH) for _ in range(5)] == ["k1"] * 5
    assert kernels.looks == looks
