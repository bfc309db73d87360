"""The nanny's provisioner chosen for tests, whether the package is installed or not."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, cast

from jupyter_client import AsyncKernelClient, AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_client.session import Session
from jupyter_core.paths import jupyter_path
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from kernels_harness import Bench, Recorder
from traitlets.config import Config

from notebook_exec.core.model import DeathReport, KernelId
from notebook_exec.kernels.actions import KernelActions
from notebook_exec.kernels.link import LinkListener
from notebook_exec.kernels.nanny_link import NannyLink
from notebook_exec.kernels.provisioner import NannyProvisioner

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


async def open_link(
    bench: Bench, kernel_id: KernelId, position: int | None = None, session: str = "ours"
) -> tuple[NannyLink, Recorder]:
    """Open a link, as a server does that has stored ``position``; it is ready on return."""
    link, recorder = await bench.ready(
        kernel_id,
        lambda kernel_id, actions, listener: NannyLink(
            kernel_id, actions, listener, position=position, session=session
        ),
    )
    assert isinstance(link, NannyLink)
    return link, recorder


def nanny_of(bench: Bench, kernel_id: KernelId) -> NannyProvisioner:
    """What started a kernel."""
    provisioner = bench.managers.get_kernel(kernel_id).provisioner
    assert isinstance(provisioner, NannyProvisioner)
    return provisioner


class _WithoutLog:
    """Passes all on to a listener, but not what plain links do not know of a death."""

    def __init__(self, listener: LinkListener) -> None:
        self._listener = listener

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def on_died(self, report: DeathReport, restarting: bool) -> None:
        plain = replace(report, log_tail="", cpu_s=None, max_rss_bytes=None, position=None)
        self._listener.on_died(plain, restarting)


def without_log(kernel_id: KernelId, actions: KernelActions, listener: LinkListener) -> NannyLink:
    return NannyLink(kernel_id, actions, cast(LinkListener, _WithoutLog(listener)))


STUB_ARGV = [sys.executable, str(Path(__file__).with_name("stub_kernel.py")), "{connection_file}"]


def make_specs(folder: Path) -> KernelSpecManager:
    """The kernelspecs ``stub``, and ``python3`` as it is installed."""
    add_spec(folder, "stub", STUB_ARGV, language="stub")
    return KernelSpecManager(kernel_dirs=[str(folder / "specs"), *jupyter_path("kernels")])


def add_spec(folder: Path, name: str, argv: Sequence[str], **more: str) -> None:
    """One more kernelspec in ``folder``."""
    spec = {"argv": argv, "display_name": name, **more}
    (folder / "specs" / name).mkdir(parents=True)
    (folder / "specs" / name / "kernel.json").write_text(json.dumps(spec))


@asynccontextmanager
async def nanny_bench(folder: Path, config: Config | None = None) -> AsyncIterator[Bench]:
    """Kernels of the specs in ``folder``, the stub by default, each with a nanny."""
    config = Config() if config is None else config
    config.merge(nanny_config(folder))
    env = {**os.environ, "IPYTHONDIR": str(folder / "ipython")}
    env.pop("PYTEST_CURRENT_TEST", None)  # ipykernel would not capture file descriptors
    with nanny_by_default():
        managers = AsyncMappingKernelManager(
            config=config,
            connection_dir=str(folder),
            kernel_spec_manager=make_specs(folder),
            default_kernel_name="stub",
            root_dir=str(folder),
        )
        made = Bench(managers, env)
        yield made
        await made.close()


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is not dead and uncollected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Wait for what nobody announces: the end of a process, a file."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


class Client:
    """An ordinary client of a kernel, as a console is one."""

    def __init__(
        self, km: AsyncKernelManager, session: Session | None = None, *, busy: bool = False
    ) -> None:
        """``busy``: the kernel runs something, do not wait until it is ready."""
        self._busy = busy
        connection = km.get_connection_info()
        self.client = AsyncKernelClient(session=session or Session(key=connection["key"]))
        self.client.load_connection_info(connection)
        self.client.start_channels()

    async def __aenter__(self) -> Client:
        if not self._busy:
            await self.client.wait_for_ready(timeout=30)
        return self

    async def __aexit__(self, *args: object) -> None:
        self.client.stop_channels()

    async def reply(self, msg_id: str, channel: str = "shell") -> dict[str, Any]:
        get = getattr(self.client, f"get_{channel}_msg")
        while True:
            message: dict[str, Any] = await get(timeout=30)
            if message["parent_header"].get("msg_id") == msg_id:
                return message

    async def output(self, msg_id: str) -> list[dict[str, Any]]:
        """What was published for a request, until it is idle."""
        messages: list[dict[str, Any]] = []
        while True:
            message = await self.client.get_iopub_msg(timeout=30)
            if message["parent_header"].get("msg_id") == msg_id:
                messages.append(message)
                if message["content"].get("execution_state") == "idle":
                    return messages

    async def run(self, code: str) -> tuple[dict[str, Any], str]:
        """The reply's content, and the text that was published."""
        msg_id = self.client.execute(code)
        reply = await self.reply(msg_id)
        published = await self.output(msg_id)
        text = "".join(m["content"]["text"] for m in published if m["msg_type"] == "stream")
        return reply["content"], text


class TcpProxy:
    """Stands between a client and a nanny, and can cut their connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.overheard = bytearray()
        self.url = ""
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None

    @classmethod
    async def start(cls, target: str) -> TcpProxy:
        host, port = target.removeprefix("tcp://").split(":")
        proxy = cls()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there_reader, there_writer = await asyncio.open_connection(host, int(port))
            proxy.connections += 1
            proxy._writers += [writer, there_writer]
            for source, sink in ((reader, there_writer), (there_reader, writer)):
                proxy._tasks.append(asyncio.create_task(proxy._copy(source, sink)))

        proxy._server = await asyncio.start_server(connected, "127.0.0.1", 0)
        proxy.url = f"tcp://127.0.0.1:{proxy._server.sockets[0].getsockname()[1]}"
        return proxy

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                self.overheard += data
                sink.write(data)
                await sink.drain()

    def cut(self) -> None:
        """Break what is connected; new connections are taken."""
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.transport.abort()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
