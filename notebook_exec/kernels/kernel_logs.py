"""The logs of kernels: of those that run, of those that died, of those that are gone (K5)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from notebook_exec.core.model import Conflict, KernelId, NotFound
from notebook_exec.kernels import spools
from notebook_exec.kernels.nanny_client import NannyRefused
from notebook_exec.kernels.nanny_log import NannyLog
from notebook_exec.kernels.provisioner import NannyProvisioner
from notebook_exec.kernels.watch import is_auto_restarted, is_pending

_LOOK_S = 1.0


class NoLog(NotFound):
    """The kernel is there, but nobody keeps what its process writes."""

    reason = "no_log"


class LogView(NamedTuple):
    """A kernel's log from ``offset`` on; ``end``: how long it is now. In bytes since its begin.

    ``chunks`` is to be read to its end, or closed.
    """

    offset: int
    end: int
    chunks: AsyncGenerator[bytes, None]


class KernelLogs:
    """Of the kernels of ``managers`` with a nanny."""

    def __init__(self, managers: Any) -> None:
        self._managers = managers

    async def open(self, kernel_id: KernelId, offset: int, *, follow: bool) -> LogView:
        """What the kernel's process wrote to its stdout and stderr, as far as it is kept.

        ``follow``: until the kernel is gone, or is dead and not restarted by anyone.
        NotFound if there is no such kernel, or no log of it; Conflict if it is out of reach.
        """
        if kernel_id not in self._managers:
            root = spools.root_of(str(self._managers.config.NannyProvisioner.get("spool_dir", "")))
            left = spools.left_log(root, kernel_id)
            if left is None:
                raise NotFound(f"There is no kernel {kernel_id}.", field="kernel_id")
            return _left(left, offset)
        provisioner = getattr(self._managers.get_kernel(kernel_id), "provisioner", None)
        if not isinstance(provisioner, NannyProvisioner) or provisioner.spool is None:
            raise NoLog("Only kernels with a nanny have a log.", field="kernel_id")
        if not provisioner.is_nanny_alive:
            return _left(spools.read_log(provisioner.spool), offset)
        return await self._live(kernel_id, provisioner, offset, follow)

    async def _live(
        self, kernel_id: KernelId, provisioner: NannyProvisioner, offset: int, follow: bool
    ) -> LogView:
        try:
            reader = NannyLog(await provisioner.address())
            try:
                known = (await reader.status())["log"]
            except BaseException:
                reader.close()
                raise
        except NannyRefused as error:
            raise Conflict(f"The log cannot be read: {error}.", reason="unreachable") from error
        start = min(max(offset, int(known["start"])), int(known["end"]))
        nanny = _Nanny(self._managers, kernel_id, provisioner)
        return LogView(start, int(known["end"]), _chunks(nanny, reader, start, follow))


class _Nanny:
    """One nanny of a kernel, which may get another one."""

    def __init__(self, managers: Any, kernel_id: KernelId, provisioner: NannyProvisioner) -> None:
        self._managers = managers
        self._kernel_id = kernel_id
        self._provisioner = provisioner
        self._pid = provisioner.nanny_pid

    @property
    def is_gone(self) -> bool:
        provisioner = self._provisioner
        return provisioner.nanny_pid != self._pid or not provisioner.is_nanny_alive

    @property
    def is_done(self) -> bool:
        """Whether its kernel is dead and stays so."""
        if self.is_gone or self._kernel_id not in self._managers:
            return True
        manager = self._managers.get_kernel(self._kernel_id)
        if is_pending(manager) or is_auto_restarted(manager):
            return False
        return self._provisioner.death is not None


async def _chunks(
    nanny: _Nanny, reader: NannyLog, offset: int, follow: bool
) -> AsyncGenerator[bytes, None]:
    try:
        while follow and not nanny.is_done:
            piece = await reader.follow(offset, _LOOK_S)
            if piece is not None:
                offset = piece.offset + len(piece.data)
                yield piece.data
        while not nanny.is_gone and (piece := await reader.read(offset)).data:
            offset = piece.offset + len(piece.data)
            yield piece.data
    except NannyRefused:
        return  # it is gone, with all that there was
    finally:
        reader.close()


def _left(log: spools.LeftLog, offset: int) -> LogView:
    end = log.start + len(log.data)
    start = min(max(offset, log.start), end)
    return LogView(start, end, _once(log.data[start - log.start :]))


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    if data:
        yield data
