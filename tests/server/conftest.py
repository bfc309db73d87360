"""Fixtures of the tests of the HTTP side: a server in a thread over a stand-in of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from server_harness import Server
from server_standin import StandInDocuments, StandInEngine

from notebook_exec.server.services import Services
from notebook_exec.server.settings import Settings

SETTINGS = Settings(max_body_bytes=100_000, max_cells_per_request=50, max_wait_s=5.0)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    patch = pytest.MonkeyPatch()
    isolate(patch, folder)
    server = Server(folder, Services(SETTINGS))
    yield server
    server.close()
    patch.undo()


@pytest.fixture
def engine(running: Server) -> StandInEngine:
    async def start() -> StandInEngine:
        engine = StandInEngine()
        documents = cast(Any, StandInDocuments())
        running.services.started(engine, documents, cast(Any, None), engine.kernels)
        running.authorizer.denied = frozenset()
        running.authorizer.asked.clear()
        return engine

    return running.call(start())


@pytest.fixture
def server(running: Server, engine: StandInEngine) -> Server:
    """A server whose engine knows nothing of other tests."""
    return running


def isolate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Keep all that Jupyter reads and writes inside ``folder``."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        (folder / name).mkdir(exist_ok=True)
        patch.setenv(f"JUPYTER_{name}_DIR", str(folder / name))
    patch.setenv("JUPYTER_NO_CONFIG", "1")
    patch.setenv("IPYTHONDIR", str(folder / "ipython"))
