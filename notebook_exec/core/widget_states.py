"""The state of every widget of one kernel, as its comms tell it (SPEC O12).

A page that opens asks the kernel for the state of its widgets. A kernel that runs a cell answers
when the cell is over; with what is gathered here the server can answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notebook_exec.core.model import Json

TARGET = "jupyter.widget"
LIMIT_BYTES = 64 * 2**20
"""Of the widgets of one kernel in all; past it the kernel answers for itself."""

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class WidgetState:
    """What a comm_msg with the method ``update`` holds: some keys of one widget."""

    comm_id: str
    state: Mapping[str, Json]
    buffer_paths: Sequence[_Path]
    buffers: Sequence[bytes]


class _Widget:
    __slots__ = ("buffers", "changed", "state", "weights")

    def __init__(self) -> None:
        self.state: dict[str, Json] = {}
        self.buffers: dict[_Path, bytes] = {}
        self.weights: dict[str, int] = {}  # bytes, about, by key
        self.changed: dict[str, int] = {}  # the version of the last change, by key


class WidgetStates:
    """Follows the widgets of one kernel process. ``version`` grows with each change."""

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._widgets: dict[str, _Widget] = {}  # by comm id
        self._weight = 0
        self._is_complete = False
        self._has_seen_run = False
        self.version = 0

    @property
    def is_complete(self) -> bool:
        """Whether no widget can be missing: the kernel was heard from its first cell on."""
        return self._is_complete and self._weight <= self._limit_bytes

    def ran(self, execution_count: Json) -> None:
        """The kernel says that it runs code, of whatever client."""
        if not self._has_seen_run:
            self._has_seen_run = True
            self._is_complete = execution_count == 1

    def handle(self, msg_type: str, content: Mapping[str, Json], buffers: Sequence[bytes]) -> None:
        """A comm_open, comm_msg or comm_close, of whatever comm."""
        comm_id, data = content.get("comm_id"), content.get("data")
        if not isinstance(comm_id, str):
            return
        if msg_type == "comm_close":
            widget = self._widgets.pop(comm_id, None)
            if widget is not None:
                self._weight -= sum(widget.weights.values())
            return
        if msg_type == "comm_open":
            if content.get("target_name") != TARGET:
                return
            self._widgets[comm_id] = _Widget()
        widget = self._widgets.get(comm_id)
        if widget is None or not isinstance(data, dict):
            return
        state = data.get("state")
        if not isinstance(state, dict) or data.get("method") == "custom":
            return
        self._merge(widget, state, data.get("buffer_paths"), buffers)

    def clear(self) -> None:
        """The kernel's process is a new one, and is heard from its start."""
        self._widgets.clear()
        self._weight = 0
        self._has_seen_run = self._is_complete = True

    def since(self, version: int) -> list[WidgetState]:
        """What changed after ``version``; after -1: all there is."""
        found = []
        for comm_id, widget in self._widgets.items():
            keys = {key for key, changed in widget.changed.items() if changed > version}
            if keys:
                paths = [path for path in widget.buffers if path[0] in keys]
                found.append(
                    WidgetState(
                        comm_id,
                        {key: widget.state[key] for key in widget.state if key in keys},
                        paths,
                        [widget.buffers[path] for path in paths],
                    )
                )
        return found

    def _merge(
        self, widget: _Widget, state: Mapping[str, Any], paths: Any, buffers: Sequence[bytes]
    ) -> None:
        self.version += 1
        widget.buffers = {p: b for p, b in widget.buffers.items() if p[0] not in state}
        for key, value in state.items():
            widget.state[key] = value
            self._note(widget, key, _weight(value))
        for path, buffer in zip(paths if isinstance(paths, list) else (), buffers, strict=False):
            if isinstance(path, list) and path and isinstance(path[0], str):
                widget.buffers[tuple(path)] = buffer
                self._note(widget, path[0], widget.weights.get(path[0], 0) + len(buffer))

    def _note(self, widget: _Widget, key: str, weight: int) -> None:
        self._weight += weight - widget.weights.get(key, 0)
        widget.weights[key] = weight
        widget.changed[key] = self.version


def _weight(value: Json) -> int:
    """Bytes, about: texts and the places they stand in."""
    todo, weight = [value], 0
    while todo:
        item = todo.pop()
        weight += 8
        if isinstance(item, str):
            weight += len(item)
        elif isinstance(item, dict):
            todo.extend(item.values())
            weight += sum(map(len, item))
        elif isinstance(item, list):
            todo.extend(item)
    return weight
