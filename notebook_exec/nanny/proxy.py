"""Between the clients and the kernel: who gets what, and what is said for a kernel that cannot."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import zmq

from notebook_exec import multipart
from notebook_exec.core.knock import Knocker
from notebook_exec.nanny.back import Back
from notebook_exec.nanny.front import Front
from notebook_exec.nanny.jupyter import Header, Message, Signer, content, header, split
from notebook_exec.nanny.reactor import Reactor
from notebook_exec.nanny.successor import Successor

LINK_IDENTITY = b"\0notebook_exec link"
_SLICE_MESSAGES = 100
_LONGEST_STATUS = 64  # bytes of a status message's content


# What a message is for the server, and so how soon it is to have it.
OUTPUT = 0  # at once; of much output, a few milliseconds may be gathered
TURN = 1  # at once: the kernel is idle, or asks something
PRELUDE = 2  # something follows that tells more: with that, or in a few milliseconds


class ProxyOwner(Protocol):
    """Who keeps the journal and the kernel's process."""

    def record(self, channel: str, frames: list[bytes], kind: int) -> None:
        """The server is to have this message, delimiter first."""

    def interrupt(self, session: str) -> bool:
        """A client asks for an interrupt; whether it was done by a signal."""

    def answered(self, request: str, prompt: str, value: str | None) -> None:
        """The server's answer to a question is on its way; None is a password."""

    def go_on(self, request_id: str, frames: list[bytes]) -> None:
        """What the server's request was to be followed by is due."""


class _Request(NamedTuple):
    """What was sent to the kernel and not answered yet."""

    channel: str
    identities: list[bytes]
    header_frame: bytes
    msg_type: str


def _answers(reply: Message, question: Message) -> bool:
    return header(reply.parent_frame).msg_id == header(question.header_frame).msg_id


