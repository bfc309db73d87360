"""The provisioner by which jupyter_client starts kernels under a nanny.

Chosen by the entry point ``notebook_exec_nanny``; whoever manages kernels need not know. POSIX.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from jupyter_core.paths import jupyter_runtime_dir
from traitlets import Float, Int, Unicode

from notebook_exec.core.model import DeathReport
from notebook_exec.core.wire import Frame, Kind, Lease
from notebook_exec.kernels.nanny_client import NannyAddress, NannyClient, NannyRefused
from notebook_exec.kernels.nanny_process import NannyFailed, NannyProcess

_ANSWER_LIMIT_S = 15.0
_POLL_S = 0.002
_KILLED = -int(getattr(signal, "SIGKILL", 9))
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


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
    spool_dir = Unicode(
        config=True, help="The folder for journals and logs; default: in the runtime folder."
    )

    def __init__(self, **kwargs: Any) -> None:
        self._nanny: NannyProcess | None = None
        self._client: NannyClient | None = None
        self._exit: dict[str, Any] | None = None
        super().__init__(**kwargs)
        self._lease = Lease(1, uuid.uuid4().hex)
        self._is_adopted = False  # until the nanny knows us, its lease is another server's
        self._refusal: NannyRefused | None = None
        self._answers: dict[int, Frame] = {}
        self._has_process = False
        self._incarnation = 0
        self._cwd: str | None = None
        self.pid: int | None = None

    def __del__(self) -> None:
        # jupyter_server forgets a kernel that died for good without any clean-up.
        client, nanny = self._client, self._nanny
        if client is not None and nanny is not None and self._exit is not None:
            client.send(Kind.EXIT)
            nanny.remove_spool()
        if client is not None:
            client.close(linger_ms=200)
        if nanny is not None:
            nanny.let_go()

    # --- what else the server wants to know ---------------------------------------------------

    @property
    def nanny_pid(self) -> int | None:
        """The nanny's process, or None."""
        return self._nanny.pid if self._nanny is not None else None

    @property
    def incarnation(self) -> int:
        """Which process of its nanny's the kernel is, from 1 on."""
        return self._incarnation

    @property
    def is_nanny_alive(self) -> bool:
        """Whether the nanny's process runs."""
        return self._nanny is not None and self._nanny.is_alive()

    @property
    def death(self) -> DeathReport | None:
        """How the kernel's present process ended, None while it lives (K1)."""
        if self._exit is not None:
            return death_report(self._exit)
        if self._has_process and not self.is_nanny_alive:
            return DeathReport(log_tail="The process that watched over the kernel is gone.")
        return None

    async def address(self) -> NannyAddress:
        """Where a link attaches, with this server's lease. Raises ``NannyRefused``."""
        client = self._connected()
        for _ in range(int(_ANSWER_LIMIT_S / _POLL_S)):
            self._drain()
            if self._refusal is not None:
                raise self._refusal
            if client.is_welcome:
                return NannyAddress(client.url, self._key, client.lease)
            if not self.is_nanny_alive:
                break
            await asyncio.sleep(_POLL_S)
        raise NannyRefused("the nanny does not answer")

    async def command(self, kind: Kind, **fields: Any) -> Frame:
        """What the nanny answers to a command. Raises ``NannyRefused``."""
        await self.address()
        assert self._client is not None
        number = self._client.send(kind, fields)
        deadline = time.monotonic() + _ANSWER_LIMIT_S
        while number not in self._answers:
            if not self.is_nanny_alive:
                raise NannyRefused("the nanny is gone")
            if time.monotonic() > deadline:
                self._disconnect()  # the next one tries a new connection
                raise NannyRefused("the nanny does not answer")
            await asyncio.sleep(_POLL_S)
            self._drain()
        frame = self._answers.pop(number)
        if frame.kind is Kind.ERROR:
            raise NannyRefused(str(frame.fields["message"]), code=str(frame.fields["code"]))
        return frame

    def detach(self) -> None:
        """Leave kernel and nanny to a server to come."""
        self._disconnect()
        if self._nanny is not None:
            self._nanny.let_go()

    # --- KernelProvisionerBase: life of the process -------------------------------------------

    @property
    def has_process(self) -> bool:
        """See ``KernelProvisionerBase``."""
        return self._has_process

    async def poll(self) -> int | None:
        """See ``KernelProvisionerBase``. Waits for nothing: the nanny tells by itself."""
        if not self._has_process:
            return 0
        self._drain()
        if self._exit is not None:
            code: int = self._exit["exit_code"] or -(self._exit["signum"] or 0)
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
        """The nanny goes with its kernel, and all that this started (K4); not at a restart."""
        if restart or self._nanny is None:
            return
        nanny = self._nanny
        self._has_process = False
        if nanny.is_alive():
            try:
                await self.command(Kind.EXIT)
            except NannyRefused as error:
                if error.code in ("lease_lost", "stale_lease"):
                    self.detach()  # another server's, which is not to lose it
                    return
        await nanny.ended()
        self._disconnect()
        self._nanny = None
        nanny.remove_spool()

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
            km.connection_file = str(Path(jupyter_runtime_dir()) / name)
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
        if self._nanny is None or not self.is_nanny_alive:
            await self._start_nanny()
        cwd = kwargs.get("cwd")
        self._cwd = str(cwd) if cwd else None
        env = dict(kwargs.get("env") or os.environ)
        started = await self.command(
            Kind.START,
            argv=cmd,
            env=env,
            cwd=self._cwd,
            interrupt_mode=self.kernel_spec.interrupt_mode if self.kernel_spec else "signal",
        )
        self._note_status(started.fields)
        self._has_process = True
        if self.parent is not None:
            self._write_connection_file(self.parent, env.get("JPY_SESSION_NAME", ""))
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
        info["nanny"] = self._nanny.to_store() if self._nanny is not None else None
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
        if stored is None:
            return
        self._nanny = NannyProcess.load(stored)
        self._is_adopted = True
        self._has_process = True
        if self._nanny.is_alive():
            self._connected()

    # --- the nanny ------------------------------------------------------------------------------

    @property
    def _key(self) -> bytes:
        key = self.connection_info["key"]
        return key if isinstance(key, bytes) else str(key).encode()

    async def _start_nanny(self) -> None:
        self._disconnect()
        if self._nanny is not None:
            self._nanny.remove_spool()
        self._is_adopted = False
        self._lease = Lease(self._lease.epoch, uuid.uuid4().hex)
        root = Path(self.spool_dir or Path(jupyter_runtime_dir()) / "notebook_exec")
        spool = root / f"{self.kernel_id or 'kernel'}-{uuid.uuid4().hex[:8]}"
        config = self._configuration()
        try:
            nanny = await NannyProcess.start(spool, config)
        except NannyFailed:
            # The ports of a nanny that is gone may have gone to someone else.
            config["ports"] = dict.fromkeys(_CHANNELS, 0)
            nanny = await NannyProcess.start(spool, config)
        self._nanny = nanny
        connection = {f"{name}_port": port for name, port in nanny.ports.items()}
        self.connection_info = {**self._session_info(), **connection}

    def _configuration(self) -> dict[str, Any]:
        km = self.parent
        session = self._session_info()
        name = Path(km.connection_file).name if km is not None else "kernel.json"
        return {
            "key": self._text(session["key"]),
            "signature_scheme": session["signature_scheme"],
            "transport": session["transport"],
            "ip": session["ip"],
            "curve_publickey": self._text(session.get("curve_publickey", "")),
            "curve_secretkey": self._text(session.get("curve_secretkey", "")),
            "ports": {c: int(session.get(f"{c}_port") or 0) for c in _CHANNELS},
            "connection_name": name,
            "kernel_name": km.kernel_name if km is not None else "",
            "epoch": self._lease.epoch,
            "holder": self._lease.holder,
            "orphan_timeout_s": self.orphan_timeout_s,
            "max_journal_bytes": self.max_journal_bytes,
            "max_log_bytes": self.max_log_bytes,
            # Above all that an earlier nanny of this kernel counted: positions are never used
            # twice. It grows by a million a second.
            "first_position": int(time.time()) << 20,
        }

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
            import zmq  # noqa: PLC0415 - only here

            km.curve_publickey, km.curve_secretkey = zmq.curve_keypair()

    def _write_connection_file(self, km: Any, session_name: str) -> None:
        """For clients, with the nanny's ports, which stay as they are from now on."""
        ports = {f"{name}_port": self.connection_info[f"{name}_port"] for name in _CHANNELS}
        if any(getattr(km, name) != port for name, port in ports.items()):
            km.cleanup_connection_file()
            for name, port in ports.items():
                setattr(km, name, port)
        km.write_connection_file(jupyter_session=session_name)

    # --- the link -------------------------------------------------------------------------------

    def _connected(self) -> NannyClient:
        if self._client is None:
            if self._nanny is None:
                raise NannyRefused("there is no nanny")
            address = NannyAddress(self._nanny.link, self._key, self._lease)
            self._client = NannyClient(address, takes_over=self._is_adopted)
            self._client.connect()
        return self._client

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._answers.clear()
        self._refusal = None

    def _drain(self) -> None:
        """Take what the nanny has told."""
        if self._client is None:
            if self.is_nanny_alive:
                self._connected()
            return
        while (frame := self._receive(self._client)) is not None:
            if frame.kind in (Kind.DONE, Kind.ERROR):
                self._answers[int(frame.fields.get("re", 0))] = frame
            elif frame.kind is Kind.WELCOME:
                self._lease, self._is_adopted = self._client.lease, False
                self._note_status(frame.fields)
            elif frame.fields.get("event") == "exited" and self._is_present(frame.fields):
                self._exit = frame.fields

    def _receive(self, client: NannyClient) -> Frame | None:
        try:
            return client.receive()
        except NannyRefused as error:
            # The kernel is another server's now: nothing of it is to be restarted from here.
            self._refusal = error
            return None

    def _is_present(self, notice: dict[str, Any]) -> bool:
        """Whether a notice is of the kernel's present process."""
        return int(notice["incarnation"]) == self._incarnation

    def _note_status(self, fields: dict[str, Any]) -> None:
        self._incarnation = int(fields["incarnation"])
        self.pid = int(fields["pid"]) or self.pid
        self._exit = fields.get("exit")


def death_report(exited: dict[str, Any]) -> DeathReport:
    """What an ``exited`` notice says (K1)."""
    return DeathReport(
        exit_code=exited["exit_code"],
        signal=exited["signal"],
        out_of_memory=bool(exited["out_of_memory"]),
        log_tail=str(exited["log_tail"]),
    )
