"""A link over a long way: what is said takes as long as the test wants, in both directions."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from fake_link import FakeLink, Sent

from notebook_exec.core.model import ExecutionId, KernelId
from notebook_exec.kernels.link import LinkListener
from notebook_exec.nanny.successor import Successor


class DistantLink(FakeLink):
    """A nanny, with the real ``Successor``, and a kernel that does one thing at each ``step``."""

    def __init__(self, kernel_id: KernelId, listener: LinkListener, rng: random.Random) -> None:
        super().__init__(kernel_id, listener)
        self.rng = rng
        self.ran: Counter[ExecutionId] = Counter()
        self._there: deque[Callable[[], None]] = deque()  # on the way to the nanny
        self._back: deque[Callable[[], None]] = deque()  # on the way from it
        self._requests: dict[ExecutionId, Sent] = {}  # that the nanny has forwarded
        self._known: dict[ExecutionId, Sent] = {}
        self._successor = Successor(self._go_on)
        self._queue: deque[Sent] = deque()  # in the kernel
        self._current: Sent | None = None
        self._interrupted = False

    @property
    def is_quiet(self) -> bool:
        return not (self._there or self._back or self._queue or self._current)

    # --- what the engine does -----------------------------------------------------------------

    def execute(self, execution_id: ExecutionId, source: str, **options: Any) -> None:
        after = options.pop("after", None)
        sent = self._known.setdefault(execution_id, Sent(execution_id, source, options))
        if after is None:
            self._there.append(lambda: self._request(sent))
        else:
            self._there.append(lambda: self._hold(after, sent))

    async def withdraw(self, execution_id: ExecutionId) -> None:
        await self._command(self._successor.drop)

    async def interrupt(self) -> None:
        await self._command(self._signal)

    async def _command(self, work: Callable[[], None]) -> None:
        """Done here when all that was said before it was done there has come."""
        done = asyncio.get_running_loop().create_future()

        def answer() -> None:
            if not done.done():
                done.set_result(None)

        def perform() -> None:
            work()
            self._back.append(answer)

        self._there.append(perform)
        await done

    # --- what happens meanwhile ---------------------------------------------------------------

    def step(self) -> None:
        """Something arrives somewhere, or the kernel goes on."""
        steps: list[Callable[[], None]] = []
        if self._there:
            steps.append(self._arrive_there)
        if self._back:
            steps.append(self._arrive_here)
        if self._queue or self._current:
            steps.append(self._work)
        if steps:
            self.rng.choice(steps)()

    def _arrive_there(self) -> None:
        self._there.popleft()()

    def _arrive_here(self) -> None:
        self._back.popleft()()

    def _hold(self, after: ExecutionId, sent: Sent) -> None:
        is_open = self._current is not None and self._current.id == after
        is_open = is_open or any(queued.id == after for queued in self._queue)
        if sent.id not in self._requests and is_open:
            self._successor.hold(after, sent.id, [])

    def _go_on(self, request_id: str, frames: list[bytes]) -> None:
        self._forward(self._known[ExecutionId(request_id)])

    def _request(self, sent: Sent) -> None:
        if sent.id == self._successor.request_id:
            self._successor.drop()
        if sent.id not in self._requests:
            self._forward(sent)

    def _forward(self, sent: Sent) -> None:
        assert not self._queue and self._current is None, "one at a time (Q2)"
        self._requests[sent.id] = sent
        self._queue.append(sent)

    def _signal(self) -> None:
        self._successor.drop()
        self._interrupted = self._current is not None

    def _work(self) -> None:
        if self._current is None:
            self._current = sent = self._queue.popleft()
            self.ran[sent.id] += 1
            self._back.append(lambda: self.begin(sent))
            return
        sent, self._current = self._current, None
        interrupted, self._interrupted = self._interrupted, False
        if interrupted or sent.source.startswith("raise"):
            name = "KeyboardInterrupt" if interrupted else "ValueError"
            self._back.append(lambda: self.fail(sent, name))
            self._successor.on_reply(sent.id, "error")
            self._successor.on_idle(sent.id)
        else:
            self._back.append(lambda: self.finish(sent))
            ends = [
                lambda: self._successor.on_reply(sent.id, "ok"),
                lambda: self._successor.on_idle(sent.id),
            ]
            self.rng.shuffle(ends)
            for end in ends:
                end()
