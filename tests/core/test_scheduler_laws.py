"""Laws that hold whatever happens in whatever order: seeded random sequences of events.

A seed that fails is printed with its parameter, and becomes a named test of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from scheduler_world import ADA, BOB, KEYBOARD_INTERRUPT, VALUE_ERROR, World, execution

from notebook_exec.core.lifecycle import ENDS, MOVES
from notebook_exec.core.model import (
    Conflict,
    DeathReport,
    DocumentId,
    Execution,
    ExecutionId,
    ExecutionState,
    OnError,
    Prompt,
    Reason,
    Request,
    RequestId,
)
from notebook_exec.core.scheduler import (
    BecameIdle,
    Busy,
    CancelRequested,
    Changed,
    Effect,
    Event,
    ExecuteInput,
    InputAnswered,
    InputRequested,
    InterruptRequested,
    InterruptSent,
    KernelDied,
    KernelReady,
    KernelRestarting,
    KernelShutDown,
    KernelStartFailed,
    Replied,
    Resumed,
    SendExecute,
    SendInterrupt,
    SendRestart,
    Submitted,
    TimePassed,
)

SEEDS_PER_TEST = 100
STEPS = 60
ACTIVE = (ExecutionState.RUNNING, ExecutionState.WAITING_INPUT)
ERRORS = (None, VALUE_ERROR, KEYBOARD_INTERRUPT)


class Laws(World):
    """A world that holds every step against the laws."""

    def __init__(self) -> None:
        super().__init__(ready=False)
        self.order: dict[str, int] = {}  # as submitted
        self.sent: list[str] = []
        self.ran: set[str] = set()
        self.ready = False

    def do(self, event: Event) -> list[Effect]:
        if isinstance(event, Submitted):
            for new in event.request.executions:
                self.order[new.id] = len(self.order)
        if isinstance(event, KernelReady):
            self.ready = True
        elif isinstance(event, KernelDied | KernelRestarting | KernelShutDown | KernelStartFailed):
            self.ready = False
        before = dict(self.known)
        effects = super().do(event)
        self._check_effects(before, effects)
        self.check_state()
        if isinstance(event, TimePassed):
            wake = self.scheduler.next_wake
            assert wake is None or wake > self.now, "would be woken again and again"
        return effects

    def crash(self) -> None:
        """A new server takes over what the old one stored."""
        stored = tuple(self.scheduler.executions.values())
        fresh = World(ready=False)
        self.scheduler, self.ready = fresh.scheduler, False
        self.do(Resumed(stored))

    def _check_effects(self, known: dict[str, Execution], effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Changed):
                self._check_change(known, effect)
            elif isinstance(effect, SendInterrupt):
                assert self.ready
            elif isinstance(effect, SendRestart):
                assert self.ready
                self.ready = False
            else:
                assert effect.execution_id in known, "an effect of nobody"
            if isinstance(effect, SendExecute):
                assert self.ready
                assert known[effect.execution_id].state is ExecutionState.RUNNING
                self.sent.append(effect.execution_id)

    def _check_change(self, known: dict[str, Execution], change: Changed) -> None:
        after = change.execution
        before = known.get(after.id)
        if before is None:
            assert change.before is None
            assert after.state is ExecutionState.QUEUED
        else:
            assert change.before is before.state
            assert not before.state.is_final, "ended twice, or changed after its end"
            assert after.state is before.state or (before.state, after.state) in MOVES
            if after.state is ExecutionState.RUNNING:
                self.ran.add(after.id)
        assert (after.prompt is not None) is (after.state is ExecutionState.WAITING_INPUT)
        assert (after.ended_at is not None) is after.state.is_final
        if after.state.is_final:
            assert after.state in ENDS[after.reason][0]
        if after.state is ExecutionState.FAILED:
            assert after.error is not None
        if after.state in (ExecutionState.FINISHED, ExecutionState.CANCELLED):
            assert after.error is None
        if after.state is ExecutionState.CANCELLED:
            assert after.reason is not None
        known[after.id] = after

    def check_state(self) -> None:
        live = [e for e in self.known.values() if not e.state.is_final]
        active = [e.id for e in live if e.state in ACTIVE]
        assert len(active) <= 1, "two run at once"
        assert self.scheduler.running == (active[0] if active else None)
        in_turn = sorted((e.id for e in live), key=lambda i: self.order[i])
        assert list(self.scheduler.executions) == in_turn, "not in the order of submission"
        assert [self.scheduler.executions[i] for i in in_turn] == [self.known[i] for i in in_turn]
        assert not active or in_turn[0] == active[0]
        turns = [self.order[i] for i in self.sent]
        assert turns == sorted(set(turns)), "not first in first out, or sent twice"
        assert set(self.sent) == self.ran, "what ran was sent, once, and nothing else was"
        if not active and live:
            assert not self.ready or self.scheduler.next_wake is not None, "starves"
        requests = [self.known[i].request_id for i in self.sent]
        changes = sum(a != b for a, b in pairwise(requests))
        assert changes == max(0, len(set(requests)) - 1), "requests are mixed"


class Chance:
    """Random events, of people, of the kernel, and of bad luck."""

    def __init__(self, seed: int, world: Laws) -> None:
        self.random = random.Random(seed)
        self.world = world
        self.requests = 0
        every: list[tuple[int, Callable[[], Event]]] = [
            (8, self.submitted),
            (30, self.message),
            (4, self.cancelled),
            (2, lambda: InterruptRequested(BOB, self.random.random() < 0.3)),
            (2, InterruptSent),
            (4, lambda: InputAnswered(self.someone(), ADA)),
            (8, self.time),
            (5, KernelReady),
            (1, lambda: KernelStartFailed("no", "log")),
            (1, lambda: KernelDied(DeathReport(exit_code=1), self.random.random() < 0.5)),
            (1, lambda: KernelRestarting(self.random.choice([None, BOB]))),
            (1, KernelShutDown),
        ]
        self.weights = [weight for weight, _ in every]
        self.makers = [maker for _, maker in every]

    def event(self) -> Event:
        return self.random.choices(self.makers, self.weights)[0]()

    def someone(self) -> ExecutionId:
        """Mostly the one that runs, sometimes any other, over or not."""
        running = self.world.scheduler.running
        if running is not None and self.random.random() < 0.8:
            return running
        return ExecutionId(self.random.choice([*self.world.order, "unknown"]))

    def submitted(self) -> Event:
        request = f"r{self.requests}"
        self.requests += 1
        cells = tuple(
            self.cell(f"{request}.{i}", request) for i in range(self.random.randint(0, 5))
        )
        return Submitted(Request(RequestId(request), cells))

    def cell(self, id_: str, request: str) -> Execution:
        chance = self.random.random
        return execution(
            id_,
            request,
            client_id=self.random.choice([None, "page1", "page2"]),
            document_id=DocumentId(self.random.choice("de")),
            source="" if chance() < 0.1 else "code",
            skip=chance() < 0.1,
            raises_exception=chance() < 0.1,
            on_error=OnError.CONTINUE if chance() < 0.3 else OnError.STOP,
            time_limit_s=self.random.uniform(1, 10) if chance() < 0.5 else None,
        )

    def message(self) -> Event:
        id_ = self.someone()
        kind = self.random.randrange(8)
        if kind == 0:
            return Busy(id_, "t")
        if kind == 1:
            return ExecuteInput(id_, self.random.choice([None, 3]), "t")
        if kind in (2, 7):
            return InputRequested(id_, Prompt("?", password=False))
        if kind in (3, 4):
            return BecameIdle(id_, "t")
        status = self.random.choice(["ok", "ok", "ok", "error", "aborted", "nonsense"])
        return Replied(id_, status, error=self.random.choice(ERRORS))

    def cancelled(self) -> Event:
        reason = self.random.choice([Reason.CANCELLED, Reason.CELL_DELETED])
        ids = tuple(self.someone() for _ in range(self.random.randint(0, 4)))
        return CancelRequested(ids, BOB, reason)

    def time(self) -> Event:
        """Now and then at the wake that is asked for, early, or far too late."""
        wake = self.world.scheduler.next_wake
        if wake is not None and self.random.random() < 0.6:
            self.world.now = max(self.world.now, wake)
        else:
            self.world.now += self.random.choice([0.0, 0.1, 1.0, 10.0, 30.0])
        return TimePassed()


def drain(world: Laws) -> None:
    """A kernel that answers, and an engine that reports: everything ends (nothing starves)."""
    world.do(KernelReady())
    world.do(InterruptSent())
    for _ in range(2 * len(world.order) + 2):
        running = world.scheduler.running
        if running is None:
            break
        world.end(running)
        world.do(InterruptSent())
    world.wait(20)
    assert not world.scheduler.executions
    assert world.scheduler.next_wake is None
    assert all(e.state.is_final for e in world.known.values())
    assert set(world.known) == set(world.order)


@pytest.mark.parametrize("first_seed", range(0, 30 * SEEDS_PER_TEST, SEEDS_PER_TEST))
def test_laws(first_seed: int) -> None:
    """Q1, Q2, Q13, P4, R2: every run ends once, in turn, never two at a time; nothing starves."""
    for seed in range(first_seed, first_seed + SEEDS_PER_TEST):
        world = Laws()
        chance = Chance(seed, world)
        try:
            for _ in range(STEPS):
                if chance.random.random() < 0.02:
                    world.crash()
                try:
                    world.do(chance.event())
                except Conflict:
                    world.check_state()
            drain(world)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error


def test_the_random_sequences_reach_everything() -> None:
    """The laws are worth something only if the sequences come by each end and each reason."""
    seen: set[object] = set()
    for seed in range(800):
        world = Laws()
        chance = Chance(seed, world)
        for _ in range(STEPS):
            try:
                effects = world.do(chance.event())
            except Conflict:
                seen.add(Conflict)
                continue
            seen |= {type(effect) for effect in effects}
            for effect in effects:
                if isinstance(effect, Changed):
                    seen |= {(effect.before, effect.execution.state), effect.execution.reason}
    by_the_next_server = {(ExecutionState.QUEUED, ExecutionState.LOST)}
    assert set(MOVES) - by_the_next_server <= seen
    assert set(Reason) - {Reason.SERVER_STOPPED} <= seen
    assert {*Effect.__args__, Conflict} <= seen


def test_a_kernel_that_only_goes_idle_or_only_replies_starves_nothing() -> None:
    """Q16: either one alone, for each of many cells, and time: all of them end."""
    for only in (World.reply, World.idle):
        world = Laws()
        world.do(KernelReady())
        world.cells("abc", on_error=OnError.CONTINUE)
        for id_ in "abc":
            only(world, id_)
            world.wait(10)
        assert not world.scheduler.executions
