"""What people do to the queue: cancel, interrupt, answer, limit its time."""

from __future__ import annotations

import pytest
from scheduler_world import (
    BOB,
    KEYBOARD_INTERRUPT,
    PROMPT,
    VALUE_ERROR,
    World,
    execution,
    names,
)

from notebook_exec.core.model import (
    Conflict,
    DeathReport,
    DocumentId,
    ExecutionState,
    OnError,
    Prompt,
    Reason,
)
from notebook_exec.core.scheduler import (
    KernelDied,
    KernelReady,
    KernelRestarting,
    KernelShutDown,
    SendExecute,
    SendInterrupt,
    SendRestart,
    ShowError,
    ShowText,
)
from notebook_exec.core.scheduler_events import Event

CANCELLED = (ExecutionState.CANCELLED, Reason.CANCELLED)
EARLIER = (ExecutionState.CANCELLED, Reason.EARLIER_ERROR)
INTERRUPTED = (ExecutionState.CANCELLED, Reason.INTERRUPTED)


# --- cancel ---------------------------------------------------------------------------------


def test_cancel_one_queued_cell() -> None:
    """Q7: it alone is taken out, its outputs untouched; the rest of its request runs."""
    world = World()
    world.cells("abc")
    assert names(world.cancel("b")) == ["b queued→cancelled"]
    assert world.state("b") == CANCELLED
    assert world.known["b"].ended_by == BOB
    world.end("a")
    assert world.states("abc") == "finished cancelled running"


def test_cancel_a_request_with_its_running_cell() -> None:
    """Q7: every cell that was named is cancelled by name, the running one by an interrupt."""
    world = World()
    world.cells("abc", "r1")
    world.cells("x", "r2")
    effects = world.cancel("abc")
    assert names(effects) == [
        "b queued→cancelled",
        "c queued→cancelled",
        "a running→running",
        "interrupt",
    ]
    world.fail("a", KEYBOARD_INTERRUPT)
    assert [world.state(i) for i in "abc"] == [CANCELLED] * 3
    assert world.states("x") == "running"


def test_cancel_the_running_cell() -> None:
    """Q7: it is interrupted and ends cancelled; what follows is as after an error."""
    world = World()
    world.cells("ab", "r1", client_id="page")
    world.cells("c", "r2", client_id="page")
    world.cells("x", "r3", client_id="other")
    effects = world.cancel("a")
    assert SendInterrupt() in effects
    assert world.states("abcx") == "running cancelled cancelled queued"
    world.fail("a", KEYBOARD_INTERRUPT)
    assert world.state("a") == CANCELLED
    assert world.known["a"].error is None
    assert world.known["a"].ended_by == BOB
    assert [world.state(i) for i in "bc"] == [EARLIER] * 2
    assert world.states("x") == "running"


def test_cancel_does_not_stop_where_errors_do_not() -> None:
    """Q7: as after an error, also with "continue"."""
    world = World()
    world.cells("ab", on_error=OnError.CONTINUE)
    world.cancel("a")
    world.fail("a", KEYBOARD_INTERRUPT)
    assert world.states("ab") == "cancelled running"


def test_a_cell_that_catches_the_interrupt_is_cancelled_all_the_same() -> None:
    """Q7: a loop that ends well on KeyboardInterrupt was stopped by someone."""
    world = World()
    world.cells("ab")
    world.cancel("a")
    world.end("a")
    assert world.state("a") == CANCELLED
    assert world.state("b") == EARLIER


def test_cancel_comes_too_late() -> None:
    """Q7: the reply is in, so the cell has run to its end: finished is true."""
    world = World()
    world.cells("ab")
    world.reply("a")
    assert not world.cancel("a")
    world.idle("a")
    assert world.states("ab") == "finished running"


def test_what_is_submitted_after_a_cancel_runs() -> None:
    """Q7: the cancel stops what was there then, also for the same page."""
    world = World()
    world.cells("a", "r1", client_id="page")
    world.cancel("a")
    world.cells("b", "r2", client_id="page")
    world.fail("a", KEYBOARD_INTERRUPT)
    assert world.states("ab") == "cancelled running"


