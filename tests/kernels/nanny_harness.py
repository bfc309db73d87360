"""The nanny's provisioner chosen for tests, whether the package is installed or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

from jupyter_client.provisioning import KernelProvisionerFactory
from traitlets.config import Config

from notebook_exec.core.model import DeathReport, KernelId, KernelMessage
from notebook_exec.kernels.actions import KernelActions
from notebook_exec.kernels.link import LinkListener
from notebook_exec.kernels.nanny_link import NannyLink

NAME = "notebook_exec_nanny"
ENTRY_POINT = EntryPoint(
    NAME, "notebook_exec.kernels.provisioner:NannyProvisioner", KernelProvisionerFactory.GROUP_NAME
)


def nanny_config(folder: Path, **traits: object) -> Config:
    """Nannies have their spools in ``folder``, and what else ``traits`` say."""
    config = Config()
    config.NannyProvisioner.spool_dir = str(folder / "nannies")
    config.NannyProvisioner.update(traits)
    return config


@contextmanager
def nanny_by_default() -> Iterator[None]:
    """Kernels that are started meanwhile get a nanny."""
    KernelProvisionerFactory.clear_instance()
    factory = KernelProvisionerFactory.instance()
    factory.provisioners[NAME] = ENTRY_POINT
    factory.default_provisioner_name = NAME
    try:
        yield
    finally:
        KernelProvisionerFactory.clear_instance()


class _WithoutLog:
    """Passes all on to a listener, but not the log's tail, which plain links do not have."""

    def __init__(self, listener: LinkListener) -> None:
        self._listener = listener

    def on_ready(self) -> None:
        self._listener.on_ready()

    def on_messages(self, messages: Sequence[KernelMessage]) -> None:
        self._listener.on_messages(messages)

    def on_died(self, report: DeathReport, restarting: bool) -> None:
        self._listener.on_died(replace(report, log_tail=""), restarting)

    def on_restarting(self) -> None:
        self._listener.on_restarting()

    def on_interrupted(self) -> None:
        self._listener.on_interrupted()

    def on_shut_down(self) -> None:
        self._listener.on_shut_down()


def without_log(kernel_id: KernelId, actions: KernelActions, listener: LinkListener) -> NannyLink:
    return NannyLink(kernel_id, actions, _WithoutLog(listener))
