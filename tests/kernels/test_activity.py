"""What jupyter_server knows of a kernel's state while its own watcher rests."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from notebook_exec.core.model import KernelId, KernelMessage
from notebook_exec.kernels.activity import Activity
from notebook_exec.kernels.messages import Parent, Received

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


class Watcher:
    """Its stream of iopub."""

    def __init__(self) -> None:
        self.socket = self
        self.listens = True

    def closed(self) -> bool:
        return False

    def stop_on_recv(self) -> None:
        """Reads no more."""

    def close(self) -> None:
        """Is replaced."""

    def unsubscribe(self, topic: bytes) -> None:
        self.listens = topic != b""


class Managers(dict[str, Any]):
    """A mapping kernel manager's part of it."""

    def __init__(self) -> None:
        super().__init__()
        kernel = SimpleNamespace(
            execution_state="starting", last_activity=LONG_AGO, _pending_restart_cleanup=None
        )
        self["k"] = kernel
        self.kernel = kernel
        self.start_watching_activity("k")
        self.last_kernel_activity = LONG_AGO

    def get_kernel(self, kernel_id: str) -> Any:
        return self[kernel_id]

    def start_watching_activity(self, kernel_id: str) -> None:
        self.watcher = self[kernel_id]._activity_stream = Watcher()

    def stop_watching_activity(self, kernel_id: str) -> None:
        """Breaks off what waits for a restart, as jupyter_server's does."""
        self[kernel_id]._activity_stream = None
        if self[kernel_id]._pending_restart_cleanup is not None:
            self[kernel_id]._pending_restart_cleanup()

    def track_message_type(self, msg_type: str) -> bool:
        return msg_type != "kernel_info_request"


def status(state: str, parent: str) -> Received:
    content = {"execution_state": state}
    return KernelMessage("iopub", "status", "p", content), Parent("p", parent, "s")


def test_k10_the_state_is_told_to_other_clients() -> None:
    """K10: sessions, the running list and the culler see busy and idle as without a link."""
    managers = Managers()
    activity = Activity(managers, KernelId("k"))
    activity.take_over()
    assert not managers.watcher.listens
    assert managers.kernel.execution_state == "idle"
    activity.saw([status("busy", "kernel_info_request")])
    assert managers.kernel.execution_state == "idle"
    assert managers.kernel.last_activity == LONG_AGO
    activity.saw([status("busy", "execute_request")])
    assert managers.kernel.execution_state == "busy"
    assert managers.kernel.last_activity > LONG_AGO
    assert managers.last_kernel_activity == managers.kernel.last_activity
    activity.saw([status("idle", "execute_request")])
    assert managers.kernel.execution_state == "idle"
    activity.saw([status("busy", "execute_request")])
    for restarting, state in ((False, "dead"), (True, "starting")):
        activity.ended(restarting=restarting)  # with what it was busy with
        assert managers.kernel.execution_state == state
        activity.take_over()
        assert managers.kernel.execution_state == "idle"
    activity.give_back()
    activity.give_back()
    assert managers.watcher.listens


def test_k2_a_restart_that_is_waited_for_is_not_broken_off() -> None:
    """K2: stopping the watcher then would leave whoever restarts without an answer."""
    managers = Managers()
    broken_off: list[str] = []
    managers.kernel._pending_restart_cleanup = lambda: broken_off.append("k")
    activity = Activity(managers, KernelId("k"))
    activity.take_over()
    activity.saw([status("busy", "execute_request")])
    assert managers.kernel.execution_state == "busy"
    activity.give_back()
    assert managers.watcher.listens
    assert not broken_off


def test_k9_managers_that_watch_nothing_are_left_alone() -> None:
    """K9: other managers of kernels have no watcher."""
    activity = Activity(SimpleManagers(), KernelId("k"))
    activity.take_over()
    activity.saw([status("busy", "execute_request")])
    activity.give_back()


class SimpleManagers(dict[str, Any]):
    """Without a watcher."""

    def get_kernel(self, kernel_id: str) -> Any:
        raise AssertionError(kernel_id)

    def interrupt_kernel(self, kernel_id: str) -> None:
        raise AssertionError(kernel_id)

    async def restart_kernel(self, kernel_id: str) -> object:
        raise AssertionError(kernel_id)

    async def shutdown_kernel(self, kernel_id: str) -> object:
        raise AssertionError(kernel_id)
