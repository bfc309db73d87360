"""A link whose kernel says what the test makes it say, and a host of such kernels."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from notebook_exec.core.model import (
    DeathReport,
    ExecutionId,
    InvalidInput,
    Json,
    KernelId,
    KernelMessage,
    KernelStartError,
)
from notebook_exec.kernels.link import Link, LinkListener
from notebook_exec.kernels.messages import answer_told

DATE = "2026-01-01T00:00:00.000000Z"


@dataclass(frozen=True)
class Sent:
    """An execute_request as the engine sent it."""

    id: ExecutionId
    source: str
    options: dict[str, Any]


class FakeLink:
    """One kernel in the hands of a test; the tests in tests/process run the same on real ones."""

    def __init__(self, kernel_id: KernelId, listener: LinkListener) -> None:
        self.kernel_id = kernel_id
        self.looks_ahead = True
        self.listener = listener
        self.count = 0
        self.sent: list[Sent] = []
        self.ahead: dict[ExecutionId, ExecutionId] = {}
        self.withdrawn: list[ExecutionId] = []
        self.may_withdraw: asyncio.Event | None = None
        self.answers: list[tuple[ExecutionId, str]] = []
        self.comms: list[tuple[str, dict[str, Json]]] = []
        self.interrupts = 0
        self.restarts = 0
        self._asked = ("", False)
        self.is_closed = False
        self.is_ready_at_once = True
        self.delivers_answers = True
        self.open_error: KernelStartError | None = None
        self._told = asyncio.Event()

    # --- what the engine does -----------------------------------------------------------------

    async def open(self) -> None:
        if self.open_error is not None:
            raise self.open_error
        if self.is_ready_at_once:
            asyncio.get_running_loop().call_soon(self.listener.on_ready)

    def execute(
        self,
        execution_id: ExecutionId,
        source: str,
        *,
        allow_stdin: bool,
        store_history: bool = True,
        silent: bool = False,
        stop_on_error: bool = True,
        cell_id: str | None = None,
        after: ExecutionId | None = None,
    ) -> None:
        if after is not None:
            self.ahead[execution_id] = after
            return
        options = {
            "allow_stdin": allow_stdin,
            "store_history": store_history,
            "stop_on_error": stop_on_error,
            "cell_id": cell_id,
        }
        self.sent.append(Sent(execution_id, source, options))
        self._told.set()

    async def withdraw(self, execution_id: ExecutionId) -> None:
        self.withdrawn.append(execution_id)
        self._told.set()
        if self.may_withdraw is not None:
            await self.may_withdraw.wait()

    def answer_input(self, execution_id: ExecutionId, value: str) -> None:
        self.answers.append((execution_id, value))
        if self.delivers_answers:
            prompt, password = self._asked
            shown = None if password else value
            self.listener.on_messages([answer_told(execution_id, prompt, shown)])

    def send_comm(self, comm_id: str, data: dict[str, Json]) -> None:
        self.comms.append((comm_id, data))

    def ack(self, position: int) -> None:
        return None

    async def interrupt(self) -> None:
        self.interrupts += 1
        self._told.set()

    async def restart(self) -> None:
        self.restarts += 1
        self.listener.on_restarting()
        asyncio.get_running_loop().call_soon(self.listener.on_ready)

    async def close(self) -> None:
        self.is_closed = True

    async def request(self, index: int) -> Sent:
        """The execute_request number ``index``, as soon as it was sent."""
        await self.until(lambda: len(self.sent) > index)
        return self.sent[index]

    async def until(self, condition: Any) -> None:
        while not condition():
            self._told.clear()
            await asyncio.wait_for(self._told.wait(), 20)

    # --- what the kernel says -----------------------------------------------------------------

    def say(
        self,
        msg_type: str,
        parent: str,
        content: dict[str, Json],
        *,
        channel: str = "iopub",
        metadata: dict[str, Json] | None = None,
        buffers: tuple[bytes, ...] = (),
        date: str = DATE,
    ) -> None:
        message = KernelMessage(
            channel, msg_type, parent, content, metadata or {}, date, buffers=buffers
        )
        self.listener.on_messages([message])

    def begin(self, sent: Sent) -> None:
        """It works on a request."""
        self.count += 1
        self.say("status", sent.id, {"execution_state": "busy"})
        content = {"code": sent.source, "execution_count": self.count}
        self.say("execute_input", sent.id, content)

    def print(self, sent: Sent, text: str, name: str = "stdout") -> None:
        self.say("stream", sent.id, {"name": name, "text": text})

    def ask(self, sent: Sent, prompt: str, *, password: bool = False) -> None:
        self._asked = (prompt, password)
        content = {"prompt": prompt, "password": password}
        self.say("input_request", sent.id, content, channel="stdin")

    def reply(self, sent: Sent, *, payload: list[dict[str, Json]] | None = None) -> None:
        content = {
            "status": "ok",
            "execution_count": self.count,
            "user_expressions": {},
            "payload": payload or [],
        }
        self.say("execute_reply", sent.id, content, channel="shell", metadata={"started": DATE})

    def fail(self, sent: Sent, ename: str = "ValueError", evalue: str = "bad") -> None:
        """It ends with an error."""
        error = {"ename": ename, "evalue": evalue, "traceback": [f"{ename}: {evalue}"]}
        self.say("error", sent.id, dict(error))
        content = {**error, "status": "error", "execution_count": self.count}
        self.say("execute_reply", sent.id, content, channel="shell", metadata={"started": DATE})
        self.idle(sent)

    def idle(self, sent: Sent) -> None:
        self.say("status", sent.id, {"execution_state": "idle"})

    def finish(self, sent: Sent) -> None:
        """It ends well."""
        self.reply(sent)
        self.idle(sent)

    def run(self, sent: Sent, text: str = "") -> None:
        """All of a run that prints ``text``."""
        self.begin(sent)
        if text:
            self.print(sent, text)
        self.finish(sent)

    def die(self, *, restarting: bool = False) -> None:
        report = DeathReport(signal="SIGKILL", log_tail="last words")
        self.listener.on_died(report, restarting)


class FakeHost:
    """Kernels and sessions as a server has them, without one."""

    def __init__(self) -> None:
        self.links: dict[KernelId, FakeLink] = {}
        self.running: set[KernelId] = set()
        self.sessions: dict[str, KernelId] = {}
        self.active: set[KernelId] = set()
        self.started: list[tuple[str, str | None]] = []
        self.may_start: asyncio.Event | None = None
        self.start_error: KernelStartError | None = None
        self.is_ready_at_once = True
        self.delivers_answers = True

    def add(self, kernel_id: str, *paths: str) -> KernelId:
        """A kernel that runs already."""
        known = KernelId(kernel_id)
        self.running.add(known)
        for path in paths:
            self.sessions[path] = known
        return known

    def has(self, kernel_id: KernelId) -> bool:
        return kernel_id in self.running

    async def kernel_of(self, path: str) -> KernelId | None:
        await asyncio.sleep(0)  # as a database is asked
        return self.sessions.get(path)

    def check_name(self, name: str) -> None:
        if name != "python3":
            raise InvalidInput("no such kernelspec", field="kernel.name")

    async def start(self, kernel_id: KernelId, path: str, name: str | None) -> None:
        self.started.append((path, name))
        if self.may_start is not None:
            await self.may_start.wait()
        if self.start_error is not None:
            raise self.start_error
        self.add(kernel_id, path)

    def connect(
        self, kernel_id: KernelId, listener: LinkListener, position: int | None = None
    ) -> Link:
        link = FakeLink(kernel_id, listener)
        link.is_ready_at_once = self.is_ready_at_once
        self.links[kernel_id] = link
        return link

    def hold_active(self, kernel_id: KernelId) -> None:
        self.active.add(kernel_id)

    def release_active(self, kernel_id: KernelId) -> None:
        self.active.discard(kernel_id)
