"""What the executions of one kernel put out: kernel messages in, edits of cells out (SPEC O)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from notebook_exec.core import sanitize
from notebook_exec.core.entries import Rich
from notebook_exec.core.model import (
    ClearOutputs,
    ExecutionError,
    ExecutionId,
    Json,
    KernelMessage,
    Output,
    OutputEdit,
)
from notebook_exec.core.output_list import OutputList
from notebook_exec.core.widget_states import WidgetStates
from notebook_exec.core.widgets import OutputWidgets

StreamName = Literal["stdout", "stderr"]

MASKED = "·" * 8  # as long for every password (P3)
_COMM = frozenset({"comm_open", "comm_msg", "comm_close"})
_OUTPUT = frozenset(
    {"stream", "display_data", "execute_result", "error", "clear_output", "update_display_data"}
)


@dataclass(frozen=True, slots=True)
class SetNextInput:
    """The code wants ``text`` to be the next cell, or, with ``replace``, its own source (O13)."""

    execution_id: ExecutionId
    text: str
    replace: bool


@dataclass(frozen=True, slots=True)
class UpdateWidget:
    """New state of an Output widget, for the kernel, which tells its clients (O12).

    To be sent as a comm_msg on shell with the data
    ``{"method": "update", "state": state, "buffer_paths": []}``.
    """

    comm_id: str
    state: dict[str, Json]


OutputEffect = SetNextInput


class KernelOutputs:
    """What the executions of one kernel have put out.

    After a run has ended its outputs stay, for late messages (O9) and updates of displays (O5),
    until the next run of the same cell replaces them.
    """

    def __init__(self, *, limit_bytes: int = 10 * 2**20) -> None:
        self._limit_bytes = limit_bytes
        self._lists: dict[ExecutionId, OutputList] = {}
        self._dirty: dict[ExecutionId, None] = {}
        self._widgets = OutputWidgets(limit_bytes=limit_bytes)
        self._dirty_widgets: dict[str, None] = {}
        self.widget_states = WidgetStates()
        self._displays: dict[str, list[_Display]] = {}
        self._displays_limit = 1000  # of ids, before those of displays that are gone are dropped

    # --- runs -------------------------------------------------------------------------------

    def begin(self, execution_id: ExecutionId, *, replaces: ExecutionId | None = None) -> None:
        """A run starts, its cell is empty. ``replaces`` is the run whose outputs were there."""
        if replaces is not None:
            self.forget(replaces)
        self.forget(execution_id)
        held = OutputList(limit_bytes=self._limit_bytes, logged_as=execution_id)
        self._lists[execution_id] = held

    def resume(
        self,
        execution_id: ExecutionId,
        outputs: Sequence[Output],
        memory: Mapping[str, Json] | None = None,
    ) -> None:
        """Go on with a run whose cell has ``outputs``; ``memory`` is what ``memory`` returned."""
        self.begin(execution_id)
        held = self._lists[execution_id]
        held.resume(outputs, memory or {})
        for entry in held.displays():
            self._remember(execution_id, "", held, entry)

    def forget(self, execution_id: ExecutionId) -> None:
        """Its outputs are no longer of interest; what still comes for it is dropped."""
        held = self._lists.pop(execution_id, None)
        self._dirty.pop(execution_id, None)
        if held is not None:
            held.clear()  # its display ids end with it

    def kernel_restarted(self) -> None:
        """The kernel's process is a new one: display ids and widgets of the old one are gone."""
        self._displays.clear()
        self._widgets.clear()
        self._dirty_widgets.clear()
        self.widget_states.clear()

    # --- in ---------------------------------------------------------------------------------

    def handle(self, message: KernelMessage) -> list[OutputEffect]:
        """Take in a message of iopub or shell; unknown parents and types are ignored.

        Never raises, whatever the message holds: what cannot be shown is said in the outputs.
        """
        try:
            return self._handle(message)
        except Exception as error:  # the border to what kernels send (O14)
            return self._say_unshown(message, error)

    def show_error(self, execution_id: ExecutionId, error: ExecutionError) -> None:
        """Show an error of ours: the kernel died, did not start …"""
        held = self._lists.get(execution_id)
        if held is not None:
            held.keep()  # what the kernel showed last, until something it never put out
            held.add(Rich(sanitize.own_error(error)))
            self._dirty[execution_id] = None

    def show_text(self, execution_id: ExecutionId, name: StreamName, text: str) -> None:
        """Show text of ours: the echo of an input's answer, notices."""
        held = self._lists.get(execution_id)
        if held is not None and text:
            held.write(sanitize.stream_name(name), sanitize.clean_text(text))
            self._dirty[execution_id] = None

    def _handle(self, message: KernelMessage) -> list[OutputEffect]:
        msg_type, content = message.msg_type, message.content
        if msg_type in _COMM:
            if isinstance(content, dict):
                self._widgets.handle(msg_type, content, message.parent_id)
                self.widget_states.handle(msg_type, content, message.buffers)
                self._forget_gone_widgets()
            return []
        if not isinstance(content, dict):
            content = {}
        if msg_type == "update_display_data":
            self._update_displays(content)  # also of requests that are not ours
            return []
        execution_id = ExecutionId(message.parent_id)
        if msg_type == "execute_input":
            self.widget_states.ran(content.get("execution_count"))
        held = self._lists.get(execution_id)
        if held is None:
            return []
        if msg_type == "execute_reply":
            return self._payloads(execution_id, content)
        if msg_type not in _OUTPUT:
            if msg_type == "input_reply":
                self.show_text(execution_id, "stdout", _echo(content))
            return []
        captured = self._widgets.target(message.parent_id)
        if captured is None:
            if self._put(execution_id, "", held, msg_type, content):
                self._dirty[execution_id] = None
        elif self._put(None, *captured, msg_type, content):
            self._dirty_widgets[captured[0]] = None
        return []

    def _put(
        self,
        execution_id: ExecutionId | None,
        comm_id: str,
        held: OutputList,
        msg_type: str,
        content: dict[str, Json],
    ) -> bool:
        """Add one message to a list of outputs; whether that may have changed it."""
        if msg_type == "stream":
            text = content.get("text")
            # A chunk without text is no output: it would only end a clear that waits.
            if text.__class__ is not str or not text.isascii():
                text = sanitize.clean_text(text)
            if text:
                name = "stderr" if content.get("name") == "stderr" else "stdout"
                held.write(name, text)
            return bool(text)
        if msg_type == "clear_output":
            wait = bool(content.get("wait"))
            held.clear(wait=wait)
            return not wait
        if msg_type == "error":
            held.add(Rich(sanitize.error(content)))
            return True
        result = msg_type == "execute_result"
        output = sanitize.execute_result(content) if result else sanitize.display_data(content)
        entry = Rich(output, _display_id(content))
        held.add(entry)
        if entry.display_id is not None:
            self._remember(execution_id, comm_id, held, entry)
        return True

    def _payloads(self, execution_id: ExecutionId, content: dict[str, Json]) -> list[OutputEffect]:
        """As JupyterLab does: the first page is shown, the first next input used (O13)."""
        payload = content.get("payload")
        if content.get("status") != "ok" or not isinstance(payload, list):
            return []
        first: dict[str, dict[str, Json]] = {}
        for item in payload:
            if isinstance(item, dict) and isinstance(item.get("source"), str):
                first.setdefault(item["source"], item)
        if (page := first.get("page")) is not None:
            output = sanitize.display_data({"data": page.get("data")})
            self._lists[execution_id].add(Rich(output))
            self._dirty[execution_id] = None
        if (following := first.get("set_next_input")) is not None:
            text = sanitize.clean_text(following.get("text"))
            return [SetNextInput(execution_id, text, bool(following.get("replace")))]
        return []

    def _say_unshown(self, message: KernelMessage, error: Exception) -> list[OutputEffect]:
        parent_id = message.parent_id
        if isinstance(parent_id, str) and parent_id in self._lists:
            text = f"[a {message.msg_type!r} message of the kernel cannot be shown: {error!r}]\n"
            self.show_text(ExecutionId(parent_id), "stderr", text)
        return []

    # --- displays ---------------------------------------------------------------------------

    def _remember(
        self, execution_id: ExecutionId | None, comm_id: str, held: OutputList, entry: Rich
    ) -> None:
        if entry.display_id is None or entry.gone:
            return
        shown = [d for d in self._displays.get(entry.display_id, ()) if not d.entry.gone]
        shown.append(_Display(execution_id, comm_id, held, entry))
        self._displays[entry.display_id] = shown
        if len(self._displays) > self._displays_limit:
            self._drop_gone_displays()

    def _drop_gone_displays(self) -> None:
        """A cell that clears and displays all day must not fill the memory with its old ids."""
        for display_id, displays in list(self._displays.items()):
            if all(display.entry.gone for display in displays):
                del self._displays[display_id]
        self._displays_limit = 2 * len(self._displays) + 1000

    def _update_displays(self, content: dict[str, Json]) -> None:
        displays = self._displays.get(_display_id(content) or "")
        if not displays:
            return
        data = sanitize.clean_data(content.get("data"))
        metadata = sanitize.clean_metadata(content.get("metadata"))
        for display in displays:
            if display.entry.gone:
                continue
            display.held.update(display.entry, data, metadata)
            if display.execution_id is not None:
                self._dirty[display.execution_id] = None
            else:
                self._dirty_widgets[display.comm_id] = None

    # --- out --------------------------------------------------------------------------------

    @property
    def dirty(self) -> Collection[ExecutionId]:
        """The executions that have edits to take."""
        return self._dirty.keys()

    def take(self, execution_id: ExecutionId) -> tuple[int | None, list[OutputEdit]]:
        """The edits since the last take, and how many outputs they start from (None: any)."""
        self._dirty.pop(execution_id, None)
        held = self._lists.get(execution_id)
        return (None, []) if held is None else held.take()

    def rewrite(self, execution_id: ExecutionId) -> list[OutputEdit]:
        """Edits that write all outputs anew; what was not taken yet is in them."""
        self._dirty.pop(execution_id, None)
        held = self._lists.get(execution_id)
        return [ClearOutputs()] if held is None else held.rewrite()

    def cleared(self, execution_id: ExecutionId) -> None:
        """Someone emptied the cell, so the edits last taken could not be applied.

        Goes on from an empty cell with what those edits would have brought; take again.
        """
        held = self._lists.get(execution_id)
        if held is not None:
            held.emptied()
            self._dirty[execution_id] = None

    def outputs(self, execution_id: ExecutionId) -> list[Output]:
        """All outputs, as nbformat has them. Yours to keep, but not to change inside."""
        held = self._lists.get(execution_id)
        return [] if held is None else held.outputs()

    def take_spill(self, execution_id: ExecutionId) -> list[Output]:
        """For the log: from the first byte on, once the limit is passed, what was put out (O15)."""
        held = self._lists.get(execution_id)
        return [] if held is None else held.take_spill()

    @property
    def has_widget_news(self) -> bool:
        """Whether ``take_widgets`` has something to tell."""
        return bool(self._dirty_widgets)

    def take_widgets(self) -> list[UpdateWidget]:
        """The Output widgets whose outputs changed since the last call."""
        updates = []
        for comm_id in self._dirty_widgets:
            outputs = self._widgets.outputs(comm_id)
            if outputs is not None:
                updates.append(UpdateWidget(comm_id, {"outputs": outputs}))
        self._dirty_widgets.clear()
        return updates

    def widget_outputs(self) -> dict[str, list[Output]]:
        """What the Output widgets hold, by comm id; the kernel may not know all of it yet."""
        return {comm_id: held.outputs() for comm_id, held in self._widgets.lists().items()}

    # --- across a restart -------------------------------------------------------------------

    def memory(self, execution_id: ExecutionId) -> dict[str, Json]:
        """What ``resume`` needs beside the outputs: display ids, cursor, bounds. Often empty."""
        held = self._lists.get(execution_id)
        return {} if held is None else held.memory()

    def widgets_memory(self) -> dict[str, Json]:
        """What ``resume_widgets`` needs: the Output widgets and what they hold."""
        return self._widgets.memory()

    def resume_widgets(self, memory: Mapping[str, Json]) -> None:
        """Go on with the Output widgets of a kernel that is still the same process."""
        self._widgets.resume(memory)
        for comm_id, held in self._widgets.lists().items():
            if held.outputs():  # the kernel may not have been told of it
                self._dirty_widgets[comm_id] = None
            for entry in held.displays():
                self._remember(None, comm_id, held, entry)

    def _forget_gone_widgets(self) -> None:
        for comm_id in [c for c in self._dirty_widgets if c not in self._widgets.lists()]:
            del self._dirty_widgets[comm_id]


@dataclass(frozen=True, slots=True)
class _Display:
    """One output with a display id, in a cell or in a widget."""

    execution_id: ExecutionId | None
    comm_id: str
    held: OutputList
    entry: Rich


def _echo(content: dict[str, Json]) -> str:
    """What a terminal shows of a question and its answer (P2)."""
    prompt, value = str(content.get("prompt") or ""), content.get("value")
    gap = "" if not prompt or prompt[-1].isspace() else " "
    return f"{prompt}{gap}{value if isinstance(value, str) else MASKED}\n"


def _display_id(content: dict[str, Json]) -> str | None:
    transient = content.get("transient")
    display_id = transient.get("display_id") if isinstance(transient, dict) else None
    return display_id if isinstance(display_id, str) and display_id else None
