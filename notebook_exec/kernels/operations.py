"""What people ask of one kernel besides running code: how it is, a signal, a new begin."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from notebook_exec.core.model import (
    Conflict,
    InvalidInput,
    Json,
    KernelId,
    KernelStartError,
    NotFound,
)
from notebook_exec.kernels.figures import CpuMeter, Figures, figures_of
from notebook_exec.kernels.kernel_logs import KernelLogs, LogView
from notebook_exec.kernels.nanny_client import NannyRefused
from notebook_exec.kernels.nanny_log import NannyLog
from notebook_exec.kernels.provisioner import NannyProvisioner
from notebook_exec.kernels.watch import is_pending

_STATES = ("starting", "idle", "busy", "dead", "restarting", "terminating", "autorestarting")


class KernelOperations:
    """On the kernels of ``managers``, whoever started them."""

    def __init__(self, managers: Any) -> None:
        self._managers = managers
        self._meter = CpuMeter()
        self._logs = KernelLogs(managers)

    # --- a signal, a new begin --------------------------------------------------------------

    async def signal(self, kernel_id: KernelId, signum: int) -> None:
        """Send a signal to the kernel's whole process group (K4). NotFound, Conflict."""
        manager = self._manager(kernel_id)
        if not self._is_ours(manager):
            raise Conflict("This kernel was started elsewhere.", reason="not_owned")
        if not manager.has_kernel or not await manager.is_alive():
            raise Conflict("The kernel does not run.", reason="not_running")
        await manager.signal_kernel(signum)

    def is_interrupt(self, kernel_id: KernelId, signum: int) -> bool:
        """Whether a signal is how this kernel is interrupted (Q8). NotFound."""
        spec = getattr(self._manager(kernel_id), "kernel_spec", None)
        return signum == signal.SIGINT and spec is not None and spec.interrupt_mode == "signal"

    async def hard_restart(self, kernel_id: KernelId) -> dict[str, Json]:
        """Tear down the kernel with its nanny and start anew under the same id (K3).

        Returns the kernel's model. A kernel without a nanny is replaced, which is all there is.
        NotFound; Conflict if it is not ours or is being started; KernelStartError.
        """
        manager = self._manager(kernel_id)
        if not self._is_ours(manager):
            raise Conflict("This kernel was started elsewhere.", reason="not_owned")
        if is_pending(manager):
            raise Conflict("The kernel is being started or stopped.", reason="pending")
        try:
            if isinstance(manager.provisioner, NannyProvisioner):
                with manager.provisioner.tearing_down():
                    await self._managers.restart_kernel(kernel_id, now=True)
            else:
                await self._managers.restart_kernel(kernel_id, now=True)
        except Exception as error:  # whatever a kernel provisioner raises: the kernel is down
            message = str(error) or type(error).__name__
            raise KernelStartError(f"The kernel could not be started: {message}") from error
        model: dict[str, Json] = self._managers.kernel_model(kernel_id)
        return model

    # --- its log, and how it is --------------------------------------------------------------

    async def log(self, kernel_id: KernelId, offset: int, *, follow: bool) -> LogView:
        """See ``KernelLogs.open``."""
        return await self._logs.open(kernel_id, offset, follow=follow)

    async def status(self, kernel_id: KernelId) -> dict[str, Json]:
        """How the kernel's process is (A4); None for what nobody here can know. NotFound."""
        state, pid, figures, nanny = await self._look(kernel_id)
        percent = None
        if pid is not None and figures is not None:
            percent = self._meter.percent(kernel_id, pid, figures.cpu_s)
            if percent is None:
                await asyncio.sleep(self._meter.wait_s(kernel_id))
                state, pid, figures, nanny = await self._look(kernel_id)
            if percent is None and pid is not None and figures is not None:
                percent = self._meter.percent(kernel_id, pid, figures.cpu_s)
        self._meter.forget(lambda name: name in self._managers)
        return {
            "kernel_id": kernel_id,
            "pid": pid,
            "state": state,
            "cpu_percent": percent,
            "rss_bytes": None if figures is None else figures.rss_bytes,
            "uptime_s": None if figures is None else figures.uptime_s,
            "nanny": nanny,
            "allocation": None,
        }

    async def _look(
        self, kernel_id: KernelId
    ) -> tuple[str, int | None, Figures | None, dict[str, Json] | None]:
        manager = self._manager(kernel_id)
        provisioner = manager.provisioner if hasattr(manager, "provisioner") else None
        if isinstance(provisioner, NannyProvisioner) and provisioner.is_nanny_alive:
            try:
                return _of_nanny(await self._ask(provisioner))
            except NannyRefused:
                return "unknown", provisioner.pid, None, None
        pid = getattr(provisioner, "pid", None) if self._is_ours(manager) else None
        state = getattr(manager, "execution_state", None)
        state = state if state in _STATES else "unknown"
        if self._is_ours(manager) and not is_pending(manager) and not await manager.is_alive():
            state, pid = "dead", None
        return state, pid, None if pid is None else figures_of(pid), None

    async def _ask(self, provisioner: NannyProvisioner) -> dict[str, Any]:
        reader = NannyLog(await provisioner.address())
        try:
            return await reader.status()
        finally:
            reader.close()

    # --- which kernel ---------------------------------------------------------------------------

    def _manager(self, kernel_id: KernelId) -> Any:
        if kernel_id not in self._managers:
            raise NotFound(f"There is no kernel {kernel_id}.", field="kernel_id")
        return self._managers.get_kernel(kernel_id)

    def _is_ours(self, manager: Any) -> bool:
        """Whether this server has the kernel's process; a gateway's it has not."""
        return bool(getattr(manager, "owns_kernel", False)) and (
            getattr(manager, "provisioner", None) is not None
        )


def signal_number(given: Json) -> int:
    """The number of a signal that is given by name or by number. InvalidInput names ``signal``."""
    known = {int(number) for number in signal.valid_signals()}
    if isinstance(given, str):
        name = given.strip().upper()
        name = name if name.startswith("SIG") else f"SIG{name}"
        found = signal.Signals.__members__.get(name)
        if found is not None:
            return int(found)
    elif isinstance(given, int) and not isinstance(given, bool) and given in known:
        return given
    shown = ascii(given)[:60]
    raise InvalidInput(
        f'signal must be a name such as "SIGUSR1" or its number, not {shown}', field="signal"
    )


def _of_nanny(
    told: dict[str, Any],
) -> tuple[str, int | None, Figures | None, dict[str, Json] | None]:
    figures = None
    if "cpu_s" in told:
        figures = Figures(told["cpu_s"], told["rss_bytes"], told["uptime_s"])
    nanny = {"pid": told["nanny"]["pid"], "version": told["nanny"]["version"]}
    state = "starting" if told["state"] == "none" else str(told["state"])
    return state, told["pid"] or None, figures, nanny
