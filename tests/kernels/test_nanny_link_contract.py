"""The contract of all links, held by the nanny's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels_harness import LinkFactory
from nanny_harness import nanny_by_default, nanny_config, without_log
from test_link_contract import *  # noqa: F403
from traitlets.config import Config


@pytest.fixture
def config(config: Config, tmp_path: Path) -> Iterator[Config]:
    with nanny_by_default():
        config.merge(nanny_config(tmp_path))
        yield config


@pytest.fixture
def factory() -> LinkFactory:
    return without_log
