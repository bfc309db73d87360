"""The provisioner by which jupyter_client starts kernels under a nanny.

Chosen by the entry point ``notebook_exec_nanny``; whoever manages kernels need not know. POSIX.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from jupyter_core.paths import jupyter_runtime_dir
from traitlets import Float, Int, Unicode

from notebook_exec.core.model import DeathReport
from notebook_exec.core.wire import Frame, Kind, Lease
from notebook_exec.kernels import spools
from notebook_exec.kernels.nanny_client import NannyAddress, NannyRefused
from notebook_exec.kernels.nanny_control import NannyControl
from notebook_exec.kernels.nanny_process import NannyFailed, NannyProcess

_KILLED = -int(getattr(signal, "SIGKILL", 9))
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


def can_register(protocol_version: str) -> bool:
    """Whether a kernel that declares this version binds ports by itself and registers them.

    JEP 66 says from 5.5 on, the protocol 5.6; ipykernel declares 5.5 and never registers.
    """
    try:
        return tuple(int(number) for number in protocol_version.split(".")) >= (5, 6)
    except ValueError:
        return False


class NannyProvisioner(KernelProvisionerBase):
    """A kernel with a nanny between it and everyone. A restart replaces only the kernel."""

    connection_info: Any = {}  # noqa: RUF012 - replaced, never changed

    orphan_timeout_s = Float(
        60.0,
        config=True,
        help="""Seconds after which a nanny that no server is connected to ends its kernel.

        Short, as whoever starts kernels without this extension cannot find them again.""",
    )
    max_journal_bytes = Int(2**30, config=True, help="How much of a kernel's output is kept back.")
    max_log_bytes = Int(4 * 2**20, config=True, help="How much of what its process writes.")
    link_ip = Unicode(
        "127.0.0.1",
        config=True,
        help="Where nannies listen for the server; encrypted unless it is this machine alone.",
    )
    spool_dir = Unicode(
        config=True, help="The folder for journals and logs; default: in the runtime folder."
    )

    def __init__(self, **kwargs: Any) -> None:
        self._control: NannyControl | None = None
        self.on_launched: Callable[[], Awaitable[None]] | None = None
        """Awaited after each launch, also by jupyter_client's restarter: the nanny may be new."""
        super().__init__(**kwargs)
        self._has_process = False
        self._is_torn_down = False
        self._cwd: str | None = None

    def __del__(self) -> None:
        # jupyter_client forgets a kernel that died for good without any clean-up.
        self.leave()

    # --- what else the server wants to know ---------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The kernel's process, also after it ended."""
        return self._control.pid or None if self._control is not None else None

    @property
    def nanny_pid(self) -> int | None:
        """The nanny's process, or None."""
        return self._control.process.pid if self._control is not None else None

    @property
    def incarnation(self) -> int:
        """Which process of its nanny's the kernel is, from 1 on."""
        return self._control.incarnation if self._control is not None else 0

    @property
    def is_nanny_alive(self) -> bool:
        """Whether the nanny's process runs."""
        return self._control is not None and self._control.is_alive

    @property
    def death(self) -> DeathReport | None:
        """How the kernel's present process ended, None while it lives (K1)."""
        return self._control.death if self._control is not None else None

    def note_exit(self, notice: dict[str, Any]) -> None:
        """A link has read that a process of the kernel ended, perhaps before this was told."""
        if self._control is not None:
            self._control.note_exit(notice)

    async def address(self) -> NannyAddress:
        """Where a link attaches, with this server's lease. Raises ``NannyRefused``."""
        return await self._nanny().address()

    async def command(self, kind: Kind, **fields: Any) -> Frame:
        """What the nanny answers to a command. Raises ``NannyRefused``."""
        return await self._nanny().command(kind, **fields)

    @property
    def spool(self) -> Path | None:
        """The folder of the nanny, which may be gone."""
        return self._control.process.spool if self._control is not None else None

    @contextmanager
    def tearing_down(self) -> Iterator[None]:
        """A restart meanwhile replaces the nanny too, and all that it holds (K3)."""
        self._is_torn_down = True
        try:
            yield
        finally:
            self._is_torn_down = False

    def leave(self) -> None:
        """Let go of a kernel; of one that is dead only the log stays, for who wants to know why."""
        control = self._control
        if control is not None and control.exit is not None:
            control.order_exit()
            spools.leave_log(control.process.spool)
        self.detach()

    def detach(self) -> None:
        """Leave kernel and nanny to a server to come."""
        if self._control is not None:
            self._control.close()
            self._control.process.let_go()

    # --- KernelProvisionerBase: life of the process -------------------------------------------

    @property
    def has_process(self) -> bool:
        """See ``KernelProvisionerBase``."""
        return self._has_process

    async def poll(self) -> int | None:
        """See ``KernelProvisionerBase``. Waits for nothing: the nanny tells by itself."""
        if not self._has_process or self._control is None:
            return 0
        self._control.drain()
        if (ended := self._control.exit) is not None:
            code: int = ended["exit_code"] or -(ended["signum"] or 0)
            return code
        return None if self.is_nanny_alive else _KILLED

    async def wait(self) -> int | None:
        """See ``KernelProvisionerBase``."""
        while (code := await self.poll()) is None:  # noqa: ASYNC110 - bound to no event loop
            await asyncio.sleep(0.02)
        self._has_process = False
        return code

    async def send_signal(self, signum: int) -> None:
        """To the whole group of the kernel (K4)."""
        if self._has_process and await self.poll() is None:
            try:
                await self.command(Kind.SIGNAL, signum=int(signum))
            except NannyRefused as error:
                if error.code != "not_running" and self.is_nanny_alive:
                    raise

    async def kill(self, restart: bool = False) -> None:
        """See ``KernelProvisionerBase``."""
        await self.send_signal(-_KILLED)

    async def terminate(self, restart: bool = False) -> None:
        """See ``KernelProvisionerBase``."""
        await self.send_signal(signal.SIGTERM)

    async def cleanup(self, restart: bool = False) -> None:
        """The nanny goes with its kernel, and all that this started (K4).

        It stays at a restart, but for one while ``tearing_down``.
        """
        if self._control is None or (restart and not self._is_torn_down):
            return
        control = self._control
        self._has_process = False
        if control.is_alive:
            try:
                await control.command(Kind.EXIT)
            except NannyRefused as error:
                if error.code in ("lease_lost", "stale_lease"):
                    self.detach()  # another server's, which is not to lose it
                    return
        await control.process.ended()
        control.close()
        self._control = None
        control.process.remove_spool()

    # --- KernelProvisionerBase: launch --------------------------------------------------------

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """See ``KernelProvisionerBase``."""
        km = self.parent
        extra = kwargs.pop("extra_arguments", [])
        encryption = kwargs.pop("transport_encryption", None)
        if km is None:
            return await super().pre_launch(cmd=[*self.kernel_spec.argv, *extra], **kwargs)
        self._make_curve_keys(km, encryption)
        if not km.connection_file:
            name = f"kernel-{self.kernel_id or uuid.uuid4()}.json"
            folder = jupyter_runtime_dir()
            os.makedirs(folder, 0o700, exist_ok=True)  # noqa: PTH103 - a moment, not on a hot path
            km.connection_file = str(Path(folder) / name)
        # The kernel has ports of its own, and a file of its own that names them: only the
        # nanny knows where.
        path = os.path.realpath(km.connection_file)  # noqa: ASYNC240 - as jupyter_client does
        cmd = [
            word.replace(path, "{connection_file}") for word in km.format_kernel_cmd(list(extra))
        ]
        return await super().pre_launch(cmd=cmd, **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the kernel's process, and before that its nanny if there is none.

        Raises ``NannyFailed`` or ``NannyRefused``, which say why.
        """
        if os.name != "posix":
            raise NannyFailed("kernels with a nanny need a POSIX system")
        if not self.is_nanny_alive:
            await self._start_nanny()
        cwd = kwargs.get("cwd")
        self._cwd = str(cwd) if cwd else None
        env = dict(kwargs.get("env") or os.environ)
        try:
            await self.command(
                Kind.START,
                argv=cmd,
                env=env,
                cwd=self._cwd,
                interrupt_mode=self.kernel_spec.interrupt_mode if self.kernel_spec else "signal",
                registers=can_register(getattr(self.kernel_spec, "kernel_protocol_version", "")),
            )
            if self.parent is not None:
                self._write_connection_file(self.parent, env.get("JPY_SESSION_NAME", ""))
        except (NannyRefused, OSError) as error:
            # Nobody cleans up after a kernel that did not start. After one that did not start
            # again its manager does; the nanny stays, with what the last process said.
            if not (isinstance(error, NannyRefused) and self.incarnation):
                await self.cleanup()
            raise
        self._has_process = True
        if self.on_launched is not None:
            await self.on_launched()
        return self.connection_info

    def resolve_path(self, path: str) -> str | None:
        """See ``KernelProvisionerBase``."""
        found = Path(path).expanduser()
        if not found.is_absolute():
            found = (Path(self._cwd or Path.cwd()) / found).resolve()
        return found.as_posix() if found.exists() else None

    # --- KernelProvisionerBase: for a server to come ------------------------------------------

    async def get_provisioner_info(self) -> dict[str, Any]:
        """What ``load_provisioner_info`` needs. It holds the key: keep it to yourself."""
        info: dict[str, Any] = await super().get_provisioner_info()
        info["connection_info"] = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in self.connection_info.items()
        }
        control = self._control
        info["nanny"] = control.process.to_store() if control is not None else None
        info["cwd"] = self._cwd
        return info

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        """Take the kernel over from a server that is gone. Waits for nothing."""
        await super().load_provisioner_info(provisioner_info)
        connection = dict(provisioner_info["connection_info"])
        connection["key"] = str(connection["key"]).encode()
        self.connection_info = connection
        self._cwd = provisioner_info.get("cwd")
        stored = provisioner_info.get("nanny")
        if stored is not None:
            lease = Lease(0, uuid.uuid4().hex)
            process = NannyProcess.load(stored)
            self._control = NannyControl(process, self._key, lease, takes_over=True)
            self._control.drain()
            self._has_process = True

    # --- the nanny ------------------------------------------------------------------------------

    @property
    def _key(self) -> bytes:
        key = self.connection_info["key"]
        return key if isinstance(key, bytes) else str(key).encode()

    def _nanny(self) -> NannyControl:
        if self._control is None:
            raise NannyRefused("there is no nanny")
        return self._control

    async def _start_nanny(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control.process.remove_spool()
        spool = spools.new_spool(spools.root_of(self.spool_dir), self.kernel_id or "kernel")
        lease = Lease(1, uuid.uuid4().hex)
        config = self._configuration(lease)
        try:
            process = await NannyProcess.start(spool, config)
        except NannyFailed:
            # The ports of a nanny that is gone may have gone to someone else.
            config["ports"] = dict.fromkeys(_CHANNELS, 0)
            process = await NannyProcess.start(spool, config)
        ports = {f"{name}_port": port for name, port in process.ports.items()}
        self.connection_info = {**self._session_info(), **ports}
        self._control = NannyControl(process, self._key, lease)

    def _configuration(self, lease: Lease) -> dict[str, Any]:
        km = self.parent
        session = self._session_info()
        name = Path(km.connection_file).name if km is not None else "kernel.json"
        return {
            **self._link_configuration(),
            "key": self._text(session["key"]),
            "signature_scheme": session["signature_scheme"],
            "transport": session["transport"],
            "ip": session["ip"],
            "curve_publickey": self._text(session.get("curve_publickey", "")),
            "curve_secretkey": self._text(session.get("curve_secretkey", "")),
            "ports": {c: int(session.get(f"{c}_port") or 0) for c in _CHANNELS},
            "connection_name": name,
            "kernel_name": km.kernel_name if km is not None else "",
            "epoch": lease.epoch,
            "holder": lease.holder,
            "orphan_timeout_s": self.orphan_timeout_s,
            "max_journal_bytes": self.max_journal_bytes,
            "max_log_bytes": self.max_log_bytes,
            # Above all that an earlier nanny of this kernel counted, be it a moment ago: positions
            # are never used twice. It grows by a million a second, all through the second.
            "first_position": (time.time_ns() << 20) // 10**9,
        }

    def _link_configuration(self) -> dict[str, str]:
        """Encrypted where others may listen: then with keys of this nanny's own (S3)."""
        if self.link_ip.startswith("127."):
            return {"link_ip": self.link_ip}
        public, secret = zmq.curve_keypair()
        keys = {"link_publickey": public.decode(), "link_secretkey": secret.decode()}
        return {"link_ip": self.link_ip, **keys}

    def _session_info(self) -> dict[str, Any]:
        """The connection as far as it is known before the nanny is there."""
        if self.parent is not None:
            info: dict[str, Any] = self.parent.get_connection_info()
            return info
        return {
            "transport": "tcp",
            "ip": "127.0.0.1",
            "key": uuid.uuid4().hex.encode(),
            "signature_scheme": "hmac-sha256",
            **self.connection_info,
        }

    @staticmethod
    def _text(value: object) -> str:
        return value.decode() if isinstance(value, bytes) else str(value or "")

    @staticmethod
    def _make_curve_keys(km: Any, encryption: object) -> None:
        """Encryption is between clients and the nanny: any kernel gets it where it is wanted."""
        policy_of = getattr(km, "_transport_encryption_policy", None)
        if policy_of is None or km.curve_publickey is not None:
            return
        policy = policy_of(encryption)
        if policy == "required" or (policy == "auto" and km._kernel_supports_curve_encryption()):
            km.curve_publickey, km.curve_secretkey = zmq.curve_keypair()

    def _write_connection_file(self, km: Any, session_name: str) -> None:
        """For clients, with the nanny's ports, which stay as they are from now on."""
        ports = {f"{name}_port": self.connection_info[f"{name}_port"] for name in _CHANNELS}
        if any(getattr(km, name) != port for name, port in ports.items()):
            km.cleanup_connection_file()
            for name, port in ports.items():
                setattr(km, name, port)
        km.write_connection_file(jupyter_session=session_name)
