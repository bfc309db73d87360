"""The table of legal moves, and the page that is made from it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from scheduler_world import execution

from notebook_exec.core.lifecycle import ENDS, INITIAL, MOVES, IllegalMove, document, move
from notebook_exec.core.model import ExecutionState, Reason

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
NO_MOVE = [
    pair for pair in product(ExecutionState, repeat=2) if pair not in MOVES and pair[0] != pair[1]
]


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_legal_moves(before: ExecutionState, after: ExecutionState) -> None:
    """Q1: what the table has can be done, with other fields in the same step."""
    moved = move(execution("a", state=before), after, reason=Reason.BLANK, ended_at=7.0)
    assert (moved.state, moved.reason, moved.ended_at) == (after, Reason.BLANK, 7.0)


@pytest.mark.parametrize(("before", "after"), NO_MOVE)
def test_illegal_moves_raise(before: ExecutionState, after: ExecutionState) -> None:
    """Q1: an illegal move raises."""
    with pytest.raises(IllegalMove, match=f"a: {before.value} → {after.value}"):
        move(execution("a", state=before), after)


@pytest.mark.parametrize("state", ExecutionState)
def test_to_stay_is_legal_until_the_end(state: ExecutionState) -> None:
    """Q1: fields may change while it goes on, nothing changes once it is over."""
    stays = execution("a", state=state)
    if state.is_final:
        with pytest.raises(IllegalMove):
            move(stays, state, execution_count=3)
    else:
        assert move(stays, state, execution_count=3).execution_count == 3


def test_final_states_are_those_without_a_way_out() -> None:
    """Q1: nothing follows a final state, and something follows every other."""
    ways_out = {before for before, _ in MOVES}
    assert {state for state in ExecutionState if not state.is_final} == ways_out


def test_every_state_is_reached() -> None:
    """Q1: no state of the table is out of reach."""
    reached = {INITIAL}
    for _ in ExecutionState:
        reached |= {after for before, after in MOVES if before in reached}
    assert reached == set(ExecutionState)


def test_every_reason_is_explained() -> None:
    """Q1, Q12: how an execution can end is said for each reason, with final states only."""
    assert set(ENDS) == {None, *Reason}
    for states, when in ENDS.values():
        assert all(state.is_final for state in states)
        assert when


def test_the_page_is_that_of_the_table() -> None:
    """Q1: the diagram in the docs is made from the table."""
    assert PAGE.read_text(encoding="utf-8") == document()
