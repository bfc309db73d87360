"""What anyone does to kernels through the server: told before it takes effect.

jupyter_server reports kernel actions on its event bus, but only after they were done. That is
too late for a restart or a shutdown: both interrupt the kernel first, the running cell's error
arrives, and the next cell of the queue would be sent to a process that is about to die. So the
three methods of the manager that every client goes through are wrapped, here and nowhere else;
the event bus stays the way to learn of an action that went past them.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any, Protocol

from notebook_exec.core.model import KernelId
from notebook_exec.kernels.managers import KernelManagers

log = logging.getLogger(__name__)

SCHEMA_ID = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"

_by: ContextVar[object] = ContextVar("by", default=None)
# Set while a wrapper runs: listeners on the event bus are tasks made inside of it.
_announced: ContextVar[bool] = ContextVar("announced", default=False)


class ActionListener(Protocol):
    """What is told of one kernel. The calls must not block, but for ``before_action``."""

    async def before_action(self) -> None:
        """It is about to be interrupted, restarted or shut down: that is told next, on return."""

    def before_interrupt(self, by: object) -> None:
        """It is interrupted; ``by`` is what was given to ``KernelActions.interrupt``, or None."""

    def before_restart(self) -> None:
        """It is about to be restarted in place, or has been just now."""

    def after_restart(self, failed: bool) -> None:
        """The restart is over."""

    def before_shutdown(self) -> None:
        """It is about to be shut down, or has been just now."""


class EventBus(Protocol):
    """A ``jupyter_events.EventLogger``."""

    def add_listener(
        self, *, schema_id: str, listener: Callable[..., Coroutine[Any, Any, None]]
    ) -> None:
        """Call ``listener(logger, schema_id, data)`` for each event of ``schema_id``."""

    def remove_listener(
        self, *, schema_id: str, listener: Callable[..., Coroutine[Any, Any, None]]
    ) -> None:
        """Undo ``add_listener``."""


class KernelActions:
    """Tells what is done to the kernels of ``managers``. One for each of these."""

    def __init__(self, managers: KernelManagers, events: EventBus | None = None) -> None:
        self.managers = managers
        self._events = events
        self._listeners: dict[KernelId, list[ActionListener]] = {}
        self._wrapped: dict[str, Callable[..., Awaitable[object]]] = {}
        self._restarts: set[asyncio.Future[None]] = set()
        self._wrap("interrupt_kernel", self._before_interrupt)
        self._wrap("restart_kernel", self._before_restart, self._after_restart)
        self._wrap("shutdown_kernel", self._before_shutdown)
        if events is not None:
            events.add_listener(schema_id=SCHEMA_ID, listener=self._on_event)

    def listen(self, kernel_id: KernelId, listener: ActionListener) -> None:
        """Tell ``listener`` of what is done to ``kernel_id``, until ``ignore``."""
        self._listeners.setdefault(kernel_id, []).append(listener)

    def ignore(self, kernel_id: KernelId, listener: ActionListener) -> None:
        """Tell ``listener`` no more. May be repeated."""
        listeners = self._listeners.get(kernel_id, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            self._listeners.pop(kernel_id, None)

    async def interrupt(self, kernel_id: KernelId, by: object) -> None:
        """Interrupt for ``by``; raises whatever the manager raises."""
        token = _by.set(by)
        try:
            done = self.managers.interrupt_kernel(kernel_id)
            if done is not None:
                await done
        finally:
            _by.reset(token)

    async def restarted(self, limit_s: float) -> None:
        """Return when no restart is under way, at the latest after ``limit_s``.

        jupyter_client does not shut down a kernel that is being restarted: it raises, and
        jupyter_server then never stops (seen with 8.10 and 2.21).
        """
        if self._restarts:
            _, late = await asyncio.wait(set(self._restarts), timeout=limit_s)
            if late:
                log.warning("%d restarts of kernels do not come to an end", len(late))

    def close(self) -> None:
        """Take the wrappers off. May be repeated."""
        for name, wrapper in self._wrapped.items():
            # Whoever wrapped after us keeps ours, which then has no listeners.
            if vars(self.managers).get(name) is wrapper:
                delattr(self.managers, name)
        self._wrapped.clear()
        self._listeners.clear()
        if self._events is not None:
            self._events.remove_listener(schema_id=SCHEMA_ID, listener=self._on_event)
            self._events = None

    def _wrap(
        self,
        name: str,
        before: Callable[[KernelId], None],
        after: Callable[[KernelId, bool], None] | None = None,
    ) -> None:
        original = getattr(self.managers, name)

        @functools.wraps(original)
        async def wrapper(kernel_id: KernelId, *args: Any, **kwargs: Any) -> object:
            failed = True
            token = _announced.set(True)
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if after is not None:
                self._restarts.add(over)
            try:
                for listener in self._of(kernel_id):
                    await listener.before_action()
                before(kernel_id)
                result = original(kernel_id, *args, **kwargs)
                # Not a future: a restart returns one inside, for who waits for the new process.
                if isawaitable(result) and not asyncio.isfuture(result):
                    result = await result
                failed = False
                return result
            finally:
                _announced.reset(token)
                if after is not None:
                    self._restarts.discard(over)
                    over.set_result(None)
                    after(kernel_id, failed)

        setattr(self.managers, name, wrapper)
        self._wrapped[name] = wrapper

    def _of(self, kernel_id: KernelId) -> list[ActionListener]:
        return list(self._listeners.get(kernel_id, ()))

    def _before_interrupt(self, kernel_id: KernelId) -> None:
        for listener in self._of(kernel_id):
            listener.before_interrupt(_by.get())

    def _before_restart(self, kernel_id: KernelId) -> None:
        for listener in self._of(kernel_id):
            listener.before_restart()

    def _after_restart(self, kernel_id: KernelId, failed: bool) -> None:
        for listener in self._of(kernel_id):
            listener.after_restart(failed)

    def _before_shutdown(self, kernel_id: KernelId) -> None:
        for listener in self._of(kernel_id):
            listener.before_shutdown()

    async def _on_event(self, logger: object, schema_id: str, data: dict[str, Any]) -> None:
        """Something was done to one kernel's manager; was it past the wrappers?"""
        if _announced.get() or data.get("status") != "success":
            return
        kernel_id = KernelId(data.get("kernel_id", ""))
        match data.get("action"):
            case "interrupt":
                self._before_interrupt(kernel_id)
            case "restart":
                # It is over: whoever watches the process sees the new one. The restarter comes
                # this way too, and what was queued after the death is to run (K1).
                self._after_restart(kernel_id, False)
            case "shutdown":
                self._before_shutdown(kernel_id)