def test_cancel_twice_interrupts_once() -> None:
    """Q7: a DELETE that is sent again does nothing more."""
    world = World()
    world.cells("a")
    world.cancel("a")
    assert not world.cancel("a")


def test_cancel_unknown_and_ended() -> None:
    """Q7: not there any more is cancelled enough."""
    world = World()
    world.cells("a")
    world.end("a")
    assert not world.cancel(["a", "unknown"])


def test_the_interrupt_of_a_cancel_does_not_hit_the_next_cell() -> None:
    """Q7: other requests go on, so the next cell waits until the interrupt is through."""
    world = World()
    world.cells("a", "r1")
    world.cells("x", "r2")
    world.cancel("a")
    world.end("a")  # it ended by itself, while the interrupt was on its way
    assert world.states("ax") == "cancelled queued"
    assert names(world.interrupt_sent()) == ["x queued→running", "clear x", "send x"]


def test_an_interrupt_that_nobody_reports_holds_for_a_second() -> None:
    """Q7: nothing waits for ever."""
    world = World()
    world.cells("a", "r1")
    world.cells("x", "r2")
    world.cancel("a")
    world.end("a")
    world.wait(1.0)
    assert world.states("ax") == "cancelled running"


def test_a_deleted_cell_does_not_run() -> None:
    """Q14: it is taken out of the queue, and the cells after it run."""
    world = World()
    world.cells("abc")
    world.cancel("b", Reason.CELL_DELETED)
    world.end("a")
    assert world.state("b") == (ExecutionState.CANCELLED, Reason.CELL_DELETED)
    assert world.states("c") == "running"


def test_a_running_cell_that_is_deleted_goes_on() -> None:
    """O11: to delete a cell is not to stop it."""
    world = World()
    world.cells("ab")
    assert not world.cancel("a", Reason.CELL_DELETED)
    world.end("a")
    assert world.states("ab") == "finished running"


def test_a_cancelled_run_whose_reply_is_lost() -> None:
    """Q7: it was to be cancelled, and the kernel is through with it."""
    world = World()
    world.cells("a")
    world.cancel("a")
    world.idle("a")
    world.wait(10)
    assert world.state("a") == CANCELLED


# --- interrupt ------------------------------------------------------------------------------


def test_interrupt() -> None:
    """Q8: the running one ends with KeyboardInterrupt, all that is queued is cancelled."""
    world = World()
    world.cells("ab", "r1")
    world.cells("x", "r2", client_id="other", document_id=DocumentId("d2"))
    assert names(world.interrupt()) == [
        "b queued→cancelled",
        "x queued→cancelled",
        "a running→running",
        "interrupt",
    ]
    world.fail("a", KEYBOARD_INTERRUPT)
    assert world.state("a") == (ExecutionState.FAILED, Reason.INTERRUPTED)
    assert world.known["a"].error == KEYBOARD_INTERRUPT
    assert [world.state(i) for i in "bx"] == [INTERRUPTED] * 2
    assert [world.known[i].ended_by for i in "abx"] == [BOB] * 3


def test_what_is_submitted_after_an_interrupt_runs_at_once() -> None:
    """Q8: the next submit runs, also if it comes before the interrupted cell is through."""
    world = World()
    world.cells("a", "r1", client_id="page")
    world.interrupt()
    world.cells("b", "r2", client_id="page")
    world.fail("a", KEYBOARD_INTERRUPT)
    assert world.states("ab") == "failed running"


def test_a_cell_that_the_kernel_comes_to_late_is_interrupted_again() -> None:
    """Q8: on a busy machine a kernel may take seconds to begin, deaf to interrupts until then."""
    world = World()
    world.cells("a")
    world.wait(3.0)
    assert "interrupt" in names(world.interrupt())
    world.interrupt_sent()
    assert "interrupt" not in names(world.wait(1.0))
    world.busy("a")
    assert "interrupt" in names(world.wait(1.0))
    world.interrupt_sent()
    assert "interrupt" not in names(world.wait(2.0))


