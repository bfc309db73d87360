"""What is done to kernels through the server is told in advance, and once."""

from __future__ import annotations

import asyncio

import pytest
from fake_kernel import FakeManagers
from jupyter_events import EventLogger
from jupyter_server import DEFAULT_EVENTS_SCHEMA_PATH

from notebook_exec.core.model import KernelId
from notebook_exec.kernels.actions import SCHEMA_ID, KernelActions

KERNEL = KernelId("k")


class Listener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.changed = asyncio.Event()

    async def before_action(self) -> None:
        self.told.append("before")

    def before_interrupt(self, by: object) -> None:
        self._note(("interrupt", by))

    def before_restart(self) -> None:
        self._note("restart")

    def after_restart(self, failed: bool) -> None:
        self._note(("restarted", failed))

    def before_shutdown(self) -> None:
        self._note("shutdown")

    def _note(self, what: object) -> None:
        self.told.append(what)
        self.changed.set()


@pytest.fixture
def events() -> EventLogger:
    events = EventLogger()
    events.register_event_schema(DEFAULT_EVENTS_SCHEMA_PATH / "kernel_actions" / "v1.yaml")
    return events


def emit(events: EventLogger, action: str, status: str = "success") -> None:
    data = {"action": action, "kernel_id": KERNEL, "kernel_name": "x", "status": status, "msg": ""}
    events.emit(schema_id=SCHEMA_ID, data=data)


async def test_q8_k2_told_before_it_is_done() -> None:
    """Q8, K2: all clients go through the manager's methods; arguments and results pass."""
    managers, listener, other = FakeManagers(), Listener(), Listener()
    actions = KernelActions(managers)
    actions.listen(KERNEL, listener)
    actions.listen(KernelId("other"), other)
    seen: list[list[object]] = []

    async def during() -> None:
        seen.append(list(listener.told))

    managers.during = during
    await managers.interrupt_kernel(KERNEL)
    await actions.interrupt(KERNEL, by="me")
    await managers.restart_kernel(KERNEL, now=True)
    await managers.shutdown_kernel(KERNEL)
    assert listener.told == [
        "before",
        ("interrupt", None),
        "before",
        ("interrupt", "me"),
        "before",
        "restart",
        ("restarted", False),
        "before",
        "shutdown",
    ]
    assert [told[-1] for told in seen] == [
        ("interrupt", None),
        ("interrupt", "me"),
        "restart",
        "shutdown",
    ]
    assert [action for action, _ in managers.done] == [
        "interrupt",
        "interrupt",
        "restart",
        "shutdown",
    ]
    assert not other.told


async def test_k2_a_restart_that_fails_is_told_as_such() -> None:
    """K2: the error goes to who asked."""
    managers, listener = FakeManagers(), Listener()
    actions = KernelActions(managers)
    actions.listen(KERNEL, listener)

    async def during() -> None:
        raise RuntimeError("no")

    managers.during = during
    with pytest.raises(RuntimeError, match="no"):
        await managers.restart_kernel(KERNEL)
    assert listener.told == ["before", "restart", ("restarted", True)]


async def test_q8_actions_past_the_manager_come_by_the_event_bus(events: EventLogger) -> None:
    """Q8: what jupyter_server reports afterwards counts if it was not announced."""
    managers, listener = FakeManagers(), Listener()
    actions = KernelActions(managers, events)
    actions.listen(KERNEL, listener)

    async def during() -> None:
        emit(events, managers.done[-1][0])

    managers.during = during
    await managers.interrupt_kernel(KERNEL)
    await managers.restart_kernel(KERNEL)
    await events.gather_listeners()
    told = [what for what in listener.told if what != "before"]
    assert told == [("interrupt", None), "restart", ("restarted", False)]  # once each
    listener.told.clear()
    for action in ("start", "interrupt", "restart", "shutdown"):
        emit(events, action, "error")
        emit(events, action)
    await events.gather_listeners()
    # That a restart is over is all there is to tell: the restarter comes this way too (K1).
    assert listener.told == [("interrupt", None), ("restarted", False), "shutdown"]
    actions.close()
    emit(events, "interrupt")
    await events.gather_listeners()
    assert len(listener.told) == 3


async def test_closing_leaves_the_manager_as_it_was() -> None:
    """The wrappers go, but not those that someone else put around them."""
    managers = FakeManagers()
    first = KernelActions(managers)
    first.close()
    first.close()
    assert not {"interrupt_kernel", "restart_kernel", "shutdown_kernel"} & vars(managers).keys()
    inner, outer, listener = KernelActions(managers), KernelActions(managers), Listener()
    inner.listen(KERNEL, listener)
    inner.close()
    await managers.restart_kernel(KERNEL)
    assert managers.done == [("restart", KERNEL)]
    assert not listener.told
    outer.close()


async def test_a_listener_is_let_go() -> None:
    """After ``ignore`` nothing is told."""
    managers, listener = FakeManagers(), Listener()
    actions = KernelActions(managers)
    actions.listen(KERNEL, listener)
    actions.ignore(KERNEL, listener)
    actions.ignore(KERNEL, listener)
    await managers.shutdown_kernel(KERNEL)
    assert not listener.told
