"""What the kernel's life does to the queue: start, death, restart, and a new server."""

from __future__ import annotations

from typing import Any

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

from notebook_exec.core.model import DeathReport, ExecutionId, ExecutionState, Reason, Timing
from notebook_exec.core.notices import death_cause
from notebook_exec.core.scheduler import (
    ClearCell,
    Forwarded,
    KernelDied,
    KernelReady,
    KernelRestarting,
    KernelShutDown,
    KernelStartFailed,
    Resumed,
    SendInterrupt,
    ShowError,
)

LOST = (ExecutionState.LOST, Reason.KERNEL_DIED)
KILLED = DeathReport(signal="SIGKILL", log_tail="one\ntwo\n")


def shown(world: World) -> str:
    """The text of the only error output of the last event."""
    (effect,) = [e for e in world.last if isinstance(e, ShowError)]
    return "\n".join(effect.error.traceback)


# --- start ----------------------------------------------------------------------------------


def test_a_kernel_that_fails_to_start() -> None:
    """Q10: fails the queue, with its reason and its log's tail in the first cell."""
    world = World(ready=False)
    world.cells("ab", "r1")
    world.cells("x", "r2")
    assert names(
        world.do(KernelStartFailed("No such kernel: foo", "Traceback\nImportError\n"))
    ) == [
        "clear a",
        "error a KernelStartError",
        "a queued→failed",
        "b queued→cancelled",
        "x queued→cancelled",
    ]
    assert "No such kernel: foo" in shown(world)
    assert "Traceback\nImportError\n" in shown(world)
    error = world.known["a"].error
    assert error is not None
    assert (error.ename, error.evalue) == ("KernelStartError", "No such kernel: foo")
    for id_ in "abx":
        assert world.known[id_].reason is Reason.KERNEL_START_FAILED


def test_the_first_cell_is_one_that_would_have_run() -> None:
    """Q9, Q10: a cell tagged skip-execution is not touched, by this error neither."""
    world = World(ready=False)
    world.submit(execution("a", skip=True), execution("b", source=" "), execution("c"))
    world.do(KernelStartFailed("no"))
    assert world.states("abc") == "cancelled cancelled failed"
    assert [e.execution_id for e in world.last if isinstance(e, ClearCell)] == ["c"]


def test_nothing_queued_nothing_failed() -> None:
    """Q10: a failed start without a queue leaves nothing behind."""
    world = World(ready=False)
    assert not world.do(KernelStartFailed("no"))


def test_after_a_failed_start_the_queue_can_be_used_again() -> None:
    """Q10: what is submitted later waits for the kernel to be ready."""
    world = World(ready=False)
    world.cells("a", "r1")
    world.do(KernelStartFailed("no"))
    world.cells("b", "r2")
    assert world.states("b") == "queued"
    world.do(KernelReady())
    assert world.states("b") == "running"


def test_a_kernel_that_dies_while_it_starts() -> None:
    """Q10, K1: told in the first cell, as nothing ran yet."""
    world = World(ready=False)
    world.cells("ab")
    world.do(KernelDied(DeathReport(exit_code=1, log_tail="boom"), restarting=False))
    assert world.states("ab") == "failed cancelled"
    assert "exited with code 1" in shown(world)
    assert "boom" in shown(world)


# --- death ----------------------------------------------------------------------------------


def test_the_kernel_dies() -> None:
    """K1: the running cell ends lost, with an error output; the queue is cancelled."""
    world = World()
    world.cells("ab", "r1")
    world.cells("x", "r2")
    assert names(world.do(KernelDied(KILLED, restarting=True))) == [
        "error a KernelDied",
        "a running→lost",
        "b queued→cancelled",
        "x queued→cancelled",
    ]
    assert world.state("a") == LOST
    assert world.state("b") == (ExecutionState.CANCELLED, Reason.KERNEL_DIED)
    for fact in ("SIGKILL", "one\ntwo", "is being restarted"):
        assert fact in shown(world)
    assert world.known["a"].error is not None


