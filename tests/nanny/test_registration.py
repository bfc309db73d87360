"""A kernel that binds ports by itself and registers them (JEP 66), in one loop with the nanny."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from notebook_exec.kernels.provisioner import can_register
from notebook_exec.nanny.back import Back
from notebook_exec.nanny.config import CHANNELS
from notebook_exec.nanny.jupyter import DELIMITER, Message, Signer, header, split
from notebook_exec.nanny.reactor import Reactor

Socket = zmq.Socket[bytes]
SIGNER = Signer(b"the key", "hmac-sha256")
FORGER = Signer(b"another", "hmac-sha256")
LIMIT_S = 10.0


class Kernel:
    """What a kernel does that knows the protocol's handshake, and as little of the rest as goes."""

    def __init__(self, context: zmq.Context[Socket], reactor: Reactor, path: Path) -> None:
        self.told: dict[str, Any] = json.loads(path.read_text())
        self.ports: dict[str, int] = {}
        self.heard: list[str] = []
        self.registration: Socket = context.socket(zmq.DEALER)
        self.sockets: dict[str, Socket] = {
            name: context.socket(zmq.PUB if name == "iopub" else zmq.ROUTER) for name in CHANNELS
        }
        for name, socket in self.sockets.items():
            self.ports[name] = socket.bind_to_random_port("tcp://127.0.0.1")
            if name != "iopub":
                reactor.add_reader(socket, self._reader(socket))
        where = f"tcp://{self.told['registration_ip']}:{self.told['registration_port']}"
        self.registration.connect(where)

    def content(self, **changed: object) -> bytes:
        ports = {f"{name}_port": str(port) for name, port in self.ports.items()}
        return json.dumps({"kernel_id": self.told["kernel_id"], **ports, **changed}).encode()

    def register(self, content: bytes, signer: Signer = SIGNER) -> None:
        self.registration.send_multipart([DELIMITER, signer.sign([content]), content])

    def close(self) -> None:
        for socket in (self.registration, *self.sockets.values()):
            socket.close(linger=0)

    def _reader(self, socket: Socket) -> Callable[[], None]:
        def read() -> None:
            while socket.poll(0):
                message = split(socket.recv_multipart())
                assert message is not None
                asked = header(message.header_frame).msg_type
                self.heard.append(asked)
                status = SIGNER.build("status", {"execution_state": "idle"}, message.header_frame)
                self.sockets["iopub"].send_multipart([b"status", *status])
                reply = SIGNER.build(asked.replace("_request", "_reply"), {}, message.header_frame)
                socket.send_multipart([*message.identities, *reply])

        return read


class World:
    """The nanny's sockets to a kernel, and the loop in which both live."""

    def __init__(self, folder: Path) -> None:
        self.context: zmq.Context[Socket] = zmq.Context()
        self.reactor = Reactor()
        self.replies: list[str] = []
        self.back = Back(
            self.context,
            self.reactor,
            SIGNER,
            on_iopub=lambda frames, start: None,
            on_message=self._on_message,
            on_ready=lambda info: None,
            registers=True,
        )
        self.path = folder / "kernel.json"
        self.back.write_connection_file(
            str(self.path), key="the key", scheme="hmac-sha256", kernel_name="k"
        )
        self.offered = dict(self.back.ports)
        self.kernel = Kernel(self.context, self.reactor, self.path)
        self.back.connect()
        self.reactor.call_later(LIMIT_S, self.reactor.stop)

    def run_until(self, condition: Callable[[], object]) -> None:
        def look() -> None:
            if condition():
                self.reactor.stop()

        self.reactor.run(look)
        assert condition()

    def close(self) -> None:
        self.back.close()
        self.kernel.close()
        self.context.term()

    def _on_message(self, channel: str, message: Message) -> None:
        self.replies.append(f"{channel} {header(message.header_frame).msg_type}")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_k8_what_the_kernel_registers_is_connected_to(world: World) -> None:
    """K8: its own ports, also for what was sent before it had any; its file names them then."""
    kernel, back = world.kernel, world.back
    assert [kernel.told[f"{name}_port"] for name in CHANNELS] == list(world.offered.values())
    back.send("control", SIGNER.build("usage_request", {}))
    kernel.register(kernel.content())
    world.run_until(lambda: back.is_ready and world.replies)
    assert back.ports == kernel.ports
    assert world.replies == ["control usage_reply"]
    assert sorted(kernel.heard) == ["kernel_info_request", "usage_request"]
    (signature, ack) = kernel.registration.recv_multipart()[1:]
    assert SIGNER.is_signature(signature, [ack])
    told = json.loads(world.path.read_text())
    assert {name: told[f"{name}_port"] for name in CHANNELS} == kernel.ports
    assert "registration_port" not in told
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o600


def test_s3_only_the_kernel_can_register(world: World) -> None:
    """S3: what is not signed, of another process, or no registration is dropped unanswered."""
    kernel = world.kernel
    kernel.register(kernel.content(shell_port="1"), FORGER)
    kernel.register(kernel.content(kernel_id="of an earlier process", shell_port="2"))
    for wrong in ("0", "65536", "many", None):
        kernel.register(kernel.content(shell_port=wrong))
    for content in (b"", b"[]", b"{}", b"[" * 100_000):
        kernel.register(content)
    kernel.registration.send_multipart([DELIMITER])
    kernel.registration.send(b"hello")
    kernel.register(kernel.content())
    world.run_until(lambda: world.back.is_ready)
    assert world.back.ports == kernel.ports
    kernel.registration.recv_multipart()
    assert not kernel.registration.poll(0)


def test_k9_ports_that_were_offered_may_be_registered(world: World) -> None:
    """K9: nothing is sent twice to a kernel that binds the given ports and registers them."""
    kernel = world.kernel
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere the ports are not held")
    for name, socket in kernel.sockets.items():
        socket.bind(f"tcp://127.0.0.1:{world.offered[name]}")
    kernel.ports = world.offered
    world.back.send("control", [b"me", *SIGNER.ask("interrupt_request")])
    kernel.register(kernel.content())
    world.run_until(lambda: world.back.is_ready)
    assert world.back.ports == world.offered
    world.back.send("control", [b"me", *SIGNER.ask("debug_request")])
    world.run_until(lambda: "control debug_reply" in world.replies)
    # What asks for the kernel's information may do so again, until its output is heard.
    asked = [msg_type for msg_type in kernel.heard if msg_type != "kernel_info_request"]
    assert asked == ["interrupt_request", "debug_request"]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [("", False), ("5.5", False), ("5.6", True), ("5.10", True), ("6", True), ("new", False)],
)
def test_k9_who_is_asked_to_register(declared: str, expected: bool) -> None:
    """K9: ipykernel declares 5.5 and does not register; protocol 5.6 is the one that has it."""
    assert can_register(declared) is expected
