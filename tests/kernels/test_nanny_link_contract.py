"""The contract of all links, held by the nanny's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels_harness import LinkFactory
from nanny_harness import nanny_by_default, without_log
from test_link_contract import *  # noqa: F403


@pytest.fixture(autouse=True)
def _nannies(tmp_path: Path) -> Iterator[None]:
    with nanny_by_default(tmp_path / "nannies"):
        yield


@pytest.fixture
def factory() -> LinkFactory:
    return without_log