def test_what_the_kernel_had_used() -> None:
    """K1: where the system tells it."""
    for size, said in ((3 * 2**29, "1.5 GiB"), (100 * 2**20, "100 MiB")):
        world = World()
        world.cells("a")
        report = DeathReport(exit_code=0, cpu_s=61.25, max_rss_bytes=size)
        world.do(KernelDied(report, restarting=True))
        used = f"It had used 61.2 s of processor time, and at most {said} of memory."
        assert used in shown(world)


def test_the_next_step_where_nothing_restarts_it() -> None:
    """K1: the auto-restart is as configured, and the text says what to do."""
    world = World()
    world.cells("a")
    world.do(KernelDied(DeathReport(), restarting=False))
    assert "Restart the kernel, then run" in shown(world)
    assert "log" not in shown(world)


@pytest.mark.parametrize(
    ("report", "cause"),
    [
        (DeathReport(), "How it ended is not known."),
        (DeathReport(exit_code=3), "It exited with code 3."),
        (DeathReport(exit_code=0), "It exited with code 0."),
        (
            DeathReport(signal="SIGKILL"),
            "It was ended by signal SIGKILL. It was killed from outside.",
        ),
        (DeathReport(exit_code=-9, signal="SIGRTMIN"), "It was ended by signal SIGRTMIN."),
        (
            DeathReport(signal="SIGKILL", out_of_memory=True),
            "The system ended it because it was out of memory (SIGKILL).",
        ),
        (
            DeathReport(out_of_memory=True),
            "The system ended it because it was out of memory.",
        ),
    ],
)
def test_causes_of_death(report: DeathReport, cause: str) -> None:
    """K1: what is known is said, "out of memory" only where the system says it."""
    assert death_cause(report) == cause
    assert ("memory" in death_cause(report)) == report.out_of_memory


def test_what_is_submitted_after_a_death_waits_for_the_kernel() -> None:
    """K1: it runs when the kernel is ready again."""
    world = World()
    world.cells("a", "r1")
    world.do(KernelDied(KILLED, restarting=True))
    world.cells("b", "r2")
    assert world.states("b") == "queued"
    world.do(KernelReady())
    assert world.states("b") == "running"


def test_a_death_after_the_reply() -> None:
    """K1, Q16: the cell had run to its end, as the kernel said; it is not lost."""
    for status, state in (("ok", "finished"), ("error", "failed")):
        world = World()
        world.cells("a", "r1")
        world.cells("x", "r2")
        world.reply("a", status, error=VALUE_ERROR if status == "error" else None)
        effects = world.do(KernelDied(KILLED, restarting=True))
        assert not [e for e in effects if isinstance(e, ShowError)]
        assert world.states("ax") == f"{state} cancelled"


def test_a_death_while_it_is_being_cancelled() -> None:
    """K1: the kernel died, so that is what is said."""
    world = World()
    world.cells("a")
    world.cancel("a")
    world.do(KernelDied(KILLED, restarting=True))
    assert world.state("a") == LOST


def test_late_messages_of_a_lost_run() -> None:
    """K1: what was on its way when the kernel died moves nothing."""
    world = World()
    world.cells("a")
    world.do(KernelDied(KILLED, restarting=True))
    assert not world.end("a")
    assert not world.wait(100)
    assert world.state("a") == LOST


# --- restart and shutdown -------------------------------------------------------------------


def test_someone_restarts_the_kernel() -> None:
    """K2: running and queued cells end, the next submit runs when the kernel is ready."""
    world = World()
    world.cells("ab")
    assert names(world.do(KernelRestarting(BOB))) == ["a running→cancelled", "b queued→cancelled"]
    for id_ in "ab":
        assert world.state(id_) == (ExecutionState.CANCELLED, Reason.KERNEL_RESTARTED)
        assert world.known[id_].ended_by == BOB
    world.cells("c", "r2")
    assert world.states("c") == "queued"
    assert names(world.do(KernelReady())) == ["c queued→running", "clear c", "send c"]


def test_a_restart_after_the_reply() -> None:
    """K2: what was replied to ends as the kernel said."""
    world = World()
    world.cells("ab")
    world.reply("a")
    world.do(KernelRestarting())
    assert world.states("ab") == "finished cancelled"