def test_a_cell_that_has_only_begun_is_interrupted_twice() -> None:
    """Q8: kernels ignore an interrupt before the cell's own code runs, so it is sent again."""
    world = World()
    world.cells("a")
    world.busy("a")
    world.now += 0.1
    assert names(world.interrupt())[-1] == "interrupt"
    world.interrupt_sent()
    assert names(world.wait(0.6)) == ["interrupt"]
    world.interrupt_sent()
    assert names(world.wait(5)) == []


def test_a_cell_that_runs_for_a_while_is_interrupted_once() -> None:
    """Q8: code that catches the interrupt to end well is not interrupted again meanwhile."""
    world = World()
    world.cells("a")
    world.busy("a")
    world.wait(2)
    assert names(world.interrupt())[-1] == "interrupt"
    world.interrupt_sent()
    assert names(world.wait(5)) == []


def test_interrupt_of_an_idle_kernel() -> None:
    """Q8: sent (another client's code may run), and the next submit runs when it is through."""
    world = World()
    assert names(world.interrupt()) == ["interrupt"]
    world.interrupt_sent()
    world.cells("a")
    assert world.states("a") == "running"


def test_interrupt_by_another_client() -> None:
    """Q8: from whatever client; it is not sent again."""
    world = World()
    world.cells("ab")
    assert names(world.interrupt(already_sent=True)) == ["b queued→cancelled", "a running→running"]
    world.fail("a", KEYBOARD_INTERRUPT)
    assert world.state("a") == (ExecutionState.FAILED, Reason.INTERRUPTED)


def test_interrupt_past_us() -> None:
    """Q8: nobody told of it, but the kernel says KeyboardInterrupt: stop means stop."""
    world = World()
    world.cells("ab", "r1", on_error=OnError.CONTINUE)
    world.cells("x", "r2", client_id="other")
    world.fail("a", KEYBOARD_INTERRUPT)
    assert world.state("a") == (ExecutionState.FAILED, Reason.INTERRUPTED)
    assert [world.state(i) for i in "bx"] == [INTERRUPTED] * 2


def test_a_keyboard_interrupt_that_is_expected() -> None:
    """Q6: a cell tagged raises-exception may raise this one too."""
    world = World()
    world.submit(execution("a", raises_exception=True), execution("b"))
    world.fail("a", KEYBOARD_INTERRUPT)
    assert world.states("ab") == "failed running"


def test_a_cell_that_catches_the_interrupt_finishes() -> None:
    """Q8: the kernel says ok, so the cell is finished; the queue stays cancelled."""
    world = World()
    world.cells("ab")
    world.interrupt()
    world.end("a")
    assert world.state("a") == (ExecutionState.FINISHED, None)
    assert world.known["a"].ended_by is None
    assert world.state("b") == INTERRUPTED


def test_a_kernel_that_ignores_the_interrupt() -> None:
    """Q8: said once in the cell, with what can be done; interrupting again says it no more."""
    world = World()
    world.cells("a")
    world.wait(2)
    world.interrupt()
    effects = world.wait(9.9)
    assert names(effects) == []
    effects = world.wait(0.2)
    (said,) = effects
    assert isinstance(said, ShowText)
    assert "not reacted to the interrupt for 10 s. Restart the kernel" in said.text
    assert names(world.interrupt()) == ["interrupt"]
    assert not world.wait(100)
    world.cancel("a")
    assert not world.wait(100)
    assert world.states("a") == "running"


def test_interrupt_while_the_kernel_starts() -> None:
    """Q8: the queue is cancelled; a kernel that starts is not shot at."""
    world = World(ready=False)
    world.cells("ab")
    assert names(world.interrupt()) == ["a queued→cancelled", "b queued→cancelled"]
    world.cells("c", "r2")
    world.do(KernelReady())
    assert world.states("c") == "running"


def test_interrupt_after_the_reply() -> None:
    """Q8: the cell has run to its end, so finished is true; the queue is cancelled."""
    world = World()
    world.cells("ab")
    world.reply("a")
    assert names(world.interrupt()) == ["b queued→cancelled", "interrupt"]
    world.idle("a")
    assert world.state("a") == (ExecutionState.FINISHED, None)


# --- prompts --------------------------------------------------------------------------------


