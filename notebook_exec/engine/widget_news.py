"""Tells what Output widgets captured: the pages at once, the kernel when it listens (SPEC O12).

The kernel takes the state of a widget as it takes a cell: in turn. While a cell runs it would
only pile up what it is told, so it is told once, before the next cell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from notebook_exec.core.model import Output
from notebook_exec.core.outputs import KernelOutputs, UpdateWidget
from notebook_exec.core.widget_states import WidgetState

INTERVAL_S = 0.1
BYTES_PER_S = 2 * 2**20
"""Pages get all that a widget holds each time: the more that is, the less often."""


@dataclass(frozen=True, slots=True)
class WidgetView:
    """What is known of a kernel's widgets. ``version`` is of ``widgets`` alone."""

    version: int
    widgets: list[WidgetState]
    captured: Mapping[str, list[Output]]
    """What Output widgets hold, by comm id: newer than their state."""


class WidgetNews:
    """The news of one kernel's Output widgets, as they come."""

    def __init__(
        self,
        outputs: KernelOutputs,
        tell_pages: Callable[[UpdateWidget], None],
        tell_kernel: Callable[[UpdateWidget], None],
    ) -> None:
        self._outputs = outputs
        self._tell_pages = tell_pages
        self._tell_kernel = tell_kernel
        self._for_kernel: dict[str, UpdateWidget] = {}  # by comm id
        self._timer: asyncio.TimerHandle | None = None
        self._rest_s = INTERVAL_S
        self._is_busy = False

    def look(self, *, is_busy: bool) -> None:
        """There may be news. ``is_busy``: a cell runs, so the kernel would not listen."""
        was_busy, self._is_busy = self._is_busy, is_busy
        if was_busy and not is_busy:
            self.settle()
        elif self._timer is None and self._outputs.has_widget_news:
            self._timer = asyncio.get_running_loop().call_later(self._rest_s, self._tell)

    def settle(self) -> None:
        """Tell all there is, to all."""
        self.close()
        self._tell_pages_all()
        for update in self._for_kernel.values():
            self._tell_kernel(update)
        self._for_kernel.clear()

    def forget(self) -> None:
        """The kernel's process is gone, and its widgets with it."""
        self._for_kernel.clear()

    def close(self) -> None:
        """Tell no more by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def view(self) -> WidgetView | None:
        """What to tell a page that opens now; None if the kernel itself can tell it."""
        states = self._outputs.widget_states
        if not self._is_busy or not states.is_complete:
            return None
        return self._view_since(-1)

    def changes(self, version: int) -> WidgetView:
        """What changed since a view."""
        return self._view_since(version)

    def _view_since(self, version: int) -> WidgetView:
        states = self._outputs.widget_states
        return WidgetView(states.version, states.since(version), self._outputs.widget_outputs())

    def _tell(self) -> None:
        self._timer = None
        if self._is_busy:
            self._tell_pages_all()
        else:
            self.settle()

    def _tell_pages_all(self) -> None:
        size = 0
        for update in self._outputs.take_widgets():
            self._tell_pages(update)
            self._for_kernel[update.comm_id] = update
            size += sum(len(str(output.get("text", ""))) for output in update.state["outputs"])
        self._rest_s = INTERVAL_S + size / BYTES_PER_S