def test_a_restart_forgets_the_interrupt_before_it() -> None:
    """K2: nothing of the old process holds up the new one."""
    world = World()
    world.cells("a")
    world.interrupt()
    world.do(KernelRestarting())
    world.cells("b", "r2")
    world.do(KernelReady())
    assert world.states("b") == "running"
    assert world.scheduler.next_wake is None


def test_someone_shuts_the_kernel_down() -> None:
    """K2, R5: all that it had and was to get is cancelled, for that reason."""
    world = World()
    world.cells("ab")
    world.do(KernelShutDown())
    for id_ in "ab":
        assert world.state(id_) == (ExecutionState.CANCELLED, Reason.KERNEL_SHUT_DOWN)
    assert world.scheduler.next_wake is None


def test_ready_again_without_a_restart() -> None:
    """K2: a link that came back says ready; the run goes on, with its limit as it was."""
    world = World()
    world.cells("ab", time_limit_s=30.0)
    world.now += 5
    assert not world.do(KernelReady())
    assert world.states("ab") == "running queued"
    assert world.scheduler.next_wake == 130.0


def test_ready_again_while_it_is_being_stopped() -> None:
    """K2, Q8: no second interrupt, and the notice comes when it was due."""
    world = World()
    world.cells("a")
    world.interrupt()
    world.wait(6)
    assert not world.do(KernelReady())
    assert names(world.wait(4)) == ["text a stderr"]


# --- a new server takes over ----------------------------------------------------------------


def test_a_run_goes_on_under_a_new_server() -> None:
    """R2: nothing is sent twice, nothing changes; the queue goes on after it."""
    old = World()
    old.cells("ab")
    old.busy("a")
    new = World(ready=False)
    new.known = dict(old.known)
    assert not new.do(Resumed(tuple(old.scheduler.executions.values())))
    assert not new.do(KernelReady())
    assert new.scheduler.running == "a"
    assert names(new.end("a")) == [
        "a running→running",
        "a running→finished",
        "b queued→running",
        "clear b",
        "send b",
    ]
    assert new.known["a"].timing.busy == "t-busy"


def test_a_resumed_queue_that_none_of_ran() -> None:
    """R2: the first starts when the kernel is ready."""
    world = World(ready=False)
    world.do(Resumed((execution("a"), execution("b"))))
    assert names(world.do(KernelReady())) == ["a queued→running", "clear a", "send a"]


def test_what_was_sent_before_the_crash_is_not_sent_again() -> None:
    """R2: stored as queued, and yet the kernel has it: its predecessors are over, it runs."""
    world = World(ready=False)
    queue = ("a", "blank", "skipped", "cancelled", "b", "c")
    fields: dict[str, dict[str, Any]] = {"blank": {"source": " "}, "skipped": {"skip": True}}
    world.do(Resumed(tuple(execution(name, **fields.get(name, {})) for name in queue)))
    world.do(Forwarded(ExecutionId("a")))
    world.reply("a")  # whose idle never came
    assert names(world.do(Forwarded(ExecutionId("b"))))[1:] == [
        "a running→finished",
        "blank queued→finished",
        "clear blank",
        "skipped queued→finished",
        "cancelled queued→cancelled",
        "b queued→running",
        "clear b",
    ]
    assert not world.do(Forwarded(ExecutionId("b")))
    assert not world.do(Forwarded(ExecutionId("unknown")))
    assert names(world.do(KernelReady())) == []
    assert names(world.end("b"))[-1] == "send c"


def test_only_an_empty_queue_is_resumed() -> None:
    """R2: two truths are one too many."""
    world = World(ready=False)
    world.cells("a")
    with pytest.raises(ValueError, match="only an empty queue"):
        world.do(Resumed((execution("b"),)))


