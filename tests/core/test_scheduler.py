"""The queue of a kernel: order, ends, errors, and what is not run at all."""

from __future__ import annotations

from typing import Any

import pytest
from scheduler_world import ADA, VALUE_ERROR, World, execution, names

from notebook_exec.core.model import (
    DocumentId,
    ExecutionId,
    ExecutionState,
    OnError,
    Reason,
    Timing,
)
from notebook_exec.core.scheduler import Changed, KernelReady, SendExecute, ShowText


def sent(world: World) -> str:
    return "".join(e.execution_id for e in world.log if isinstance(e, SendExecute))


def test_a_run_from_submission_to_its_end() -> None:
    """Q1: the moves of a plain run, each with the effects of its transaction."""
    world = World()
    assert names(world.cells("a")) == ["a new→queued", "a queued→running", "clear a", "send a"]
    world.now += 1
    assert names(world.busy("a", count=4)) == ["a running→running", "a running→running"]
    assert world.known["a"].execution_count == 4
    world.now += 1
    assert names(world.end("a", count=4)) == ["a running→running", "a running→finished"]
    ended = world.known["a"]
    assert (ended.started_at, ended.ended_at, ended.reason, ended.error) == (100, 102, None, None)
    assert not world.scheduler.executions
    assert world.scheduler.next_wake is None


def test_requests_are_not_mixed() -> None:
    """Q2: no other request's cells come between, and cells keep their order."""
    world = World()
    world.cells("abc", "r1")
    world.cells("xy", "r2")
    assert list(world.scheduler.executions) == list("abcxy")
    for id_ in "abcxy":
        assert world.scheduler.running == id_
        world.end(id_)
    assert sent(world) == "abcxy"


def test_a_request_is_refused_as_one() -> None:
    """Q2: where one of its executions is there already, none is queued."""
    world = World()
    world.cells("ab", "r1")
    with pytest.raises(ValueError, match="execution b is queued already"):
        world.cells("xb", "r2")
    assert list(world.scheduler.executions) == ["a", "b"]
    assert names(world.end("a"))[-1] == "send b"


def test_the_submitted_source_stays() -> None:
    """Q3: what runs is the source that was submitted."""
    world = World()
    world.submit(execution("a"), execution("b", source="submitted"))
    world.end("a")
    assert world.scheduler.executions[world.known["b"].id].source == "submitted"


def test_the_same_cell_twice_runs_twice() -> None:
    """Q4: two executions of one cell are two runs."""
    world = World()
    world.submit(execution("a", "r1", cell_id="c"), request="r1")
    world.submit(execution("b", "r2", cell_id="c"), request="r2")
    world.end("a")
    world.end("b")
    assert sent(world) == "ab"
    assert world.states("ab") == "finished finished"


def test_outputs_are_cleared_at_the_start_and_not_before() -> None:
    """Q5: a queued cell is left alone; clearing comes in one transaction with the start."""
    world = World()
    world.cells("a", "r1")
    assert names(world.cells("b", "r2")) == ["b new→queued"]
    started = world.reply("a") + world.idle("a")
    assert names(started)[-3:] == ["b queued→running", "clear b", "send b"]
    assert world.known["b"].execution_count is None


def test_the_next_goes_in_the_call_that_ends_the_last() -> None:
    """Q5, Q16: end and next start come from one call, so that one transaction shows both."""
    world = World()
    world.cells("ab")
    world.reply("a")
    assert names(world.idle("a")) == [
        "a running→finished",
        "b queued→running",
        "clear b",
        "send b",
    ]


def test_an_error_stops_the_rest_of_its_request() -> None:
    """Q6: "stop" cancels the rest of the request; other clients' requests go on."""
    world = World()
    world.cells("abc", "r1", client_id="page1")
    world.cells("x", "r2", client_id="page2")
    assert names(world.fail("a"))[1:] == [
        "a running→failed",
        "b queued→cancelled",
        "c queued→cancelled",
        "x queued→running",
        "clear x",
        "send x",
    ]
    assert world.known["a"].error == VALUE_ERROR
    assert world.known["a"].reason is None
    assert world.state("b") == (ExecutionState.CANCELLED, Reason.EARLIER_ERROR)


