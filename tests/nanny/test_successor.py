"""What follows a request without the server's word, and when."""

from __future__ import annotations

import pytest

from notebook_exec.nanny.successor import Successor


@pytest.fixture
def gone() -> list[tuple[str, list[bytes]]]:
    return []


@pytest.fixture
def successor(gone: list[tuple[str, list[bytes]]]) -> Successor:
    made = Successor(lambda request_id, frames: gone.append((request_id, frames)))
    made.hold("e1", "e2", [b"frames"])
    return made


@pytest.mark.parametrize("idle_first", [True, False])
def test_q2_it_goes_after_reply_and_idle(
    successor: Successor, gone: list[tuple[str, list[bytes]]], idle_first: bool
) -> None:
    """Q2: of the very request that it follows, both, in whatever order; once."""
    successor.on_reply("e0", "ok")
    successor.on_idle("e0")
    ends = [lambda: successor.on_reply("e1", "ok"), lambda: successor.on_idle("e1")]
    for end in reversed(ends) if idle_first else ends:
        assert not gone
        end()
    assert gone == [("e2", [b"frames"])]
    for end in ends:
        end()
    assert len(gone) == 1
    assert successor.request_id == ""


@pytest.mark.parametrize("status", ["error", "aborted", None])
@pytest.mark.parametrize("idle_first", [True, False])
def test_q6_it_does_not_go_after_an_error(
    successor: Successor,
    gone: list[tuple[str, list[bytes]]],
    status: str | None,
    idle_first: bool,
) -> None:
    """Q6: the server knows whether it is to run then."""
    if idle_first:
        successor.on_idle("e1")
    successor.on_reply("e1", status)
    successor.on_idle("e1")
    successor.on_reply("e1", "ok")
    assert not gone
    assert successor.request_id == ""


def test_q7_it_can_be_dropped_and_replaced(
    successor: Successor, gone: list[tuple[str, list[bytes]]]
) -> None:
    """Q7: what is not held any more never goes, and what is held instead waits for both again."""
    successor.on_idle("e1")
    successor.hold("e1", "e3", [])
    successor.on_reply("e1", "ok")
    assert not gone
    successor.drop()
    successor.on_idle("e1")
    successor.on_idle("")
    successor.on_reply("", "ok")
    assert not gone
