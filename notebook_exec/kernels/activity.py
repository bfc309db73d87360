"""Keeps a kernel's ``execution_state`` and ``last_activity`` while a link reads its iopub.

jupyter_server has a watcher of its own for each kernel, which parses every message of iopub once
more, twice for a status: at 20,000 printed lines that was two thirds of the server's time (seen).
While a link is ready it says the same from what it has parsed anyway, and the watcher rests.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from notebook_exec.core.model import KernelId
from notebook_exec.kernels.managers import KernelManagers
from notebook_exec.kernels.messages import Received


class Activity:
    """Of one kernel of ``managers``; does nothing for managers that watch no activity."""

    def __init__(self, managers: KernelManagers, kernel_id: KernelId) -> None:
        self._managers: Any = managers
        self._kernel_id = kernel_id
        self._is_ours = False

    def take_over(self) -> None:
        """The link reads iopub from now on. Safe to call twice."""
        if self._kernel_id not in self._managers or not hasattr(
            self._managers, "stop_watching_activity"
        ):
            return
        kernel = self._managers.get_kernel(self._kernel_id)
        if (watcher := self._watcher()) is not None:
            # Not closed: that can crash the kernel (see room_for_output).
            watcher.stop_on_recv()
            watcher.socket.unsubscribe(b"")
        self._is_ours = True
        if getattr(kernel, "execution_state", None) in ("starting", "dead"):
            kernel.execution_state = "idle"  # it has answered; its next status says more

    def ended(self, *, restarting: bool) -> None:
        """The process is gone, and with it what it was busy with."""
        if self._is_ours and self._kernel_id in self._managers:
            kernel = self._managers.get_kernel(self._kernel_id)
            kernel.execution_state = "starting" if restarting else "dead"

    def give_back(self) -> None:
        """The link reads no more. Safe to call twice."""
        if self._is_ours:
            self._is_ours = False
            if self._kernel_id in self._managers:
                # Not stop_watching_activity: it would break off a restart that someone waits for.
                if (watcher := self._watcher()) is not None:
                    watcher.close()
                self._managers.start_watching_activity(self._kernel_id)

    def saw(self, batch: list[Received]) -> None:
        """Note what these messages mean, as ``MappingKernelManager.start_watching_activity``."""
        if not self._is_ours or self._kernel_id not in self._managers:
            return
        kernel = self._managers.get_kernel(self._kernel_id)
        before = state = kernel.execution_state
        is_active = before == "busy"
        for message, parent in batch:
            if message.channel != "iopub":
                continue
            is_tracked = self._is_tracked(parent.msg_type)
            is_active = is_active or is_tracked
            if message.msg_type == "status" and is_tracked:
                state = message.content.get("execution_state", "idle")
        if state != before:
            kernel.execution_state = state
        if is_active:
            now = datetime.now(timezone.utc)
            self._managers.last_kernel_activity = kernel.last_activity = now

    def _watcher(self) -> Any:
        """The stream by which jupyter_server watches, if there is one."""
        kernel = self._managers.get_kernel(self._kernel_id)
        watcher = getattr(kernel, "_activity_stream", None)
        return None if watcher is None or watcher.closed() else watcher

    def _is_tracked(self, msg_type: str) -> bool:
        track = getattr(self._managers, "track_message_type", None)
        return track is None or bool(track(msg_type))
