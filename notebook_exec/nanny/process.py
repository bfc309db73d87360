"""The kernel's process: its own group, ended with all that it started (K4, K6)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from notebook_exec.core.procstat import parse_stat
from notebook_exec.nanny.memory import OomWatch

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILL_LIMIT_S = 5.0
SIGNALS_SET = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Those that the nanny handles or ignores, and the kernel must not inherit."""


class StartFailed(Exception):
    """The process could not be started. The text says why."""


class Exit(NamedTuple):
    """How a process ended; None is "not so"."""

    exit_code: int | None
    signum: int | None
    usage: dict[str, Any]
    out_of_memory: bool

    @property
    def signal_name(self) -> str | None:
        if self.signum is None:
            return None
        try:
            return signal.Signals(self.signum).name
        except ValueError:  # a real-time signal
            return f"signal {self.signum}"


def _prctl() -> Callable[..., int] | None:
    """Linux only. Looked up before any fork: a child must not load anything."""
    if not sys.platform.startswith("linux"):
        return None
    prctl: Callable[..., int] = ctypes.CDLL(None).prctl
    return prctl


class KernelProcess:
    """At most one process at a time, and its orphaned children, which become ours."""

    def __init__(self) -> None:
        self.pid = 0  # 0: there is none
        self._started_at = 0.0  # by a clock that nobody sets
        self._oom = OomWatch()
        self._prctl = _prctl()
        if self._prctl is not None:
            self._prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    @property
    def is_running(self) -> bool:
        """Whether it was started and not reaped."""
        return bool(self.pid)

    @property
    def uptime_s(self) -> float:
        """For how long it runs."""
        return round(time.monotonic() - self._started_at, 3) if self.pid else 0.0

    def start(self, argv: Sequence[str], env: Mapping[str, str], cwd: str | None) -> int:
        """Start it; what it writes comes out of the descriptor that is returned.

        Raises ``StartFailed``.
        """
        output, output_end = os.pipe()
        failure, failure_end = os.pipe()
        self._oom.begin()
        with warnings.catch_warnings():
            # Python warns of threads at a fork. They are libzmq's; the child only execs.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            self._become(argv, env, cwd, output_end, failure_end)
        os.close(output_end)
        os.close(failure_end)
        with os.fdopen(failure, "rb") as report:
            reason = report.read().decode("utf-8", "replace")
        if reason:
            os.waitpid(pid, 0)
            os.close(output)
            raise StartFailed(reason)
        self.pid = pid
        self._started_at = time.monotonic()
        os.set_blocking(output, False)
        return output

    def _become(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        output: int,
        failure: int,
    ) -> None:
        """In the child, between fork and exec: never returns."""
        try:
            os.setsid()
            if self._prctl is not None:
                self._prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            signal.set_wakeup_fd(-1)
            for number in (*SIGNALS_SET, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            if cwd:
                os.chdir(cwd)
            os.execvpe(argv[0], list(argv), dict(env))
        except BaseException as error:  # whatever it is, the parent is to know
            os.write(failure, f"{argv[0] if argv else 'nothing'}: {error}".encode())
        finally:
            os._exit(127)

    def signal(self, signum: int) -> None:
        """Send a signal to the whole group (K4). Nothing happens if there is none."""
        if self.pid:
            try:
                os.killpg(self.pid, signum)
            except (ProcessLookupError, PermissionError):
                return

    def reap(self) -> Exit | None:
        """Collect who has ended; how, if it was the kernel."""
        found = None
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == self.pid:
                self.pid = 0
                found = self._exit(pid, status, usage)

    def sample(self) -> None:
        """To be called now and then: how many were killed for want of memory before now."""
        self._oom.sample()

    def end(self) -> Exit | None:
        """Kill the kernel and all that it started, also those in groups of their own."""
        found = None
        if self.pid:
            self.signal(signal.SIGKILL)
        deadline = time.monotonic() + _KILL_LIMIT_S
        while time.monotonic() < deadline:
            found = self.reap() or found
            children = _children()
            if not children and not self.pid:
                break
            for child in children:
                try:
                    os.kill(child, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.005)  # SIGCHLD cannot be waited for here: who is reaped is ours to say
        return found

    def _exit(self, pid: int, status: int, usage: Any) -> Exit:
        code = os.waitstatus_to_exitcode(status)
        signum = -code if code < 0 else None
        figures = {
            "user_s": round(usage.ru_utime, 3),
            "system_s": round(usage.ru_stime, 3),
            "max_rss_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        }
        killed = signum == signal.SIGKILL
        return Exit(None if signum else code, signum, figures, killed and self._oom.is_evident(pid))


def _children() -> list[int]:
    """All children of this process, dead ones too, be they born here or left to us."""
    me = os.getpid()
    found = []
    try:
        names = os.listdir("/proc")
    except OSError:  # no Linux: no subreaper either, the group was all there is
        return []
    for name in names:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    stat = parse_stat(file.read())
            except OSError:
                continue
            if stat.parent_pid == me:
                found.append(int(name))
    return found
