"""Real kernels under jupyter_server's managers, and the links to them that must behave alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from notebook_exec.core.model import DeathReport, ExecutionId, KernelId, KernelMessage
from notebook_exec.kernels.actions import KernelActions
from notebook_exec.kernels.link import Link, LinkListener, Question
from notebook_exec.kernels.zmq_link import ZmqLink

TIMEOUT_S = 60.0

LinkFactory = Callable[[KernelId, KernelActions, LinkListener], Link]
FACTORIES: dict[str, LinkFactory] = {"zmq": ZmqLink}


class Recorder:
    """A ``LinkListener`` that notes all it is told, in order, and can be waited on."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.messages: list[KernelMessage] = []
        self.batches: list[int] = []
        self.on_batch: Callable[[Sequence[KernelMessage]], None] = lambda messages: None
        self._told = asyncio.Event()

    def on_ready(self) -> None:
        self._note("ready")

    def on_messages(self, messages: Sequence[KernelMessage]) -> None:
        self.on_batch(messages)
        self.batches.append(len(messages))
        self.messages += messages
        self.events += [("message", message) for message in messages]
        self._told.set()

    def on_caught_up(self, requests: Collection[str], question: Question | None) -> None:
        self._note("caught_up", list(requests), question)

    def on_died(self, report: DeathReport, restarting: bool) -> None:
        self._note("died", report, restarting)

    async def before_action(self) -> None:
        return None

    def on_restarting(self) -> None:
        self._note("restarting")

    def on_interrupted(self) -> None:
        self._note("interrupted")

    def on_shut_down(self) -> None:
        self._note("shut_down")

    def _note(self, *event: Any) -> None:
        self.events.append(event)
        self._told.set()

    @property
    def told(self) -> list[str]:
        """What was told, messages left out."""
        return [event[0] for event in self.events if event[0] != "message"]

    async def until(self, condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
        """Wait until ``condition`` is true, and return what it returned."""

        async def wait() -> Any:
            while not (result := condition()):
                self._told.clear()
                await self._told.wait()
            return result

        return await asyncio.wait_for(wait(), timeout_s)

    async def count(self, event: str, times: int = 1) -> None:
        await self.until(lambda: self.told.count(event) >= times)

    def of(self, execution_id: str, msg_type: str | None = None) -> list[KernelMessage]:
        return [
            message
            for message in self.messages
            if message.parent_id == execution_id and msg_type in (None, message.msg_type)
        ]

    def text(self, execution_id: str) -> str:
        return "".join(message.content["text"] for message in self.of(execution_id, "stream"))

    def is_idle(self, execution_id: str) -> bool:
        return any(
            message.content["execution_state"] == "idle"
            for message in self.of(execution_id, "status")
        )

    async def done(self, execution_id: str) -> KernelMessage:
        """The reply of ``execution_id``, once its idle is in too."""
        reply = await self.until(
            lambda: self.is_idle(execution_id) and self.of(execution_id, "execute_reply")
        )
        return reply[0]


class Bench:
    """A manager of kernels, and the links made to them."""

    def __init__(self, managers: AsyncMappingKernelManager, env: dict[str, str]) -> None:
        self.managers = managers
        self.actions = KernelActions(managers)
        self._env = env
        self._links: list[Link] = []

    async def start(self, name: str | None = None) -> KernelId:
        return KernelId(await self.managers.start_kernel(kernel_name=name, env=self._env))

    async def open(self, kernel_id: KernelId, factory: LinkFactory) -> tuple[Link, Recorder]:
        recorder = Recorder()
        link = factory(kernel_id, self.actions, recorder)
        self._links.append(link)
        await link.open()
        return link, recorder

    async def ready(self, kernel_id: KernelId, factory: LinkFactory) -> tuple[Link, Recorder]:
        link, recorder = await self.open(kernel_id, factory)
        await recorder.count("ready")
        return link, recorder

    async def close(self) -> None:
        for link in self._links:
            await link.close()
        self.actions.close()
        for kernel_id in self.managers.list_kernel_ids():
            await self.managers.shutdown_kernel(kernel_id, now=True)
        self.managers.context.destroy(linger=0)


def run(link: Link, execution_id: str, source: str, *, allow_stdin: bool = False) -> None:
    """Execute without the fuss."""
    link.execute(ExecutionId(execution_id), source, allow_stdin=allow_stdin)


BROKEN_SPEC = '{"argv": ["%s", "-c", "raise SystemExit(3)"], "display_name": "b", "language": "b"}'