def test_an_error_stops_what_the_same_page_queued() -> None:
    """Q6: the same client's later requests on this notebook, and no others, are cancelled."""
    world = World()
    world.cells("a", "r1", client_id="page")
    world.cells("b", "r2", client_id="page")
    world.cells("c", "r3", client_id="page", document_id=DocumentId("other"))
    world.cells("d", "r4", client_id="other")
    world.cells("e", "r5")
    world.fail("a")
    assert world.states("abcde") == "failed cancelled running queued queued"


def test_without_a_client_id_only_the_request_is_stopped() -> None:
    """Q6: requests that name no client do not belong together."""
    world = World()
    world.cells("a", "r1")
    world.cells("b", "r2")
    world.fail("a")
    assert world.states("ab") == "failed running"


def test_code_without_a_notebook_stops_its_request_only() -> None:
    """Q6: "on this notebook" holds for no two runs that have none."""
    world = World()
    world.cells("a", "r1", client_id="page", document_id=None)
    world.cells("b", "r2", client_id="page", document_id=None)
    world.fail("a")
    assert world.states("ab") == "failed running"


@pytest.mark.parametrize("fields", [{"on_error": OnError.CONTINUE}, {"raises_exception": True}])
def test_errors_that_do_not_stop(fields: dict[str, Any]) -> None:
    """Q6: with "continue", or in a cell tagged raises-exception, an error does not stop."""
    world = World()
    world.submit(execution("a", client_id="page", **fields), execution("b", client_id="page"))
    world.fail("a")
    assert world.states("ab") == "failed running"


def test_a_failed_run_always_has_an_error() -> None:
    """Q6: also if the kernel says "error" and not which."""
    world = World()
    world.cells("a")
    world.end("a", "error")
    error = world.known["a"].error
    assert error is not None
    assert error.ename == "Error"


def test_an_aborted_run_is_cancelled() -> None:
    """Q6: the kernel did not run it, for an error in what came before; so the rest is off too."""
    world = World()
    world.cells("ab")
    world.end("a", "aborted")
    assert world.state("a") == (ExecutionState.CANCELLED, Reason.EARLIER_ERROR)
    assert world.state("b") == (ExecutionState.CANCELLED, Reason.EARLIER_ERROR)


def test_skipped_cells() -> None:
    """Q9: not run, finished, with a reason; the cell's outputs are not touched."""
    world = World()
    effects = world.submit(execution("a", skip=True), execution("b"))
    assert names(effects) == [
        "a new→queued",
        "b new→queued",
        "a queued→finished",
        "b queued→running",
        "clear b",
        "send b",
    ]
    assert world.state("a") == (ExecutionState.FINISHED, Reason.SKIPPED)
    assert world.known["a"].started_at is None


@pytest.mark.parametrize("source", ["", "  \n\t\n"])
def test_blank_cells(source: str) -> None:
    """Q9: nothing is sent, outputs are cleared, no count is taken."""
    world = World()
    assert names(world.cells("a", source=source)) == [
        "a new→queued",
        "a queued→finished",
        "clear a",
    ]
    assert world.state("a") == (ExecutionState.FINISHED, Reason.BLANK)
    assert world.known["a"].execution_count is None


def test_skipped_and_blank_cells_keep_their_turn() -> None:
    """Q2, Q9: what needs no kernel waits for what is before it all the same."""
    world = World()
    world.submit(execution("a"), execution("b", skip=True), execution("c", source=""))
    assert world.states("abc") == "running queued queued"
    world.end("a")
    assert world.states("abc") == "finished finished finished"


def test_many_blank_cells_at_once() -> None:
    """Q9: a long row of them is no deeper than a short one."""
    world = World()
    ids = [f"c{i}" for i in range(3000)]
    world.submit(*(execution(i, source="") for i in ids))
    assert not world.scheduler.executions


def test_submitting_while_the_kernel_starts() -> None:
    """Q10: queued until the kernel is ready."""
    world = World(ready=False)
    assert names(world.cells("ab")) == ["a new→queued", "b new→queued"]
    assert world.scheduler.running is None
    assert names(world.do(KernelReady())) == ["a queued→running", "clear a", "send a"]


def test_timing_and_count() -> None:
    """Q11: the dates of the kernel's messages, and the count of the reply."""
    world = World()
    world.cells("a")
    world.busy("a", count=7)
    world.end("a", count=7, started="t-started")
    assert world.known["a"].timing == Timing("t-busy", "t-input", "t-started", "t-reply", "t-idle")
    assert world.known["a"].execution_count == 7


