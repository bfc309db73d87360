"""A kernel of bare sockets that answers, or does not, as a test wants; and a manager for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.session import DELIM, Session

KEY = b"secret"
HOST = "tcp://127.0.0.1"


class FakeKernel:
    """Binds its ports when made, iopub not before ``open_iopub``."""

    def __init__(
        self,
        *,
        answers: tuple[str, ...] = ("shell", "control"),
        like: dict[str, Any] | None = None,
    ) -> None:
        """``like``: the connection of a kernel that is gone, whose ports are taken over."""
        self.answers = set(answers)
        self.publishes = True
        self.requests: list[tuple[str, bytes, dict[str, Any]]] = []
        self.session = Session(key=KEY)
        self._told = asyncio.Event()
        self._context = zmq.asyncio.Context()
        self._iopub = self._context.socket(zmq.PUB)  # no welcome
        self._iopub.sndhwm = 0
        self._routers = {
            name: self._context.socket(zmq.ROUTER) for name in ("shell", "control", "stdin")
        }
        self.connection: dict[str, Any] = {
            "transport": "tcp",
            "ip": "127.0.0.1",
            "key": KEY,
            "signature_scheme": "hmac-sha256",
        }
        for name, socket in {**self._routers, "iopub": self._iopub}.items():
            if like is None:
                self.connection[f"{name}_port"] = socket.bind_to_random_port(HOST)
            else:
                socket.bind(f"{HOST}:{like[f'{name}_port']}")
        self.connection.update(like or {})
        self._tasks = [asyncio.create_task(self._serve(name)) for name in self._routers]

    def close_iopub(self) -> None:
        self._iopub.unbind(f"{HOST}:{self.connection['iopub_port']}")

    def open_iopub(self) -> None:
        self._iopub.bind(f"{HOST}:{self.connection['iopub_port']}")

    def close_stdin(self) -> None:
        self._routers["stdin"].unbind(f"{HOST}:{self.connection['stdin_port']}")

    def open_stdin(self) -> None:
        self._routers["stdin"].bind(f"{HOST}:{self.connection['stdin_port']}")

    async def _serve(self, channel: str) -> None:
        while True:
            identity, *frames = await self._routers[channel].recv_multipart()
            request = self.session.deserialize(self.session.feed_identities(frames)[1])
            self.requests.append((channel, identity, request))
            self._told.set()
            if request["msg_type"] == "kernel_info_request" and channel in self.answers:
                await self.answer(channel, identity, request)

    async def answer(self, channel: str, identity: bytes, request: dict[str, Any]) -> None:
        if self.publishes:
            await self.publish("status", {"execution_state": "busy"}, request)
        await self.send(channel, identity, "kernel_info_reply", {"status": "ok"}, request)
        if self.publishes:
            await self.publish("status", {"execution_state": "idle"}, request)

    async def publish(
        self, msg_type: str, content: dict[str, Any], parent: dict[str, Any] | None = None
    ) -> None:
        await self._iopub.send_multipart(self.frames(msg_type, content, parent))

    async def publish_frames(self, frames: list[bytes]) -> None:
        await self._iopub.send_multipart(frames)

    async def send(
        self,
        channel: str,
        identity: bytes,
        msg_type: str,
        content: dict[str, Any],
        parent: dict[str, Any],
    ) -> None:
        await self._routers[channel].send_multipart(
            [identity, *self.frames(msg_type, content, parent)]
        )

    def frames(
        self, msg_type: str, content: dict[str, Any], parent: dict[str, Any] | None = None
    ) -> list[bytes]:
        return self.session.serialize(self.session.msg(msg_type, content, parent))

    def signed(self, *parts: bytes) -> list[bytes]:
        """Frames with a right signature, whatever they hold."""
        return [DELIM, self.session.sign(list(parts)), *parts]

    async def request(self, msg_type: str, times: int = 1) -> tuple[str, bytes, dict[str, Any]]:
        """The request number ``times`` of that type, as soon as it came."""
        while len(found := [r for r in self.requests if r[2]["msg_type"] == msg_type]) < times:
            self._told.clear()
            await asyncio.wait_for(self._told.wait(), 30)
        return found[times - 1]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._context.destroy(linger=0)


class FakeProvisioner:
    """A process that ends when it is told to."""

    def __init__(self) -> None:
        self.has_process = True
        self.code: int | None = None

    async def poll(self) -> int | None:
        return self.code


class FakeManager:
    """The manager of one kernel, all in the hands of a test."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self.connection = connection
        self.autorestart = False
        self.shutting_down = False
        self.owns_kernel = True
        self.kernel_spec = None
        self.last_activity = datetime.now(timezone.utc)
        self.session = Session()
        self.provisioner = FakeProvisioner()
        self.restart_with: Callable[[], Awaitable[None]] | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def started(self) -> None:
        self.ready.set_result(None)

    def replaced(self) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self.ready.set_result(None)

    def get_connection_info(self) -> dict[str, Any]:
        return self.connection

    def add_restart_callback(self, callback: Callable[[], None], event: str = "restart") -> None:
        pass

    def remove_restart_callback(self, callback: Callable[[], None], event: str = "restart") -> None:
        pass


class FakeManagers:
    """The managers of some kernels; what is done to them is noted, and may fail."""

    def __init__(self, **kernels: FakeManager) -> None:
        self.kernels = kernels
        self.done: list[tuple[str, str]] = []
        self.during: Callable[[], Awaitable[None]] | None = None

    def __contains__(self, kernel_id: str) -> bool:
        return kernel_id in self.kernels

    def get_kernel(self, kernel_id: str) -> FakeManager:
        return self.kernels[kernel_id]

    async def interrupt_kernel(self, kernel_id: str) -> None:
        await self._do("interrupt", kernel_id)

    async def restart_kernel(self, kernel_id: str, now: bool = False) -> None:
        await self._do("restart", kernel_id)

    async def shutdown_kernel(self, kernel_id: str, now: bool = False) -> None:
        await self._do("shutdown", kernel_id)

    async def _do(self, action: str, kernel_id: str) -> None:
        self.done.append((action, kernel_id))
        if self.during is not None:
            await self.during()
