"""ipywidgets ``Output`` widgets: whose messages they capture, and what they hold (SPEC O12).

The kernel opens a comm for the widget; while the widget's ``msg_id`` is that of a request, what
the kernel says in answer to that request goes into the widget's ``outputs`` instead of the cell.
A front end does this without us; here it must be done where the messages are, on the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notebook_exec.core import sanitize
from notebook_exec.core.model import Json, Output
from notebook_exec.core.output_list import OutputList

OWN_UPDATE = "notebook_exec-widget-"
"""How the ``msg_id`` begins of what we tell a widget: its echo is no news."""


class OutputWidgets:
    """The Output widgets of one kernel."""

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lists: dict[str, OutputList] = {}  # by comm id
        self._msg_ids: dict[str, str] = {}  # by comm id, where one is set
        self._capturing: dict[str, list[str]] = {}  # by msg id: comm ids, the innermost last

    def handle(self, msg_type: str, content: dict[str, Json], parent_id: str) -> None:
        """A comm_open, comm_msg or comm_close, of whatever comm; what it is an answer to."""
        comm_id = content.get("comm_id")
        if not isinstance(comm_id, str):
            return
        if msg_type == "comm_close":
            self._capture(comm_id, "")
            self._lists.pop(comm_id, None)
            return
        data = _dict(content.get("data"))
        state = _dict(data.get("state"))
        if msg_type == "comm_open":
            if state.get("_model_name") != "OutputModel":
                return
            self._lists[comm_id] = OutputList(limit_bytes=self._limit_bytes)
        elif comm_id not in self._lists:
            return
        method = data.get("method")
        # An echo_update repeats what a front end told the kernel, as the page does whose slider
        # an `interact` answers; or what we did, and then may be behind what we hold by now.
        is_news = method == "echo_update" and not parent_id.startswith(OWN_UPDATE)
        if msg_type == "comm_msg" and method != "update" and not is_news:
            return
        if isinstance(state.get("outputs"), (list, tuple)):
            self._hold(comm_id, state["outputs"])
        if "msg_id" in state and method != "echo_update":
            self._capture(comm_id, state["msg_id"])

    def target(self, parent_id: str) -> tuple[str, OutputList] | None:
        """Where the answers to that request go, and the id of its comm; None: to the cell."""
        comm_ids = self._capturing.get(parent_id)
        return (comm_ids[-1], self._lists[comm_ids[-1]]) if comm_ids else None

    def outputs(self, comm_id: str) -> list[Output] | None:
        """What a widget holds; None if there is no such widget."""
        held = self._lists.get(comm_id)
        return None if held is None else held.outputs()

    def clear(self) -> None:
        """The kernel that had them is gone."""
        self._lists.clear()
        self._msg_ids.clear()
        self._capturing.clear()

    def memory(self) -> dict[str, Json]:
        """All of it, to go on with after a restart of the server."""
        return {
            comm_id: {
                "msg_id": self._msg_ids.get(comm_id, ""),
                "outputs": held.outputs(),
                "memory": held.memory(),
            }
            for comm_id, held in self._in_order()
        }

    def resume(self, memory: Mapping[str, Json]) -> None:
        """Go on from what ``memory`` returned."""
        for comm_id, stored in memory.items():
            self._lists[comm_id] = OutputList(limit_bytes=self._limit_bytes)
            self._lists[comm_id].resume(stored["outputs"], stored["memory"])
            self._capture(comm_id, stored["msg_id"])

    def lists(self) -> Mapping[str, OutputList]:
        """Every widget's outputs, by comm id."""
        return self._lists

    def _in_order(self) -> list[tuple[str, OutputList]]:
        # The order in which they capture, which ``resume`` builds up again.
        captured = [comm_id for comm_ids in self._capturing.values() for comm_id in comm_ids]
        others = [comm_id for comm_id in self._lists if comm_id not in self._msg_ids]
        return [(comm_id, self._lists[comm_id]) for comm_id in others + captured]

    def _hold(self, comm_id: str, outputs: Any) -> None:
        self._lists[comm_id].clear()  # display ids in it end
        held = OutputList(limit_bytes=self._limit_bytes)
        held.resume([sanitize.stored_output(output) for output in outputs], {})
        self._lists[comm_id] = held

    def _capture(self, comm_id: str, msg_id: Any) -> None:
        before = self._msg_ids.pop(comm_id, None)
        if before is not None:
            self._capturing[before].remove(comm_id)
            if not self._capturing[before]:
                del self._capturing[before]
        if msg_id and isinstance(msg_id, str):
            self._msg_ids[comm_id] = msg_id
            self._capturing.setdefault(msg_id, []).append(comm_id)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