def test_a_reply_without_a_count_keeps_the_one_of_the_input() -> None:
    """Q11: kernels may leave it out of either message."""
    world = World()
    world.cells("a")
    world.busy("a", count=7)
    world.end("a")
    assert world.known["a"].execution_count == 7


def test_who_asked_is_kept() -> None:
    """Q12: with when it was queued, began and ended."""
    world = World()
    world.cells("a")
    world.now = 107.5
    world.end("a")
    ended = world.known["a"]
    assert (ended.requested_by, ended.queued_at) == (ADA, 0.0)
    assert (ended.started_at, ended.ended_at) == (100.0, 107.5)


def test_two_notebooks_on_one_kernel_run_in_turn() -> None:
    """Q13: one queue for each kernel, whatever the notebook."""
    world = World()
    world.cells("ab", "r1", document_id=DocumentId("d1"))
    world.cells("xy", "r2", document_id=DocumentId("d2"))
    for id_ in "abxy":
        world.end(id_)
    assert sent(world) == "abxy"


def test_positions() -> None:
    """A2: 0 runs, 1 is next, and who is over has none."""
    world = World(ready=False)
    world.cells("abc")
    assert [world.scheduler.positions()[world.known[i].id] for i in "abc"] == [1, 2, 3]
    world.do(KernelReady())
    assert [world.scheduler.positions()[world.known[i].id] for i in "abc"] == [0, 1, 2]
    world.end("a")
    assert world.known["a"].id not in world.scheduler.positions()


def test_finished_needs_reply_and_idle() -> None:
    """Q16: neither of them alone ends a run, in whatever order they come."""
    for first, second in (("reply", "idle"), ("idle", "reply")):
        world = World()
        world.cells("ab")
        getattr(world, first)("a")
        assert world.states("ab") == "running queued"
        getattr(world, second)("a")
        assert world.states("ab") == "finished running"


def test_the_idle_never_comes() -> None:
    """Q16: a second after the reply is enough; the gap is said in the cell, in the same step."""
    world = World()
    world.cells("ab")
    world.reply("a")
    assert world.scheduler.next_wake == 101.0
    assert not world.wait(0.9)
    effects = world.wait(0.1)
    assert names(effects)[:3] == ["text a stderr", "a running→finished", "b queued→running"]
    (said,) = [e for e in effects if isinstance(e, ShowText)]
    assert "did not become idle within 1 s" in said.text
    assert not world.idle("a")


def test_the_reply_never_comes() -> None:
    """Q16: how it ended is not known, so it is lost, and stops like an error; nothing hangs."""
    world = World()
    world.cells("ab", "r1")
    world.cells("x", "r2")
    world.idle("a")
    assert not world.wait(9.9)
    effects = world.wait(0.1)
    assert names(effects)[0] == "text a stderr"
    assert world.states("abx") == "lost cancelled running"
    assert not world.reply("a")
    assert world.scheduler.next_wake is None


def test_messages_of_others_do_nothing() -> None:
    """O9: what is over, still queued or unknown is not moved by the kernel's messages."""
    world = World()
    world.cells("abc")
    world.end("a")
    for id_ in ("a", "c", "unknown"):
        assert not world.busy(id_)
        assert not world.ask(id_)
        assert not world.end(id_, "error", error=VALUE_ERROR)
    assert world.states("abc") == "finished running queued"


def test_a_second_reply_and_a_second_idle_do_nothing() -> None:
    """Q1: a run ends once."""
    world = World()
    world.cells("a")
    world.reply("a")
    assert not world.reply("a", "error", error=VALUE_ERROR)
    world.idle("a")
    assert not world.idle("a")
    changes = [e for e in world.log if isinstance(e, Changed) and e.execution.state.is_final]
    assert [e.execution.state for e in changes] == [ExecutionState.FINISHED]


def test_q16_the_wait_for_the_idle_counts_from_the_last_output_heard() -> None:
    """Q16: with a backlog on iopub the reply comes early; the run is over after its outputs."""
    world = World()
    world.cells("a")
    world.busy("a")
    world.reply("a")
    world.scheduler.heard(ExecutionId("a"), world.now + 0.9)
    assert names(world.wait(1.5)) == []
    assert names(world.wait(0.5))[-1] == "a running→finished"
