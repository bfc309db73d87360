"""Life and death of one kernel's process, seen from outside through its kernel manager."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from asyncio import Future as AsyncFuture
from concurrent.futures import Future as ThreadFuture
from enum import Enum
from typing import Protocol

from notebook_exec.core.model import DeathReport, KernelId, KernelStartError
from notebook_exec.core.shortage import is_shortage
from notebook_exec.kernels.actions import KernelActions
from notebook_exec.kernels.managers import KernelManager, KernelManagers

log = logging.getLogger(__name__)

_POLL_INTERVAL_S = 0.25
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class WatchListener(Protocol):
    """What a watch tells. Only ``drain`` and ``before_action`` may take time."""

    def on_process(self) -> None:
        """There is a process, the first or a new one: connect."""

    def before_next(self) -> bool:
        """The process died, and jupyter_client is about to start the next one.

        What that makes forgotten is to be noted now. Whether ``drain`` may still bring more of
        the old one; else its death is told at once.
        """

    async def drain(self) -> None:
        """The old process is gone: take what it said last, before what follows is told."""

    def on_died(self, report: DeathReport, restarting: bool) -> None:
        """See ``LinkListener``."""

    async def before_action(self) -> None:
        """See ``LinkListener``."""

    def on_restarting(self) -> None:
        """See ``LinkListener``."""

    def on_interrupted(self, by: object) -> None:
        """The kernel is interrupted; ``by`` is what ``KernelActions.interrupt`` was given."""

    def on_shut_down(self) -> None:
        """See ``LinkListener``."""


class _Phase(Enum):
    STARTING = "starting"
    UP = "up"
    DYING = "dying"  # it died, which is not told yet: what it said last may still come
    REPLACING = "replacing"  # someone restarts it
    DEAD = "dead"
    OVER = "over"  # shut down


class KernelWatch:
    """Watches one kernel of a manager of many.

    A process is known by its manager's ``ready`` future: each start makes a new one, whoever
    began it. While that is pending or ``shutting_down`` is set, a dead process is on purpose.
    """

    def __init__(
        self,
        kernel_id: KernelId,
        actions: KernelActions,
        listener: WatchListener,
        *,
        poll_interval_s: float = _POLL_INTERVAL_S,
        pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        """``pause_s``: before the second try to start it where there was no room for it."""
        self._kernel_id = kernel_id
        self._actions = actions
        self._listener = listener
        self._poll_interval_s = poll_interval_s
        self._phase = _Phase.STARTING
        self._process: AsyncFuture[None] | ThreadFuture[None] | None = None
        self._report = DeathReport()
        self._is_restarted = False  # the process that died, by jupyter_client
        self._hooked: KernelManager | None = None
        self._first_pause_s = pause_s
        self._pause_s = 0.0  # before the next try to start it, 0: there is none
        self._try_at = 0.0
        self._try: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; nothing is told before this returns."""
        self._actions.listen(self._kernel_id, self)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop. Complete when it returns; may be repeated."""
        self._phase = _Phase.OVER
        self._actions.ignore(self._kernel_id, self)
        self._unhook()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def look(self) -> None:
        """Someone saw that there is news: look now, and not when it is time to."""
        self._wake.set()

    # --- what others do (ActionListener) --------------------------------------------------

    async def before_action(self) -> None:
        """See ``ActionListener``."""
        if self._phase is not _Phase.OVER:
            await self._listener.before_action()

    def before_interrupt(self, by: object) -> None:
        """See ``ActionListener``."""
        if self._phase is not _Phase.OVER:
            self._listener.on_interrupted(by)

    def before_restart(self) -> None:
        """See ``ActionListener``."""
        manager = self._manager()
        if manager is None or not manager.owns_kernel:
            return  # it will fail: only who started a process can start it again
        if self._phase not in (_Phase.REPLACING, _Phase.OVER):
            self._phase = _Phase.REPLACING
            self._listener.on_restarting()

    def after_restart(self, failed: bool) -> None:
        """See ``ActionListener``."""
        manager = self._manager()
        if failed and manager is not None and manager.ready is self._process:
            self._process = None  # nothing was restarted: the old process is to be used again
        self._wake.set()

    def before_shutdown(self) -> None:
        """See ``ActionListener``."""
        if self._phase is not _Phase.OVER:
            self._phase = _Phase.OVER
            self._listener.on_shut_down()

    # --- what the restarter of jupyter_client does ----------------------------------------

    def _before_auto_restart(self) -> None:
        """The restarter noticed a death, perhaps before this watch did."""
        if self._phase in (_Phase.UP, _Phase.DYING):
            self._note_death(self._last_report(), is_restarted=True)
            if not self._listener.before_next():
                self._tell_death()

    def _gave_up(self) -> None:
        """The restarter restarts no more; the kernel stays dead."""
        if self._phase is not _Phase.OVER:
            self._note_death(self._last_report(), is_restarted=False)

    def _last_report(self) -> DeathReport:
        """How the process ended that is known to be gone, perhaps to who tells of it only."""
        if self._phase is _Phase.UP and self._hooked is not None:
            return _report_of(self._hooked)
        return self._report

    def _note_death(self, report: DeathReport, *, is_restarted: bool) -> None:
        self._report = report
        self._is_restarted = is_restarted
        self._phase = _Phase.DYING
        self._wake.set()

    def _tell_death(self) -> None:
        if self._phase is _Phase.DYING:  # else someone told of it or restarts it meanwhile
            self._phase = _Phase.DEAD
            self._listener.on_died(self._report, self._is_restarted)

    # --- polling ---------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._phase is not _Phase.OVER:
            try:
                await self._take_last_words()
                await self._look_for_process()
                await self._look_for_death()
                self._look_for_room()
            except Exception:  # managers and provisioners of others raise what they like
                log.exception("cannot see how kernel %s is", self._kernel_id)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._poll_interval_s)
            self._wake.clear()

    async def _take_last_words(self) -> None:
        if self._phase is _Phase.DYING:
            await self._listener.drain()
            self._tell_death()

    async def _look_for_process(self) -> None:
        manager = self._manager()
        if manager is None:
            self.before_shutdown()
            return
        ready = manager.ready
        if self._is_dying_or_over() or ready is self._process or is_pending(manager):
            return
        self._process = ready
        failure = ready.exception()
        if failure is not None:
            self._on_failure(manager, failure)
            return
        self._pause_s = 0.0
        if self._phase is _Phase.UP:  # replaced behind our back
            self._phase = _Phase.REPLACING
            self._listener.on_restarting()
        await self._listener.drain()
        if self._is_dying_or_over():  # meanwhile
            return
        self._phase = _Phase.UP
        self._hook(manager)
        self._listener.on_process()

    def _on_failure(self, manager: KernelManager, failure: BaseException) -> None:
        is_known = self._phase is _Phase.DEAD and self._pause_s > 0
        self._phase = _Phase.DEAD
        if is_shortage(failure) and is_auto_restarted(manager):
            self._pause_s = min(2 * self._pause_s or self._first_pause_s, _LONGEST_PAUSE_S)
            self._try_at = time.monotonic() + self._pause_s
        else:
            self._pause_s = 0.0
        if not is_known:
            self._listener.on_died(DeathReport(log_tail=str(failure)), False)

    def _look_for_room(self) -> None:
        """Try again to start what could not be started for want of room.

        A start that fails is the last thing that jupyter_client's restarter does: a kernel that
        dies while a disk is full would stay dead when there is room again.
        """
        if self._phase is not _Phase.DEAD or not self._pause_s or time.monotonic() < self._try_at:
            return
        manager = self._manager()
        if manager is not None and not is_pending(manager) and self._try is None:
            self._try = asyncio.create_task(self._start_again(manager))

    async def _start_again(self, manager: KernelManager) -> None:
        # Not ended by ``close``: a start that is broken off leaves processes behind.
        try:
            await manager.restart_kernel(now=True)
        except Exception as error:  # whatever there may be; the next look at ``ready`` sees it too
            log.info("kernel %s cannot be started yet: %s", self._kernel_id, error)
        finally:
            self._try = None
            self._wake.set()

    async def _look_for_death(self) -> None:
        manager = self._manager()
        if manager is None or self._phase is not _Phase.UP or is_pending(manager):
            return
        process = manager.ready
        report = await _poll(manager)
        if report is None or manager.ready is not process or is_pending(manager):
            return
        self._note_death(report, is_restarted=is_auto_restarted(manager))
        await self._take_last_words()

    def _is_dying_or_over(self) -> bool:
        return self._phase in (_Phase.OVER, _Phase.DYING)

    def _manager(self) -> KernelManager | None:
        managers = self._actions.managers
        if self._kernel_id not in managers:
            return None
        manager: KernelManager = managers.get_kernel(self._kernel_id)
        return manager

    def _hook(self, manager: KernelManager) -> None:
        if self._hooked is not manager:
            self._unhook()
            self._hooked = manager
            manager.add_restart_callback(self._before_auto_restart, "restart")
            manager.add_restart_callback(self._gave_up, "dead")

    def _unhook(self) -> None:
        if self._hooked is not None:
            self._hooked.remove_restart_callback(self._before_auto_restart, "restart")
            self._hooked.remove_restart_callback(self._gave_up, "dead")
            self._hooked = None


def is_pending(manager: KernelManager) -> bool:
    return manager.shutting_down or not manager.ready.done()


def is_auto_restarted(manager: KernelManager) -> bool:
    """Managers without ``restarter_class`` have ``autorestart`` too, but do nothing about it."""
    return manager.autorestart and hasattr(manager, "restarter_class")


async def _poll(manager: KernelManager) -> DeathReport | None:
    """How the process ended; None if it lives, or if nobody here can know."""
    provisioner = manager.provisioner
    if not manager.owns_kernel or provisioner is None:
        return None
    if not provisioner.has_process:
        return DeathReport()
    code = await provisioner.poll()
    return None if code is None else death_report(code)


def _report_of(manager: KernelManager) -> DeathReport:
    """How a process that is dead ended, without giving way to who forgets it at once.

    Provisioners of processes on this machine answer without waiting for anything.
    """
    if manager.provisioner is None or not manager.provisioner.has_process:
        return DeathReport()
    polling = manager.provisioner.poll()
    try:
        polling.send(None)
    except StopIteration as answer:
        return DeathReport() if answer.value is None else death_report(answer.value)
    except Exception:  # provisioners of others raise what they like
        log.exception("cannot see how a kernel ended")
    finally:
        polling.close()
    return DeathReport()


def death_report(code: int) -> DeathReport:
    """What a ``Popen.returncode`` says: negative is the number of a signal."""
    if code >= 0:
        return DeathReport(exit_code=code)
    try:
        return DeathReport(signal=signal.Signals(-code).name)
    except ValueError:  # a real-time signal
        return DeathReport(signal=f"signal {-code}")


def require_started(managers: KernelManagers, kernel_id: KernelId) -> None:
    """KernelStartError if there is no such kernel, or if its start is known to have failed."""
    if kernel_id not in managers:
        raise KernelStartError(f"there is no kernel {kernel_id}")
    ready = managers.get_kernel(kernel_id).ready
    if ready.done() and (failure := ready.exception()) is not None:
        raise KernelStartError(f"the kernel did not start: {failure}")
