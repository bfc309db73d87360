"""The garbage collector leaves alone what stays anyway."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from notebook_exec.server.collector import calm_collector


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_l1_what_is_there_is_not_looked_at_again() -> None:
    """L1: a full collection does not get longer with all that a server has loaded."""
    calm_collector()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[0] >= 10_000


def test_l1_who_switched_it_off_has_it_off() -> None:
    """L1: a threshold of 0 is somebody's wish."""
    gc.set_threshold(0)
    calm_collector()
    assert gc.get_threshold()[0] == 0