def test_a_prompt_and_its_answer() -> None:
    """P1, P2: the execution waits and shows its prompt; answered, it runs on without."""
    world = World()
    world.cells("a")
    assert names(world.ask("a")) == ["a running→waiting_input"]
    assert world.known["a"].prompt == PROMPT
    assert names(world.answer("a")) == ["a waiting_input→running"]
    assert world.known["a"].prompt is None
    world.end("a")
    assert world.states("a") == "finished"


def test_a_second_answer() -> None:
    """P2: a second or late answer conflicts, and changes nothing."""
    world = World()
    world.cells("ab")
    for asked in (False, True):
        if asked:
            world.ask("a")
            world.answer("a")
        before = dict(world.scheduler.executions)
        for id_ in ("a", "b", "unknown"):
            with pytest.raises(Conflict) as caught:
                world.answer(id_)
            assert caught.value.reason == "not_waiting"
        assert dict(world.scheduler.executions) == before
    world.end("a")
    with pytest.raises(Conflict):
        world.answer("a")


def test_one_prompt_after_the_other() -> None:
    """P1: each shows; also if another client of the kernel answered the first."""
    world = World()
    world.cells("a")
    world.ask("a")
    secret = Prompt("password: ", password=True)
    assert names(world.ask("a", secret)) == ["a waiting_input→waiting_input"]
    assert world.known["a"].prompt == secret


def test_answered_by_another_client() -> None:
    """P1: the reply comes though nobody answered here; the prompt goes with it."""
    world = World()
    world.cells("a")
    world.ask("a")
    assert names(world.reply("a")) == ["a waiting_input→running"]
    assert world.known["a"].prompt is None
    with pytest.raises(Conflict):
        world.answer("a")


def test_interrupt_and_cancel_remove_the_prompt() -> None:
    """P4: at once, not only when the kernel has reacted."""
    for stop in (World.interrupt, lambda world: world.cancel("a")):
        world = World()
        world.cells("a")
        world.ask("a")
        stop(world)
        assert world.known["a"].prompt is None
        assert world.states("a") == "running"


def test_a_second_interrupt_removes_a_prompt_that_came_between() -> None:
    """P4: code that catches the interrupt may ask again."""
    world = World()
    world.cells("a")
    world.interrupt()
    world.ask("a")
    assert world.states("a") == "waiting_input"
    assert names(world.interrupt()) == ["a waiting_input→running", "interrupt"]


@pytest.mark.parametrize(
    "event", [KernelRestarting(), KernelDied(DeathReport(), restarting=True), KernelShutDown()]
)
def test_the_end_of_the_kernel_removes_the_prompt(event: Event) -> None:
    """P4: restart, death and shutdown."""
    world = World()
    world.cells("a")
    world.ask("a")
    world.do(event)
    assert world.known["a"].prompt is None
    assert world.known["a"].state.is_final


def test_no_prompt_of_a_run_that_is_through() -> None:
    """P1: with the idle in, the kernel waits for nothing."""
    for through in (World.reply, World.idle):
        world = World()
        world.cells("a")
        through(world, "a")
        assert not world.ask("a")


# --- time limit -----------------------------------------------------------------------------


def test_time_limit_interrupts() -> None:
    """Q15: interrupt at the limit, said in the output; failed, with the limit as its reason."""
    world = World()
    world.cells("ab", time_limit_s=30.0)
    assert world.scheduler.next_wake == 130.0
    effects = world.wait(30)
    assert names(effects) == ["text a stderr", "a running→running", "interrupt"]
    (said,) = [e for e in effects if isinstance(e, ShowText)]
    assert "time limit of 30 s" in said.text
    assert "within 10 s, the kernel is restarted" in said.text
    world.fail("a", KEYBOARD_INTERRUPT)
    assert world.state("a") == (ExecutionState.FAILED, Reason.TIME_LIMIT)
    assert world.known["a"].error == KEYBOARD_INTERRUPT
    assert world.state("b") == EARLIER


