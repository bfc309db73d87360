"""The websocket by which a page talks to its kernel, where jupyter_server's falls short of ours.

- A page that opens while the kernel runs a cell is told of the widgets at once (SPEC O12).
- What Output widgets capture is shown as it comes, though the kernel learns of it later (O12).
- A kernel that died and is not restarted by itself is shown as dead (K1).
- A flood of output never holds back what widgets say (O12); it is not what the page shows. Of the
  text of cells that run here a page gets no more than a part by this way: it has it all by the
  document, and has better things to do (U7).
- A kernel that was never asked who it is before it began to run a cell is asked on its control
  channel, where it answers at once (U4).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from jupyter_server.services.kernels.connection import base
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado.websocket import WebSocketClosedError

from notebook_exec.core.model import Json, KernelId
from notebook_exec.core.widget_states import WidgetState
from notebook_exec.engine.widget_news import WidgetView
from notebook_exec.kernels.messages import USERNAME

from .services import SETTINGS_KEY, Services
from .stopping import requests_at_rest

wire: Any = base  # its functions are not annotated

V1 = "v1.kernel.websocket.jupyter.org"
AGAIN_S = (1.0, 4.0)
"""A page makes its widgets some time after it was told of them, and hears no change before."""
_MAX_REQUEST_BYTES = 4096
_NEVER_LIMITED = ("comm_msg", "comm_close")
_TEXTS_AT_ONCE = 100
_TEXTS_PER_S = 10
"""More of our cells' texts are left out, without a word. Consoles that show all that the kernel
does, and the log console, live on the rest. Each is a task of the page's only thread, and in a
flood they stood, a hundred in a row, between a letter and its drawing."""


class KernelWebsocket(ZMQChannelsWebsocketConnection):
    """A page's connection to a kernel."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._again: list[asyncio.TimerHandle] = []
        self._kernel_session: str | None = None
        self._texts = Allowance(_TEXTS_PER_S, _TEXTS_AT_ONCE)

    # --- open and closed ------------------------------------------------------------------------

    @classmethod
    async def close_all(cls) -> None:
        """See above; it is also the last that jupyter_server awaits before its loop stops."""
        above: Any = super()
        await above.close_all()
        await requests_at_rest()

    def connect(self) -> asyncio.Future[None] | None:  # type: ignore[override]  # as above it
        """See ``ZMQChannelsWebsocketConnection.connect``."""
        self._services.kernel_pages.add(KernelId(self.kernel_id), self)
        return super().connect()

    def disconnect(self) -> None:  # type: ignore[override]  # as above it
        """See ``ZMQChannelsWebsocketConnection.disconnect``."""
        for timer in self._again:
            timer.cancel()
        self._again.clear()
        self._services.kernel_pages.remove(KernelId(self.kernel_id), self)
        self._above.disconnect()

    def request_kernel_info(self) -> Any:
        """Ask on shell, as jupyter_server does, and on control, which a running cell leaves free.

        Whichever is answered first is enough: the page is connected then.
        """
        answered = self._above.request_kernel_info()
        if not self._kernel_info_future.done():
            control = self.multi_kernel_manager.connect_control(self.kernel_id)
            self._kernel_info_future.add_done_callback(lambda _: control.close())
            control.on_recv(self._handle_kernel_info_reply)
            self.session.send(control, "kernel_info_request")
        return answered

    def show_death(self) -> None:
        """See ``kernel_pages.Page``: jupyter_server says it only where it gave up restarting."""
        with suppress(WebSocketClosedError):
            self._above._send_status_message("dead")

    # --- widgets --------------------------------------------------------------------------------

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """See ``ZMQChannelsWebsocketConnection.handle_incoming_message``.

        The kernel gets what asks for the state of its widgets as ever, and answers it too late.
        """
        self._above.handle_incoming_message(incoming_msg)
        comm_id = _asks_for_states(incoming_msg, self.subprotocol == V1)
        if comm_id is not None and self._services.is_started:
            view = self._services.engine.widgets(KernelId(self.kernel_id))
            if view is not None:
                self._tell_states(comm_id, view)

    def show_state(self, widget: WidgetState) -> None:
        """Have the page's widget take ``widget``'s state, as if the kernel had said so."""
        paths = [list(path) for path in widget.buffer_paths]
        data = {"method": "update", "state": widget.state, "buffer_paths": paths}
        self._say("comm_msg", {"comm_id": widget.comm_id, "data": data}, widget.buffers)

    def _tell_states(self, comm_id: str, view: WidgetView) -> None:
        """As ipywidgets in the kernel would answer on its control comm."""
        states: dict[str, Json] = {}
        paths: list[list[str | int]] = []
        buffers: list[bytes] = []
        for widget in with_captured(view):
            state = widget.state
            states[widget.comm_id] = {
                "model_name": state.get("_model_name"),
                "model_module": state.get("_model_module"),
                "model_module_version": state.get("_model_module_version"),
                "state": state,
            }
            paths += [[widget.comm_id, "state", *path] for path in widget.buffer_paths]
            buffers += widget.buffers
        data = {"method": "update_states", "states": states, "buffer_paths": paths}
        self._say("comm_msg", {"comm_id": comm_id, "data": data}, buffers)
        loop = asyncio.get_running_loop()
        self._again += [
            loop.call_later(delay_s, self._tell_changes, view.version) for delay_s in AGAIN_S
        ]

    def _tell_changes(self, version: int) -> None:
        view = self._services.engine.widget_changes(KernelId(self.kernel_id), version)
        for widget in () if view is None else with_captured(view):
            self.show_state(widget)

    def _limit_rate(self, channel: str, msg: dict[str, Any], msg_list: list[Any]) -> bool:
        if channel == "iopub" or self._kernel_session is None:
            msg["header"] = self._above.get_part("header", msg["header"], msg_list)
            self._kernel_session = msg["header"]["session"]
        if channel != "iopub":
            return False
        msg_type = msg["header"]["msg_type"]
        if msg_type in _NEVER_LIMITED:
            return False
        if msg_type == "stream":
            parent = self._above.get_part("parent_header", msg["parent_header"], msg_list)
            if parent.get("username") == USERNAME:
                return not self._texts.take(asyncio.get_running_loop().time())
        return bool(self._above._limit_rate(channel, msg, msg_list))

    def _say(self, msg_type: str, content: dict[str, Json], buffers: Sequence[bytes]) -> None:
        """Send the page a message of iopub that is not the kernel's.

        It bears the kernel's session: where that changes, JupyterLab takes the kernel for a new
        one, and drops what it has not handled yet.
        """
        message = self.session.msg(msg_type, content)
        message["header"]["session"] = self._kernel_session or message["header"]["session"]
        try:
            if self.subprotocol == V1:
                pack = self.session.pack
                fields = ("header", "parent_header", "metadata", "content")
                parts = [*(pack(message[field]) for field in fields), *buffers]
                self.write_message(wire.serialize_msg_to_ws_v1(parts, "iopub"), binary=True)
            else:
                message = json.loads(self.session.pack({**message, "channel": "iopub"}))
                whole = wire.serialize_binary_message({**message, "buffers": list(buffers)})
                self.write_message(whole, binary=True)
        except WebSocketClosedError:
            pass  # the page has gone, and will ask again when it is back

    @property
    def _above(self) -> Any:
        """The class above, which is only partly annotated."""
        return super()

    @property
    def _services(self) -> Services:
        services: Services = self.websocket_handler.settings[SETTINGS_KEY]
        return services


