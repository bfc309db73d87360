"""Kernels that outlived their server become this server's, under the same ids (R2).

The only place that touches what is private to jupyter_client and jupyter_server; a contract test
holds it against their installed versions.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from traitlets.config import Config

from notebook_exec.core.model import Json, KernelId
from notebook_exec.kernels.actions import SCHEMA_ID, EventBus
from notebook_exec.kernels.provisioner import NannyProvisioner
from notebook_exec.kernels.watch import is_pending

log = logging.getLogger(__name__)

PROVISIONER = "notebook_exec_nanny"
_LOCAL = "local-provisioner"

PRIVATE = {
    "managers": (
        "_kernels",
        "_kernel_connections",
        "_kernel_ports",
        "_handle_kernel_died",
        "_initialized_culler",
        "_pending_kernels",
    ),
    "manager": (
        "_launch_args",
        "_attempted_start",
        "_ready",
        "_connection_file_written",
        "_connect_control_socket",
        "_close_control_socket",
        "_restarter",
    ),
    "sessions": ("_cursor", "_connection"),
}
"""What is used here of a kernel manager of many, of one kernel, and of a session manager."""


def can_adopt(managers: Any, sessions: Any) -> bool:
    """Whether these are the managers that are known here, and not a gateway's."""
    return (
        os.name == "posix"
        and all(hasattr(managers, name) for name in PRIVATE["managers"])
        and all(hasattr(sessions, name) for name in PRIVATE["sessions"])
    )


# --- new kernels ----------------------------------------------------------------------------


def start_with_nannies(managers: Any, *, orphan_timeout_s: float) -> None:
    """Kernels without a provisioner of their own get a nanny, unless the user chose another."""
    factory = KernelProvisionerFactory.instance(parent=managers.parent)
    factory.provisioners.setdefault(
        PROVISIONER,
        EntryPoint(
            PROVISIONER,
            f"{NannyProvisioner.__module__}:{NannyProvisioner.__name__}",
            KernelProvisionerFactory.GROUP_NAME,
        ),
    )
    if factory.default_provisioner_name == _LOCAL and "default_provisioner_name" not in (
        factory.config.KernelProvisionerFactory
    ):
        factory.default_provisioner_name = PROVISIONER
    if "orphan_timeout_s" not in managers.config.NannyProvisioner:
        # A server of ours finds its kernels again.
        managers.update_config(Config({"NannyProvisioner": {"orphan_timeout_s": orphan_timeout_s}}))


def has_nanny(managers: Any, kernel_id: KernelId) -> bool:
    """Whether a kernel is one of those that can be adopted."""
    if kernel_id not in managers:
        return False
    manager = managers.get_kernel(kernel_id)
    if manager.provisioner is not None:
        return isinstance(manager.provisioner, NannyProvisioner)
    factory = KernelProvisionerFactory.instance()  # it is being started
    own = manager.kernel_spec.metadata.get("kernel_provisioner", {})
    name = own.get("provisioner_name", factory.default_provisioner_name)
    return bool(name == PROVISIONER)


def forget_failed_start(managers: Any, kernel_id: KernelId) -> None:
    """A kernel that did not start is not to be shut down: that fails, and the server's end with it.

    jupyter_client keeps it among those that are starting.
    """
    if kernel_id not in managers:
        getattr(managers, "_pending_kernels", {}).pop(kernel_id, None)


def is_any_starting(managers: Any) -> bool:
    """Whether a kernel is being started or restarted, by whomever."""
    starts = getattr(managers, "_pending_kernels", {}).values()
    return any(not start.done() for start in starts) or any(
        is_pending(managers.get_kernel(kernel_id)) for kernel_id in managers.list_kernel_ids()
    )


class KernelRecords:
    """Keeps a record of each kernel with a nanny, from its start to its end."""

    def __init__(
        self,
        managers: Any,
        events: EventBus,
        *,
        put: Callable[[KernelId, dict[str, Json]], None],
        drop: Callable[[KernelId], None],
    ) -> None:
        self._managers = managers
        self._events = events
        self._put = put
        self._drop = drop
        self._watched: set[KernelId] = set()
        events.add_listener(schema_id=SCHEMA_ID, listener=self._on_event)

    async def put_all(self) -> None:
        """Those that were started before there was anyone to listen."""
        for kernel_id in self._managers.list_kernel_ids():
            await self._note(kernel_id)

    def close(self) -> None:
        """Keep no more records."""
        self._events.remove_listener(schema_id=SCHEMA_ID, listener=self._on_event)

    async def _on_event(self, logger: object, schema_id: str, data: dict[str, Any]) -> None:
        kernel_id = KernelId(data.get("kernel_id", ""))
        if data.get("status") != "success":
            return
        if data.get("action") in ("start", "restart"):  # a restart may have brought a new nanny
            await self._note(kernel_id)
        elif data.get("action") == "shutdown":
            self._watched.discard(kernel_id)
            self._drop(kernel_id)

    async def _note(self, kernel_id: KernelId) -> None:
        if has_nanny(self._managers, kernel_id):
            manager = self._managers.get_kernel(kernel_id)
            if manager.has_kernel:
                if kernel_id not in self._watched:
                    self._watched.add(kernel_id)
                    self._managers.add_restart_callback(
                        kernel_id, partial(self._gave_up, kernel_id, manager), "dead"
                    )
                manager.provisioner.on_launched = partial(self._note, kernel_id)
                self._put(kernel_id, await record_of(manager))

    def _gave_up(self, kernel_id: KernelId, manager: Any) -> None:
        """It died too often, and jupyter_server forgets it: its nanny has nothing left to do."""
        self._watched.discard(kernel_id)
        self._drop(kernel_id)
        manager.provisioner.leave()