def test_time_limit_restarts() -> None:
    """Q15: restart after a grace, said in the output; the queue ends (K2), the next submit runs."""
    world = World()
    world.cells("ab", "r1", time_limit_s=30.0)
    world.cells("x", "r2", client_id="other")
    world.wait(30)
    effects = world.wait(10)
    assert names(effects) == [
        "error a TimeLimitExceeded",
        "a running→failed",
        "b queued→cancelled",
        "x queued→cancelled",
        "restart",
    ]
    assert world.state("a") == (ExecutionState.FAILED, Reason.TIME_LIMIT)
    assert world.state("x") == (ExecutionState.CANCELLED, Reason.KERNEL_RESTARTED)
    (shown,) = [e for e in effects if isinstance(e, ShowError)]
    assert shown.error == world.known["a"].error
    assert any("variables are gone" in line for line in shown.error.traceback)
    world.cells("y", "r3")
    assert not world.do(KernelRestarting())  # ours: no news, and no end of what came since
    assert names(world.do(KernelReady())) == ["y queued→running", "clear y", "send y"]


def test_a_cell_within_its_limit() -> None:
    """Q15: with the reply the limit is off; the next cell has its own."""
    world = World()
    world.cells("ab", time_limit_s=30.0)
    world.wait(20)
    world.end("a")
    assert world.states("ab") == "finished running"
    assert world.scheduler.next_wake == 150.0
    world.wait(29)
    assert not any(isinstance(e, SendInterrupt) for e in world.log)


def test_a_cell_that_ends_well_at_its_limit() -> None:
    """Q15: the kernel says ok in spite of the interrupt, so finished is true, and the rest runs."""
    world = World()
    world.cells("ab", time_limit_s=30.0)
    world.wait(30)
    world.interrupt_sent()
    world.end("a")
    assert world.state("a") == (ExecutionState.FINISHED, None)
    assert world.states("b") == "running"


def test_the_limit_of_a_cell_that_waits_for_input() -> None:
    """Q15, P4: it counts while a prompt is open, and takes the prompt away."""
    world = World()
    world.cells("a", time_limit_s=30.0)
    world.ask("a")
    assert "a waiting_input→running" in names(world.wait(30))
    world.ask("a")  # and asks again, deaf to the interrupt
    assert "a waiting_input→failed" in names(world.wait(10))


def test_the_limit_of_a_cancelled_cell() -> None:
    """Q7, Q15: deaf to the cancel, it is ended at its limit, and is cancelled then."""
    world = World()
    world.cells("a", time_limit_s=30.0)
    world.wait(25)
    world.cancel("a")
    effects = world.wait(20)
    assert [e for e in effects if isinstance(e, SendRestart)]
    assert world.state("a") == CANCELLED


def test_the_limit_counts_for_each_run_from_its_start() -> None:
    """Q15: time in the queue does not count."""
    world = World()
    world.cells("a", "r1")
    world.cells("b", "r2", time_limit_s=5.0)
    world.wait(60)
    world.end("a")
    assert isinstance(world.last[-1], SendExecute)
    assert world.scheduler.next_wake == world.now + 5


def test_a_failed_cell_at_its_limit_with_another_error() -> None:
    """Q15: what the code made of the interrupt is kept as its error."""
    world = World()
    world.cells("a", time_limit_s=1.0)
    world.wait(1)
    world.fail("a", VALUE_ERROR)
    assert world.state("a") == (ExecutionState.FAILED, Reason.TIME_LIMIT)
    assert world.known["a"].error == VALUE_ERROR


def test_no_limit_for_a_run_that_is_through() -> None:
    """Q15: while only the reply or the idle is missing, there is nothing to interrupt."""
    for through in (World.reply, World.idle):
        world = World()
        world.cells("a", time_limit_s=5.0)
        world.now += 4.5
        through(world, "a")
        world.wait(20)
        assert not any(isinstance(e, SendInterrupt) for e in world.log)
        assert world.known["a"].state.is_final


def test_the_limit_after_an_interrupt() -> None:
    """Q8, Q15: the restart is announced, so it need not be offered any more."""
    world = World()
    world.cells("a", time_limit_s=30.0)
    world.wait(25)
    world.interrupt()
    assert names(world.wait(14)) == ["text a stderr", "a running→running", "interrupt"]
    assert names(world.wait(1))[-1] == "restart"
