"""The sockets to one process of the kernel, dropped with it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping

import zmq

from notebook_exec import multipart
from notebook_exec.nanny.config import CHANNELS
from notebook_exec.nanny.jupyter import DELIMITER, Message, Signer, header, split
from notebook_exec.nanny.ports import HOST, HeldPorts
from notebook_exec.nanny.reactor import Reactor
from notebook_exec.nanny.registration import Registration

Socket = zmq.Socket[bytes]

_REPLYING = ("shell", "stdin", "control")
_SLICE_MESSAGES = 200
_RETRY_S = 0.05
_READY_LIMIT_S = 5.0
_QUIET_MS = 40
HANDSHAKE_IDENTITY = b"\0notebook_exec nanny"


class Back:
    """Connects, finds out when the kernel is ready, and hands on what it says."""

    def __init__(
        self,
        context: zmq.Context[Socket],
        reactor: Reactor,
        signer: Signer,
        *,
        on_iopub: Callable[[list[bytes], int], None],
        on_message: Callable[[str, Message], None],
        on_ready: Callable[[bytes], None],
        registers: bool = False,
    ) -> None:
        """``on_iopub`` gets a message's frames, and where among them the delimiter is.

        ``on_ready`` gets the content of the kernel_info_reply, empty if there is none.
        ``registers``: the kernel may bind ports of its own and register them (JEP 66)."""
        self._context = context
        self._reactor = reactor
        self._signer = signer
        self._on_iopub = on_iopub
        self._on_message = on_message
        self._on_ready = on_ready
        self._held = HeldPorts(len(CHANNELS))
        self.ports = dict(zip(CHANNELS, self._held.numbers, strict=True))
        self._registration: Registration | None = None
        if registers:
            self._registration = Registration(context, reactor, signer, self._on_registered)
        self._early: list[tuple[str, list[bytes]]] = []  # sent while it may still register
        self._path = ""
        self._told: dict[str, object] = {}
        self.is_ready = False
        self._closed = False
        self._info = b""
        self._heard_iopub = False
        self._answered_at = 0.0
        self._asked = False
        # Shell and stdin share one identity, or input_request never arrives.
        identity = b"notebook_exec " + os.urandom(8).hex().encode()
        self._sockets: dict[str, Socket] = {}
        for channel in ("iopub", *_REPLYING):
            socket = context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
            socket.linger = 0
            # No limits: libzmq's own thread takes what comes, whatever this one is doing. A
            # kernel whose reader stops drops its output silently.
            socket.rcvhwm = socket.sndhwm = 0
            socket.setsockopt(zmq.RECONNECT_IVL, 10)
            if channel == "iopub":
                socket.setsockopt(zmq.SUBSCRIBE, b"")
            else:
                socket.setsockopt(zmq.IDENTITY, identity)
            self._sockets[channel] = socket
        self._until_stdin: Socket | None = None  # tells when stdin is connected
        self._knocking: Socket | None = None

    def write_connection_file(self, path: str, *, key: str, scheme: str, kernel_name: str) -> None:
        """What the kernel is told: the ports that it is to bind, and where to register others.

        Both, though the protocol has either: who knows nothing of registering binds the ports.
        """
        self._path = path
        self._told = {"transport": "tcp", "ip": HOST, "key": key, "signature_scheme": scheme}
        self._told["kernel_name"] = kernel_name
        self._save(self._registration.fields if self._registration is not None else {})

    def connect(self) -> None:
        """Begin; ``on_ready`` follows when the kernel answers, is heard, and can ask."""
        # What a kernel asks on stdin before that is connected is lost, and its cell waits on it
        # for ever (SPEC P1).
        connected = zmq.Event.HANDSHAKE_SUCCEEDED
        self._until_stdin = self._sockets["stdin"].get_monitor_socket(connected)
        self._reactor.add_reader(self._until_stdin, self._on_stdin_connected)
        for channel in self._sockets:
            self._connect(channel)
        self._ask()

    def send(self, channel: str, frames: list[bytes]) -> None:
        """Send a request; the frames before the delimiter come back with its answers."""
        if self._registration is not None:
            self._early.append((channel, frames))
        self._reactor.send(self._sockets[channel], frames)

    def knock(self) -> None:
        """Wake a kernel that sleeps over what it was sent: one more connection is news to it."""
        self._stop_knocking()
        self._knocking = self._context.socket(zmq.DEALER)
        self._knocking.connect(self._url("shell"))

    def drain(self, limit_s: float) -> None:
        """The process is gone: take what it said last, until nothing more comes."""
        poller = zmq.Poller()
        for socket in self._sockets.values():
            poller.register(socket, zmq.POLLIN)
        for _ in range(int(limit_s * 1000 / _QUIET_MS)):
            if not poller.poll(_QUIET_MS):
                return
            self._read_iopub()
            for channel in _REPLYING:
                self._read(channel)

    def close(self) -> None:
        """May be repeated."""
        if self._closed:
            return
        self._closed = True
        self._register_no_more()
        self._wait_for_stdin_no_more()
        self._stop_knocking()
        self._held.close()
        for socket in self._sockets.values():
            self._reactor.remove_reader(socket)
            socket.close(linger=0)

    def _stop_knocking(self) -> None:
        if self._knocking is not None:
            self._knocking.close(linger=0)
            self._knocking = None

    def _save(self, more: Mapping[str, object]) -> None:
        ports = {f"{name}_port": port for name, port in self.ports.items()}
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags, 0o600), "w") as file:
            json.dump({**ports, **self._told, **more}, file, indent=1)

    def _connect(self, channel: str) -> None:
        socket = self._sockets[channel]
        socket.connect(self._url(channel))
        reader = self._read_iopub if channel == "iopub" else self._reader(channel)
        self._reactor.add_reader(socket, reader)

    def _url(self, channel: str) -> str:
        return f"tcp://{HOST}:{self.ports[channel]}"

    # --- until it is ready ------------------------------------------------------------------

    def _on_registered(self, ports: dict[str, int]) -> None:
        """The kernel bound ``ports``: nobody was at the others to hear what was sent there."""
        early = self._early
        self._register_no_more()
        if ports == self.ports:
            return
        for channel, socket in self._sockets.items():
            socket.disconnect(self._url(channel))
        self._held.close()
        self.ports = ports
        for channel in self._sockets:
            self._connect(channel)
        for channel, frames in early:
            self.send(channel, frames)
        self._save({})  # for who looks into the kernel's own file; last, as a disk may be full

    def _register_no_more(self) -> None:
        self._early = []
        if self._registration is not None:
            self._registration.close()
            self._registration = None

    def _ask(self) -> None:
        """The request waits for the kernel, so once is enough; its status may come too early."""
        if self.is_ready or self._closed:
            return
        if self._info and time.monotonic() > self._answered_at + _READY_LIMIT_S:
            self._finish()  # a kernel that publishes nothing, or never asks, is a kernel too
            return
        if not self._asked or (self._info and not self._heard_iopub):
            self._asked = True
            request = self._signer.ask("kernel_info_request")
            self.send("shell", [HANDSHAKE_IDENTITY, *request])
        self._reactor.call_later(_RETRY_S, self._ask)

    def _look(self) -> None:
        if self.is_ready or self._until_stdin is not None:
            return
        if self._info and self._heard_iopub:
            self._finish()

    def _on_stdin_connected(self) -> None:
        self._wait_for_stdin_no_more()
        self._look()

    def _wait_for_stdin_no_more(self) -> None:
        if self._until_stdin is not None:
            self._reactor.remove_reader(self._until_stdin)
            self._sockets["stdin"].disable_monitor()
            self._until_stdin.close(linger=0)
            self._until_stdin = None

    def _finish(self) -> None:
        self.is_ready = True
        self._register_no_more()
        self._wait_for_stdin_no_more()
        self._on_ready(self._info)

    # --- reading ----------------------------------------------------------------------------

    def _read_iopub(self) -> None:
        socket, hand_on, mark = (
            self._sockets["iopub"],
            self._on_iopub,
            self._signer.session_mark,
        )
        for _ in range(_SLICE_MESSAGES):
            try:
                frames = multipart.receive(socket)
            except zmq.Again:
                break
            try:
                start = frames.index(DELIMITER)
                parent = frames[start + 3]
                frames[start + 5]
            except (ValueError, IndexError):
                continue  # no message
            self._heard_iopub = True
            is_welcome = not self.is_ready and b'"iopub_welcome"' in frames[start + 2]
            if not is_welcome and mark not in parent:  # else it is for the handshake alone
                hand_on(frames, start)
        self._look()

    def _reader(self, channel: str) -> Callable[[], None]:
        return lambda: self._read(channel)

    def _read(self, channel: str) -> None:
        for _ in range(_SLICE_MESSAGES):
            try:
                frames = multipart.receive(self._sockets[channel])
            except zmq.Again:
                return
            message = split(frames)
            if message is None:
                continue
            if message.identities == [HANDSHAKE_IDENTITY]:
                self._answered_at = self._answered_at or time.monotonic()
                self._info = message.content_frame
                self._signer.kernel_session = header(message.header_frame).session
                self._look()
            else:
                self._on_message(channel, message)