async def record_of(manager: Any) -> dict[str, Json]:
    """What is needed to adopt a kernel. It holds keys: keep it to yourself."""
    arguments = dict(manager._launch_args or {})
    env = dict(arguments.pop("env", None) or {})
    return {
        "kernel_name": manager.kernel_name,
        "connection_file": manager.connection_file,
        # What the server's environment says anyway may have changed by then.
        "env": {name: value for name, value in env.items() if os.environ.get(name) != value},
        "launch_args": {name: value for name, value in arguments.items() if _is_json(value)},
        "provisioner": await manager.provisioner.get_provisioner_info(),
    }


# --- kernels of the server before -------------------------------------------------------------


def keep_sessions(sessions: Any, database: Path) -> bool:
    """Have sessions outlive the server, unless the user has a place for them."""
    if sessions.database_filepath != ":memory:" or sessions._connection is not None:
        return False
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    sessions.database_filepath = str(database)
    return True


def drop_other_sessions(sessions: Any, managers: Any) -> None:
    """Forget the sessions of kernels that are gone, before anyone asks for them."""
    rows = sessions.cursor.execute("SELECT session_id, kernel_id FROM session").fetchall()
    for session_id, kernel_id in rows:
        if kernel_id not in managers:
            sessions.cursor.execute("DELETE FROM session WHERE session_id = ?", (session_id,))


def adopt(managers: Any, kernel_id: KernelId, record: Mapping[str, Any]) -> bool:
    """Make a kernel one of ``managers`` if it lives. Before the event loop runs; then ``attend``.

    Raises whatever is wrong with the record, or with the kernelspec it names.
    """
    manager = managers.kernel_manager_factory(
        connection_file=record["connection_file"],
        parent=managers,
        log=managers.log,
        kernel_name=record["kernel_name"],
        kernel_spec_manager=managers.kernel_spec_manager,
    )
    manager.kernel_id = kernel_id
    provisioner = NannyProvisioner(
        kernel_id=kernel_id, kernel_spec=manager.kernel_spec, parent=manager
    )
    _finished(provisioner.load_provisioner_info(dict(record["provisioner"])))
    if not provisioner.is_nanny_alive:
        return False
    manager.provisioner = provisioner
    manager.load_connection_info(provisioner.connection_info)
    manager._connection_file_written = Path(manager.connection_file).exists()
    manager.write_connection_file()
    manager._launch_args = {**record["launch_args"], "env": {**os.environ, **record["env"]}}
    manager._attempted_start = True
    ready: Future[None] = Future()
    ready.set_result(None)
    manager._ready = ready
    manager.execution_state = "starting"
    manager.reason = ""
    manager.last_activity = datetime.now(timezone.utc)
    managers._kernels[kernel_id] = manager
    managers._kernel_connections[kernel_id] = 0
    managers._kernel_ports[kernel_id] = manager.ports
    return True


def attend(managers: Any, kernel_id: KernelId, *, is_busy: bool) -> None:
    """Do for an adopted kernel what needs the event loop."""
    manager = managers.get_kernel(kernel_id)
    manager.start_restarter()
    manager._connect_control_socket()
    managers.start_watching_activity(kernel_id)
    manager.execution_state = "busy" if is_busy else "idle"
    managers.add_restart_callback(
        kernel_id, lambda: managers._handle_kernel_died(kernel_id), "dead"
    )
    if not managers._initialized_culler:
        managers.initialize_culler()


def let_go(managers: Any, kernel_id: KernelId) -> None:
    """Leave a kernel with its nanny to the next server: this one knows it no longer (R5)."""
    manager = managers.get_kernel(kernel_id)
    managers.stop_watching_activity(kernel_id)
    manager.stop_restarter()
    manager._close_control_socket()
    manager.provisioner.detach()
    manager._connection_file_written = False  # else the file goes with the manager
    for known in (managers._kernels, managers._kernel_connections, managers._kernel_ports):
        known.pop(kernel_id, None)


def _finished(coroutine: Any) -> None:
    """Run what waits for nothing, where no event loop runs."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    finally:
        coroutine.close()
    raise RuntimeError("it waits for something")


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
