"""Finds the servers of the other tests, and makes those that start quickly."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

for folder in ("server", "process"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))

from forking import ForkingServer, Template  # noqa: E402 - found by then


@pytest.fixture(scope="session")
def template() -> Iterator[Template]:
    made = Template()
    yield made
    made.close()


@pytest.fixture
def make(template: Template, tmp_path: Path) -> Iterator[Callable[..., ForkingServer]]:
    """Makes servers, which are not started yet."""
    count = 0
    with ExitStack() as ends:

        def prepare(**options: Any) -> ForkingServer:
            nonlocal count
            count += 1
            server = ForkingServer(template, tmp_path / str(count), **options)
            ends.callback(server.end)
            return server

        yield prepare
