"""When a kernel is knocked at that does not begin what it was sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from notebook_exec.core.knock import Knocker


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.planned: list[tuple[float, Callable[[], None]]] = []
        self.knocks: list[float] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.planned.append((self.now + delay_s, callback))

    def knock(self) -> None:
        self.knocks.append(self.now)

    def pass_until(self, moment: float) -> None:
        while self.planned and min(self.planned, key=lambda p: p[0])[0] <= moment:
            due = min(self.planned, key=lambda p: p[0])
            self.planned.remove(due)
            self.now = due[0]
            due[1]()
        self.now = moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def knocker(clock: Clock) -> Knocker:
    return Knocker(clock.call_later, clock.knock)


def test_k9_it_knocks_ever_more_seldom(clock: Clock, knocker: Knocker) -> None:
    """K9: the kernel may be busy with what somebody else sent; an hour of that is ten knocks."""
    knocker.sent("e1")
    clock.pass_until(20)
    assert clock.knocks == [2, 4, 8, 16]
    clock.pass_until(3600)
    assert len(clock.knocks) == 11


def test_k9_what_is_heard_of_needs_no_knock(clock: Clock, knocker: Knocker) -> None:
    """K9: however long it runs. The next request has its own time."""
    knocker.sent("e1")
    clock.pass_until(0.5)
    knocker.heard("e1")
    clock.pass_until(10)
    knocker.sent("e2")
    clock.pass_until(11.5)
    assert not clock.knocks
    knocker.sent("e3")
    knocker.heard("e2")
    clock.pass_until(12.5)
    assert not clock.knocks
    clock.pass_until(13.5)
    assert clock.knocks == [13]


def test_k9_a_run_of_short_cells_is_no_reason_to_knock(clock: Clock, knocker: Knocker) -> None:
    """K9: and costs one timer at a time, none when nothing is left."""
    for number in range(100):
        knocker.sent(f"e{number}")
        assert len(clock.planned) == 1
        clock.pass_until((number + 1) * 0.1)
        knocker.heard(f"e{number}")
    clock.pass_until(20)
    assert not clock.knocks
    assert not clock.planned


def test_k9_a_kernel_that_is_gone_is_forgotten(clock: Clock, knocker: Knocker) -> None:
    """K9: what it was sent is its own affair."""
    knocker.sent("e1")
    clock.pass_until(1.5)
    knocker.forget()
    clock.pass_until(20)
    assert not clock.knocks
