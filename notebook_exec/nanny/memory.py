"""Whether the system killed a process for want of memory: only what it says itself (K1)."""

from __future__ import annotations

import os


class OomWatch:
    """Reads the counter of the kernel's control group, and the system's log where it may.

    The counter is shared with all others of the group. It counts as evidence only if it grew
    since the last sample, a few seconds before a death by SIGKILL.
    """

    def __init__(self) -> None:
        self._path, self._word = _find_counter()
        self._count = 0

    def begin(self) -> None:
        """A process is about to start."""
        self.sample()

    def sample(self) -> None:
        """Remember the counter."""
        self._count = self._read()

    def is_evident(self, pid: int) -> bool:
        """Whether the death of ``pid`` by SIGKILL, just now, was the system's doing."""
        return self._read() > self._count or _is_in_system_log(pid)

    def _read(self) -> int:
        if not self._path:
            return 0
        try:
            with open(self._path, "rb") as file:
                for line in file:
                    words = line.split()
                    if len(words) == 2 and words[0] == self._word:
                        return int(words[1])
        except (OSError, ValueError):
            pass
        return 0


def _find_counter() -> tuple[str, bytes]:
    """The file with ``oom_kill`` for this process, in either version of control groups."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return "", b""
    for number, controllers, path in (line for line in lines if len(line) == 3):
        if number == "0" and not controllers:
            roots, name = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], "memory.events"
        elif "memory" in controllers.split(","):
            roots, name = ["/sys/fs/cgroup/memory"], "memory.oom_control"
        else:
            continue
        for root in roots:
            # In a container the path may be the host's, and the group be mounted at the root.
            for folder in (root + path, root):
                candidate = os.path.join(folder, name)
                if os.access(candidate, os.R_OK):
                    return candidate, b"oom_kill"
    return "", b""


def _is_in_system_log(pid: int) -> bool:
    """Whether the system's log names ``pid`` as killed; not if it may not be read."""
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    words = f"Killed process {pid} ".encode()
    try:
        for _ in range(100_000):  # it is a ring buffer: reading has an end
            try:
                record = os.read(log, 8192)
            except BrokenPipeError:  # overwritten meanwhile
                continue
            if words in record:
                return _is_recent(record)
    except OSError:  # nothing more to read
        return False
    finally:
        os.close(log)
    return False


def _is_recent(record: bytes) -> bool:
    """A pid is used again some day: the record's clock has to be near to now."""
    try:
        said_at = int(record.split(b",", 3)[2]) / 1e6
        with open("/proc/uptime", "rb") as file:
            return float(file.read().split()[0]) - said_at < 60
    except (OSError, ValueError, IndexError):
        return False