class Allowance:
    """``per_s`` a second, and up to ``at_once`` that were not taken before."""

    def __init__(self, per_s: float, at_once: float) -> None:
        self._per_s = per_s
        self._at_once = self._left = at_once
        self._at_s = 0.0

    def take(self, now_s: float) -> bool:
        """Whether one is left at ``now_s``; it is taken then."""
        self._left = min(self._at_once, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


def with_captured(view: WidgetView) -> Iterable[WidgetState]:
    """The widgets of a view, with what the Output widgets among them really hold."""
    for widget in view.widgets:
        captured = view.captured.get(widget.comm_id)
        if captured is None:
            yield widget
        else:
            state = {**widget.state, "outputs": captured}
            yield WidgetState(widget.comm_id, state, widget.buffer_paths, widget.buffers)


def _asks_for_states(message: str | bytes, is_v1: bool) -> str | None:
    """The id of the comm on which a page asks for the state of all widgets; None: it does not."""
    if len(message) > _MAX_REQUEST_BYTES:
        return None
    needle: Any = b"request_states" if isinstance(message, bytes) else "request_states"
    if needle not in message:
        return None
    try:
        if is_v1:
            _channel, parts = wire.deserialize_msg_from_ws_v1(message)
            content = json.loads(parts[3])
        else:
            content = json.loads(message)["content"]
        data: Mapping[str, Json] = content["data"]
        comm_id = content["comm_id"]
        asks = data["method"] == "request_states" and isinstance(comm_id, str)
    except (ValueError, LookupError, TypeError):  # some other message that has the word in it
        return None
    return comm_id if asks else None
