"""A nanny without a server, by a clock that is moved by hand."""

from __future__ import annotations

import pytest

from notebook_exec.nanny.orphan import Orphanhood


def looks_until_over(orphanhood: Orphanhood, begin: float) -> float:
    now = begin
    while not orphanhood.look(now, is_alone=True):
        now += orphanhood.interval_s
    return now - begin


@pytest.mark.parametrize("timeout_s", [1.0, 60.0, 86_400.0])
def test_k7_after_its_time_alone(timeout_s: float) -> None:
    """K7: neither earlier nor much later; a server that was there in between starts it anew."""
    orphanhood = Orphanhood(timeout_s, 0.0)
    assert 30 >= orphanhood.interval_s > 0
    assert not orphanhood.look(timeout_s / 4, is_alone=True)
    assert not orphanhood.look(timeout_s / 2, is_alone=False)
    alone_s = looks_until_over(orphanhood, timeout_s / 2)
    assert timeout_s < alone_s <= timeout_s + 2 * orphanhood.interval_s


def test_k7_a_server_that_is_gone_at_each_look() -> None:
    """K7: one that is killed again and again was there all the same."""
    orphanhood = Orphanhood(60.0, 0.0)
    now = 0.0
    for _ in range(100):
        now += orphanhood.interval_s
        orphanhood.seen()
        assert not orphanhood.look(now, is_alone=True)
    assert 60 < looks_until_over(orphanhood, now) <= 60 + 2 * orphanhood.interval_s


def test_k6_a_jump_of_the_clock_is_not_time_alone() -> None:
    """K6: stopped or asleep for days, the nanny still gives a server its time to come back."""
    orphanhood = Orphanhood(86_400.0, 0.0)
    assert not orphanhood.look(30.0, is_alone=True)
    week_s = 7 * 86_400.0
    assert not orphanhood.look(week_s, is_alone=True)
    assert not orphanhood.look(week_s - 3600, is_alone=True)  # and backwards
    assert looks_until_over(orphanhood, week_s) > 86_000