class Proxy:
    """Forwards. The kernel's process may come and go (``use``, ``drop``), clients stay."""

    def __init__(self, front: Front, reactor: Reactor, signer: Signer, owner: ProxyOwner) -> None:
        self._front = front
        self._reactor = reactor
        self._signer = signer
        self._owner = owner
        self._back: Back | None = None
        self._info = b""
        self._open: dict[str, _Request] = {}
        self._waiting: deque[Message] = deque()  # of the link, until the kernel is ready
        self._question: Message | None = None  # to the link, not answered yet
        self._successor = Successor(owner.go_on)
        self._spoken = b""  # the header of the request that spoke to a comm last
        self._knocker = Knocker(reactor.call_later, self._knock)
        sockets = front.sockets
        reactor.add_reader(sockets["iopub"], self._on_subscription)
        reactor.add_reader(sockets["control"], self._reader("control", self._on_control))
        reactor.add_reader(sockets["stdin"], self._reader("stdin", self._on_stdin))
        reactor.add_reader(sockets["hb"], self._on_heartbeat)

    @property
    def is_busy(self) -> bool:
        """Whether the kernel has a request that it did not answer."""
        return self._running() is not None

    def of_server(self) -> dict[str, Any]:
        """What the kernel owes the server, and the server the kernel: for one that comes anew."""
        asked = [m for m, r in self._open.items() if r.identities == [LINK_IDENTITY]]
        asked += [header(message.header_frame).msg_id for message in self._waiting]
        question = None
        if self._question is not None:
            question = {
                "request": header(self._question.parent_frame).msg_id,
                "header": self._question.header_frame.decode("utf-8", "replace"),
                "content": self._question.content_frame.decode("utf-8", "replace"),
            }
        return {"requests": asked, "question": question}

    # --- the kernel's process ---------------------------------------------------------------

    def use(self, back: Back) -> None:
        """There is a process. Clients' requests wait until it is ready."""
        self._back = back
        self._info = b""

    def ready(self, info: bytes) -> None:
        """The kernel answers: hand it what waited. ``info``: its kernel_info_reply."""
        self._info = info
        self._reactor.add_reader(
            self._front.sockets["shell"], self._reader("shell", self._on_shell)
        )
        while self._waiting:
            self._forward("shell", self._waiting.popleft())

    def drop(self) -> None:
        """The process is gone, with all it was asked (K2): nobody is to wait for ever."""
        self._back = None
        self._question = None
        self._successor.drop()
        self._waiting.clear()
        self._reactor.remove_reader(self._front.sockets["shell"])
        self._knocker.forget()
        swallowed, self._open = self._open, {}
        for request in swallowed.values():
            if request.identities != [LINK_IDENTITY]:  # the server is told of the death itself
                self._abort(request)
            self._publish_status("idle", request.header_frame)

    # --- from the kernel --------------------------------------------------------------------

    def on_iopub(self, frames: list[bytes], start: int) -> None:
        """The hot path: nothing is parsed. The delimiter is at ``start``."""
        self._front.publish(frames)
        content = frames[start + 5]
        kind, idle_after = OUTPUT, ""
        if len(content) < _LONGEST_STATUS and b'"execution_state"' in content:
            kind = PRELUDE
            if b'"idle"' in content:
                kind = TURN
                # Kernels do not reply to what they do not know, but they are idle after it.
                idle_after = header(frames[start + 3]).msg_id
                self._open.pop(idle_after, None)
            elif b'"busy"' in content:
                self._knocker.heard(header(frames[start + 3]).msg_id)
        elif b'"execute_input"' in frames[start + 2]:
            kind = PRELUDE
        elif b'"comm_' in frames[start + 2]:
            self._spoken = frames[start + 3]
            self._successor.drop()  # the server may have to tell a widget something first (O12)
        self._owner.record("iopub", frames[start:], kind)
        if idle_after:
            self._successor.on_idle(idle_after)

    def on_message(self, channel: str, message: Message) -> None:
        """A reply, or a request for input: to who asked."""
        request = ""
        if channel != "stdin":
            request = header(message.parent_frame).msg_id
            self._open.pop(request, None)
            self._knocker.heard(request)
            question = self._question
            if question is not None and header(question.parent_frame).msg_id == request:
                self._question = None  # what asked has ended
        elif message.identities == [LINK_IDENTITY]:
            self._question = message
        self._to_client(channel, message.identities, message.frames)
        if request and request == self._successor.after:
            self._successor.on_reply(request, content(message).get("status"))

    # --- from the server --------------------------------------------------------------------

    def request(self, channel: str, frames: list[bytes]) -> None:
        """A message of the link. Lost if there is no process."""
        message = split([LINK_IDENTITY, *frames])
        if message is None or self._back is None:
            return
        if channel == "stdin":
            self._note_answer(message)
        if channel == "shell" and not self._back.is_ready:
            self._waiting.append(message)
        else:
            self._forward(channel, message)

    def hold(self, after: str, request_id: str, frames: list[bytes]) -> None:
        """A shell request of the link for when the kernel has done ``after``, another one, well.

        If ``after`` is over already, the server knows, or will soon, and decides.
        """
        if after in self._open and header(self._spoken).msg_id != after:
            self._successor.hold(after, request_id, frames)

    def withdraw(self, request_id: str | None = None) -> None:
        """What is held, or only ``request_id``, waits for the server's own word."""
        if request_id is None or request_id == self._successor.request_id:
            self._successor.drop()

    def _note_answer(self, reply: Message) -> None:
        """With its place among the outputs, so that the server shows it there, and once."""
        question, self._question = self._question, None
        if question is None or not _answers(reply, question):
            return  # what it answers is not known: it may be a password
        asked, value = content(question), content(reply).get("value")
        is_secret = asked.get("password") is True or not isinstance(value, str)
        self._owner.answered(
            header(question.parent_frame).msg_id,
            str(asked.get("prompt") or ""),
            None if is_secret else value,
        )

    # --- from the clients -------------------------------------------------------------------

    def _reader(self, channel: str, handle: Callable[[Message], None]) -> Callable[[], None]:
        socket = self._front.sockets[channel]

        def read() -> None:
            for _ in range(_SLICE_MESSAGES):
                try:
                    message = split(multipart.receive(socket))
                except zmq.Again:
                    return
                if message is not None and self._signer.is_signed(message.frames):
                    handle(message)

        return read

    def _on_shell(self, message: Message) -> None:
        running = self._running() if self._info else None
        if running is not None:
            asked = header(message.header_frame)
            if asked.msg_type == "kernel_info_request":
                self._tell_info(message, running)
                return
        self._forward("shell", message)

    def _on_control(self, message: Message) -> None:
        asked = header(message.header_frame)
        if asked.msg_type == "interrupt_request" and self._owner.interrupt(asked.session):
            self._publish_status("busy", message.header_frame)
            self._reply("control", message, "interrupt_reply", {"status": "ok"})
            self._publish_status("idle", message.header_frame)
        elif self._back is None:
            # Not kept for the next process: a shutdown_request would end it.
            self._abort(self._as_request("control", message, asked))
        else:
            self._forward("control", message, asked)

    def _on_stdin(self, message: Message) -> None:
        if self._back is not None:
            self._forward("stdin", message)

    def _on_heartbeat(self) -> None:
        socket = self._front.sockets["hb"]
        for _ in range(_SLICE_MESSAGES):
            try:
                frames = multipart.receive(socket)
            except zmq.Again:
                return
            if self._back is not None:
                self._front.send("hb", frames)

    def _on_subscription(self) -> None:
        """Tell who subscribes that it is heard from now on (JEP 65), and if the kernel is busy."""
        socket = self._front.sockets["iopub"]
        for _ in range(_SLICE_MESSAGES):
            try:
                event = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if event[:1] == b"\x01":
                topic = event[1:]
                content = {"subscription": topic.decode("utf-8", "replace")}
                self._front.publish([topic, *self._signer.build("iopub_welcome", content)])
                if running := self._running():  # who comes now would hear when that is over
                    self._publish_status("busy", running.header_frame)

    def _forward(self, channel: str, message: Message, asked: Header | None = None) -> None:
        if self._back is None:
            return
        if channel != "stdin":
            asked = asked or header(message.header_frame)
            if asked.msg_type.endswith("_request"):  # comm messages are never answered
                self._open[asked.msg_id] = self._as_request(channel, message, asked)
                if channel == "shell":
                    self._knocker.sent(asked.msg_id)
        self._back.send(channel, [*message.identities, *message.frames])

    def _knock(self) -> None:
        if self._back is not None:
            self._back.knock()

    # --- to the clients ---------------------------------------------------------------------

    def _to_client(self, channel: str, identities: list[bytes], frames: list[bytes]) -> None:
        if identities == [LINK_IDENTITY]:
            self._owner.record(channel, frames, TURN if channel == "stdin" else PRELUDE)
        elif identities:
            self._front.send(channel, [*identities, *frames])

    def _tell_info(self, message: Message, running: _Request) -> None:
        """Answer for a kernel that is busy; and leave everyone with the truth, that it is."""
        self._publish_status("busy", message.header_frame)
        frames = self._signer.build("kernel_info_reply", self._info, message.header_frame)
        self._to_client("shell", message.identities, frames)
        self._publish_status("idle", message.header_frame)
        self._publish_status("busy", running.header_frame)

    def _running(self) -> _Request | None:
        return next((r for r in self._open.values() if r.channel == "shell"), None)

    def _abort(self, request: _Request) -> None:
        msg_type = request.msg_type.removesuffix("_request") + "_reply"
        frames = self._signer.build(msg_type, {"status": "aborted"}, request.header_frame)
        self._to_client(request.channel, request.identities, frames)

    def _reply(
        self, channel: str, message: Message, msg_type: str, content: dict[str, object]
    ) -> None:
        frames = self._signer.build(msg_type, content, message.header_frame)
        self._to_client(channel, message.identities, frames)

    def _publish_status(self, state: str, parent: bytes) -> None:
        frames = self._signer.build("status", {"execution_state": state}, parent)
        self._front.publish([b"status", *frames])

    def _as_request(self, channel: str, message: Message, asked: Header) -> _Request:
        return _Request(channel, message.identities, message.header_frame, asked.msg_type)
