"""The ZMQ sockets to one kernel process, read without ever blocking the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import zmq

from notebook_exec import multipart
from notebook_exec.core.model import Json, Prompt
from notebook_exec.kernels.messages import ProtocolError, Received, Wire, prompt_of
from notebook_exec.kernels.peer import Connection

log = logging.getLogger(__name__)

_TYPES = {"iopub": zmq.SUB, "shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER}
# What one kernel may take of one turn of the event loop; there may be a hundred of them (L1).
_SLICE_MESSAGES = 256
_SLICE_S = 0.002
# What a flood brings meanwhile is handled at once, for half of the work. Nobody sees it: documents
# are written to every 20 ms.
_FLOOD_MESSAGES = 20
_REST_S = 0.006
_OUTPUTS = frozenset({"stream", "display_data", "update_display_data", "clear_output"})
_UNKNOWN = Prompt("", password=True)  # whatever is answered to it must not be shown (P3)
_RECONNECT_INTERVAL_MS = 25  # a kernel that starts binds its ports a while after we connect


class Sockets:
    """Shell, control, stdin and iopub of one kernel process."""

    def __init__(
        self,
        connection: Mapping[str, Json],
        wire: Wire,
        on_batch: Callable[[list[Received]], None],
        *,
        on_connection: Callable[[bool], None],
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        """``connection`` is what a connection file holds. ``on_batch`` gets what comes.

        ``on_connection`` is told when the stdin socket is connected, and when that broke.
        The running event loop reads. ZMQ itself connects again after a lost connection.
        """
        self._wire = wire
        self._on_batch = on_batch
        self._loop = asyncio.get_running_loop()
        self._scheduled: asyncio.Handle | None = None
        self._closed = False
        self._outputs_in_a_row = 0
        self._rest: asyncio.TimerHandle | None = None  # iopub is not watched until then
        self._dropped = 0
        self._input_request = ("", b"{}", _UNKNOWN)  # the last one: parent id, header, question
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._context = context or zmq.Context.instance()
        self._connection = connection
        self._knocking: zmq.Socket[bytes] | None = None
        for channel, kind in _TYPES.items():
            self._sockets[channel] = self._make(kind)
        # What a kernel sends to an identity that is not connected yet is lost. On stdin that
        # would be the question that a cell waits on for ever (P1).
        self._until_stdin = Connection(self._sockets["stdin"], on_connection)
        for channel, socket in self._sockets.items():
            socket.connect(_url(connection, channel))
        self._due = set(self._sockets)  # where something may have come
        for channel in self._sockets:
            self._watch(channel)
        # The descriptors tell only what changes: what came before they were watched is read now.
        self._wake()

    def _make(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._bare(kind)
        # No high water marks: past them ZMQ drops a kernel's output silently, or blocks.
        socket.rcvhwm = 0
        socket.sndhwm = 0
        if kind == zmq.DEALER:
            # Kernels send an input_request to the identity that the request came from (P1):
            # shell and stdin have to share it. It is nobody else's (K10).
            socket.setsockopt(zmq.IDENTITY, self._wire.session.encode())
        else:
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        return socket

    def _bare(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.reconnect_ivl = _RECONNECT_INTERVAL_MS
        public = self._connection.get("curve_publickey")
        secret = self._connection.get("curve_secretkey")
        if public and secret:  # jupyter_client uses one key pair for both sides
            socket.curve_publickey, socket.curve_secretkey = _key(public), _key(secret)
            socket.curve_serverkey = _key(public)
        return socket

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def send(self, channel: str, frames: list[bytes]) -> None:
        """Send at once, or as soon as there is a connection."""
        multipart.send(self._sockets[channel], frames)
        # Sending can use up the descriptor's notice that something came: look.
        self._due.add(channel)
        self._wake()

    def knock(self) -> None:
        """Wake a kernel that sleeps over what it was sent: one more connection is news to it."""
        self._stop_knocking()
        self._knocking = self._bare(zmq.DEALER)
        self._knocking.connect(_url(self._connection, "shell"))

    def input_request(self, parent_id: str) -> tuple[bytes, Prompt]:
        """Header and question of the last input_request, if ``parent_id`` asks; else of none."""
        asked_by, header, question = self._input_request
        return (header, question) if asked_by == parent_id else (b"{}", _UNKNOWN)

    async def drain(self, limit_s: float) -> None:
        """Wait until all that has come is delivered, or ``limit_s`` seconds."""
        deadline = time.monotonic() + limit_s
        while not self._closed and time.monotonic() < deadline:
            self._due.update(self._sockets)
            if not self._pump():
                return
            await asyncio.sleep(0)

    def close(self) -> None:
        """Stop reading; what was not delivered is lost. May be repeated."""
        if self._closed:
            return
        self._closed = True
        for handle in (self._scheduled, self._rest):
            if handle is not None:
                handle.cancel()
        self._until_stdin.close()
        self._stop_knocking()
        for socket in self._sockets.values():
            self._loop.remove_reader(socket.FD)
            socket.close(linger=0)

    def _stop_knocking(self) -> None:
        if self._knocking is not None:
            self._knocking.close(linger=0)
            self._knocking = None

    def _watch(self, channel: str) -> None:
        self._loop.add_reader(self._sockets[channel].FD, self._on_news, channel)

    def _on_news(self, channel: str) -> None:
        self._due.add(channel)
        self._pump()

    def _wake(self) -> None:
        if self._scheduled is None and not self._closed:
            self._scheduled = self._loop.call_soon(self._pump)

    def _pump(self) -> bool:
        """Read one slice of each channel where there may be something; whether there may be more.

        To find out that a channel has nothing takes as long as to read a message of it.
        """
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        if self._closed:
            return False
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
            self._watch("iopub")
        batch: list[Received] = []
        # iopub always and first: of what came together, output comes before the reply that
        # ends it.
        due, self._due = self._due | {"iopub"}, set()
        for channel, socket in self._sockets.items():
            if channel in due and self._read(channel, socket, batch):
                self._due.add(channel)
        more = bool(self._due)
        if more:  # before the delivery, whatever the receiver does
            self._wake()
        elif self._is_flooded(batch):
            self._loop.remove_reader(self._sockets["iopub"].FD)
            self._rest = self._loop.call_later(_REST_S, self._pump)
        if batch:
            self._on_batch(batch)
        return more

    def _is_flooded(self, batch: list[Received]) -> bool:
        if batch and all(message.msg_type in _OUTPUTS for message, _ in batch):
            self._outputs_in_a_row += len(batch)
        else:
            self._outputs_in_a_row = 0
        return self._outputs_in_a_row > _FLOOD_MESSAGES

    def _read(self, channel: str, socket: zmq.Socket[bytes], batch: list[Received]) -> bool:
        """Add at most one slice of what ``channel`` holds; whether there may be more."""
        parse, append = self._wire.parse, batch.append
        deadline = time.perf_counter() + _SLICE_S
        for _ in range(_SLICE_MESSAGES):
            try:
                frames = multipart.receive(socket)
            except zmq.Again:
                return False
            try:
                received = parse(channel, frames)
            except ProtocolError as error:
                self._drop(channel, error)
                continue
            append(received)
            if channel == "stdin" and received[0].msg_type == "input_request":
                header = self._wire.header_frame(frames)
                question = prompt_of(received[0].content)
                self._input_request = (received[0].parent_id, header, question)
            if time.perf_counter() > deadline:
                break
        return True

    def _drop(self, channel: str, error: ProtocolError) -> None:
        """Log every dropped message at first, then ever more seldom (O14)."""
        self._dropped += 1
        if self._dropped & (self._dropped - 1) == 0:
            log.warning("dropped a message on %s: %s (%d so far)", channel, error, self._dropped)


def _key(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _url(connection: Mapping[str, Json], channel: str) -> str:
    transport, ip, port = connection["transport"], connection["ip"], connection[f"{channel}_port"]
    return f"{transport}://{ip}{'-' if transport == 'ipc' else ':'}{port}"