@pytest.mark.parametrize("status", ["ok", "error", "aborted"])
@pytest.mark.parametrize("stop", [None, "cancel", "interrupt"])
def test_a_reply_before_the_crash_counts(status: str, stop: str | None) -> None:
    """R2, Q16: a server that comes between reply and idle changes nothing of the end."""
    ends = []
    for crash in (False, True):
        world = World()
        world.cells("ab")
        if stop == "cancel":
            world.cancel("a")
        elif stop == "interrupt":
            world.interrupt()
        world.reply("a", status, error=KEYBOARD_INTERRUPT if status == "error" else None)
        if crash:
            stored = tuple(world.scheduler.executions.values())
            known, world = world.known, World(ready=False)
            world.known = known
            world.do(Resumed(stored))
            world.do(KernelReady())
        world.idle("a")
        world.interrupt_sent()
        ends.append(world.known)
    assert ends[0] == ends[1]


def test_graces_begin_when_the_kernel_is_reached() -> None:
    """R2: the time in which no server was there counts for nothing."""
    world = World(ready=False)
    replied = execution("a", state=ExecutionState.RUNNING, timing=Timing(reply="t"), started_at=1.0)
    world.do(Resumed((replied,)))
    assert world.scheduler.next_wake is None
    world.now += 3600
    world.do(KernelReady())
    assert world.scheduler.next_wake == world.now + 1
    world.wait(1)
    assert world.states("a") == "finished"


def test_a_time_limit_that_passed_meanwhile() -> None:
    """R2, Q15: the run is interrupted when the kernel is reached again."""
    world = World(ready=False)
    running = execution("a", state=ExecutionState.RUNNING, started_at=50.0, time_limit_s=20.0)
    world.do(Resumed((running,)))
    world.do(KernelReady())
    assert SendInterrupt() in world.wait(0)


@pytest.mark.parametrize("reason", [Reason.CANCELLED, Reason.INTERRUPTED, Reason.TIME_LIMIT])
def test_a_run_that_was_being_stopped(reason: Reason) -> None:
    """R2, Q7, Q8: whether the interrupt went out is not known, so it goes out again."""
    world = World(ready=False)
    running = execution("a", state=ExecutionState.RUNNING, started_at=50.0, reason=reason)
    world.do(Resumed((running,)))
    assert names(world.do(KernelReady())) == ["interrupt"]
    assert names(world.wait(10))[0] in ("text a stderr", "error a TimeLimitExceeded")


def test_stopped_before_the_kernel_is_reached() -> None:
    """R2, Q8: what someone asks for before is sent once the kernel is there."""
    for stop in (World.interrupt, lambda world: world.cancel("a")):
        world = World(ready=False)
        world.do(Resumed((execution("a", state=ExecutionState.RUNNING, started_at=50.0),)))
        assert SendInterrupt() not in stop(world)
        assert SendInterrupt() in world.do(KernelReady())


def test_no_interrupt_for_a_run_that_was_replied_to() -> None:
    """R2, Q7: the kernel is through with it, and may have begun with someone else's code."""
    world = World(ready=False)
    replied = execution(
        "a", state=ExecutionState.RUNNING, reason=Reason.CANCELLED, timing=Timing(reply="t")
    )
    world.do(Resumed((replied,)))
    assert not world.do(KernelReady())
    assert names(world.wait(1)) == ["text a stderr", "a running→cancelled"]


def test_an_idle_before_the_crash_counts() -> None:
    """R2, Q16: a run that only lacks its reply does not wait for ever."""
    world = World(ready=False)
    idle = execution("a", state=ExecutionState.RUNNING, timing=Timing(idle="t"), started_at=1.0)
    world.do(Resumed((idle,)))
    world.do(KernelReady())
    world.wait(10)
    assert world.states("a") == "lost"


def test_a_prompt_survives_while_the_kernel_waits() -> None:
    """P5: it is there after the start, can be answered once, and dies with the kernel."""
    waiting = execution("a", state=ExecutionState.WAITING_INPUT, prompt=PROMPT, started_at=50.0)
    world = World(ready=False)
    world.do(Resumed((waiting,)))
    world.do(KernelReady())
    assert names(world.answer("a")) == ["a waiting_input→running"]
    world = World(ready=False)
    world.do(Resumed((waiting,)))
    world.do(KernelDied(KILLED, restarting=False))
    assert world.state("a") == LOST
    assert world.known["a"].prompt is None
