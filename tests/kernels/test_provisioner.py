"""Kernels under a nanny, as jupyter_client and its users see them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.session import Session
from nanny_harness import (
    Client,
    add_spec,
    is_running,
    make_specs,
    nanny_by_default,
    nanny_config,
    until,
)

from notebook_exec.core.wire import Kind
from notebook_exec.kernels.nanny_client import NannyRefused
from notebook_exec.kernels.provisioner import NannyProvisioner

PORTS = [f"{name}_port" for name in ("shell", "iopub", "stdin", "control", "hb")]
Start = Callable[..., Awaitable[AsyncKernelManager]]


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Starts kernels under nannies, where nothing of Jupyter's has been run before.

    ``traits`` are those of the provisioner.
    """
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "new" / "runtime"))
    specs = make_specs(tmp_path)
    started: list[AsyncKernelManager] = []

    async def start_one(name: str = "stub", **traits: object) -> AsyncKernelManager:
        km = AsyncKernelManager(
            kernel_name=name,
            kernel_spec_manager=specs,
            config=nanny_config(tmp_path, **traits),
            shutdown_wait_time=2.0,
        )
        started.append(km)
        env = {**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")}
        env.pop("PYTEST_CURRENT_TEST", None)  # ipykernel would not capture file descriptors
        await km.start_kernel(env=env)
        return km

    with nanny_by_default():
        yield start_one
        for km in started:
            await km.shutdown_kernel(now=True)


def nanny_of(km: AsyncKernelManager) -> NannyProvisioner:
    assert isinstance(km.provisioner, NannyProvisioner)
    return km.provisioner


def spool_of(km: AsyncKernelManager) -> Path:
    (spool,) = Path(nanny_of(km).spool_dir).glob(f"{km.kernel_id}-*")
    return spool


def modes_of(folder: Path, secret: bytes) -> list[int]:
    """The modes of a folder, and of those files in it that hold ``secret``."""
    holding = [path for path in folder.iterdir() if secret in path.read_bytes()]
    return [stat.S_IMODE(path.stat().st_mode) for path in (folder, *holding)]


def command_line(pid: int | None) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def read_ports(path: Path) -> list[int]:
    connection = json.loads(path.read_text())
    return [connection[name] for name in PORTS]


def pid_of(km: AsyncKernelManager) -> int:
    pid = nanny_of(km).pid
    assert pid is not None
    return pid


async def test_k2_restart_in_place(start: Start) -> None:
    """K2: the process is replaced; nanny, ports and clients' connections stay."""
    km = await start()
    before = km.get_connection_info()
    nanny, pid = nanny_of(km).nanny_pid, pid_of(km)
    async with Client(km) as client:
        await km.restart_kernel()
        assert (await client.run("print 0 2 0"))[1] == "0\n1\n"
    assert km.get_connection_info() == before
    assert read_ports(Path(km.connection_file)) == [before[name] for name in PORTS]
    assert nanny_of(km).nanny_pid == nanny
    assert pid_of(km) != pid
    assert not is_running(pid)


async def test_k2_requests_that_a_restart_swallows_are_aborted(
    start: Start, tmp_path: Path
) -> None:
    """K2: who waits for a reply gets one, and idle, on the connection it asked on."""
    km = await start()
    async with Client(km) as client:
        running = client.client.execute(f"wait {tmp_path / 'never'}")
        while (await client.client.get_iopub_msg(timeout=30))["msg_type"] != "stream":
            pass
        queued = client.client.execute("print 0 1 0")
        # The nanny itself answers for a kernel that is busy, and what came before has come then.
        await client.reply(client.client.kernel_info())
        await nanny_of(km).kill()
        await km.restart_kernel(now=True)
        for msg_id in (running, queued):
            assert (await client.reply(msg_id))["content"] == {"status": "aborted"}
        assert (await client.output(running))[-1]["content"] == {"execution_state": "idle"}


async def test_k4_children_do_not_outlive_a_shutdown(start: Start) -> None:
    """K4: grandchildren in sessions of their own end with a restart, and with a shutdown."""
    km = await start()
    async with Client(km) as client:
        first = int((await client.run("spawn"))[1])
        assert is_running(first)
        await km.restart_kernel()
        assert not is_running(first)
        second = int((await client.run("spawn"))[1])
    nanny, pid = nanny_of(km).nanny_pid, pid_of(km)
    assert nanny is not None
    await km.shutdown_kernel()
    assert not [each for each in (second, nanny, pid) if is_running(each)]


async def test_k4_an_interrupt_reaches_the_group(start: Start) -> None:
    """K4: child processes of a cell are interrupted along with the kernel."""
    km = await start("python3")
    async with Client(km) as client:
        msg_id = client.client.execute(
            "import subprocess, sys\n"
            "p = subprocess.Popen([sys.executable, '-c', 'import time\\n"
            'try: print("up", flush=True); time.sleep(60)\\nexcept KeyboardInterrupt: exit(5)\'])\n'
            "try: p.wait()\nexcept KeyboardInterrupt: print('code', p.wait(), flush=True)"
        )
        text = ""
        while "up" not in text:
            message = await client.client.get_iopub_msg(timeout=30)
            text += message["content"].get("text", "")
        await km.interrupt_kernel()
        published = await client.output(msg_id)
        assert "code 5" in "".join(m["content"].get("text", "") for m in published)


async def test_k5_the_log(start: Start) -> None:
    """K5: what the process writes can be read while it runs, followed, and read after it died."""
    km = await start()
    nanny = nanny_of(km)
    async with Client(km) as client:
        await client.run("log one")
        log = await nanny.command(Kind.LOG, offset=0)
        assert log.parts[0].decode() == f"stub {pid_of(km)} is up\none\n"
        end = len(log.parts[0])
        following = asyncio.create_task(nanny.command(Kind.LOG, offset=end, follow=True))
        client.client.execute("log two")
        assert (await following).parts[0] == b"two\n"
    os.kill(pid_of(km), signal.SIGKILL)
    assert await nanny.wait() == -signal.SIGKILL
    assert (await nanny.command(Kind.LOG, offset=end)).parts[0] == b"two\n"


async def test_k1_how_it_ended(start: Start) -> None:
    """K1: exit code or signal, and the last lines of this process's log, from the nanny."""
    km = await start()
    nanny = nanny_of(km)
    async with Client(km) as client:
        await client.run("log last words")
        client.client.execute("exit 7")
        assert await asyncio.wait_for(nanny.wait(), 5) == 7
    assert nanny.death is not None
    assert nanny.death.exit_code == 7
    assert nanny.death.log_tail.endswith("last words")
    assert not nanny.death.out_of_memory
    await km.restart_kernel(now=True)
    assert nanny.death is None
    os.kill(pid_of(km), signal.SIGSEGV)
    assert await asyncio.wait_for(nanny.wait(), 5) == -signal.SIGSEGV
    assert nanny.death.signal == "SIGSEGV"
    assert "last words" not in nanny.death.log_tail


async def test_k6_the_nanny_dies(start: Start) -> None:
    """K6: its kernel goes with it, it is noticed, and a restart has the same ports."""
    km = await start()
    nanny, pid, before = nanny_of(km), pid_of(km), km.get_connection_info()
    assert nanny.nanny_pid is not None
    os.kill(nanny.nanny_pid, signal.SIGKILL)
    await until(lambda: not is_running(pid), timeout_s=2)
    assert not await km.is_alive()
    assert nanny.death is not None
    await km.restart_kernel(now=True)
    assert km.get_connection_info() == before
    async with Client(km) as client:
        assert (await client.run("print 0 1 0"))[1] == "0\n"


async def test_k6_a_suspended_nanny_is_not_dead(start: Start) -> None:
    """K6: a process that stands still for a while was suspended, and goes on."""
    km = await start()
    pid = nanny_of(km).nanny_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert await km.is_alive()
    os.kill(pid, signal.SIGCONT)
    async with Client(km) as client:
        assert (await client.run("print 0 1 0"))[1] == "0\n"


async def test_k7_a_nanny_without_a_server(start: Start, tmp_path: Path) -> None:
    """K7: after ``orphan_timeout`` it ends its kernel and itself, and leaves the spool."""
    km = await start(orphan_timeout_s=1.0)
    nanny, pid = nanny_of(km), pid_of(km)
    nanny_pid = nanny.nanny_pid
    assert nanny_pid is not None
    nanny.detach()
    await until(lambda: not is_running(pid) and not is_running(nanny_pid))
    (spool,) = (tmp_path / "nannies").iterdir()
    assert b"stub" in (spool / "kernel-0.log").read_bytes()
    assert list(spool.glob("journal-*"))


async def test_k8_fifty_at_once(start: Start) -> None:
    """K8: 50 kernels that start at once: no port twice, every one answers."""
    managers = await asyncio.gather(*(start() for _ in range(50)))
    ports: list[Any] = []
    for km in managers:
        connection = km.get_connection_info()
        ports += [connection[name] for name in PORTS]
        ports += read_ports(spool_of(km) / Path(km.connection_file).name)
    assert len(ports) == len(set(ports)) == 500
    states: list[str] = []
    for km in managers:
        async with Client(km) as client:
            states.append((await client.run("print 0 1 0"))[1])
    assert states == ["0\n"] * 50
    await asyncio.gather(*(km.shutdown_kernel(now=True) for km in managers))


async def test_k10_clients_beside_each_other(start: Start) -> None:
    """K10: each client gets its own replies; K11: each sees what the others run."""
    km = await start()
    async with Client(km) as first, Client(km) as second:
        one, two = first.client.execute("print 1 2 0"), second.client.execute("print 2 3 0")
        assert (await first.reply(one))["content"]["status"] == "ok"
        assert (await second.reply(two))["content"]["status"] == "ok"
        assert [m["content"]["text"] for m in await first.output(two) if "text" in m["content"]]
        assert await first.client.is_alive()


async def test_k10_a_client_that_comes_back_under_its_name(start: Start) -> None:
    """K10: the same session on a new connection is served, though the old one is still there."""
    km = await start()
    session = Session(key=km.get_connection_info()["key"])
    async with Client(km, session.clone()) as first:
        assert (await first.run("print 1 2 0"))[1] == "1\n"
        async with Client(km, session.clone()) as second:
            assert (await second.run("print 2 3 0"))[1] == "2\n"


async def test_kernel_info_while_busy(start: Start, tmp_path: Path) -> None:
    """U4: a client that comes to a busy kernel is ready at once, and told that it is busy."""
    km = await start()
    async with Client(km) as first:
        go = tmp_path / "go"
        running = first.client.execute(f"wait {go}")
        while (told := await first.client.get_iopub_msg(timeout=30))["msg_type"] != "stream":
            pass
        second = Client(km)
        msg_id = second.client.kernel_info()
        reply = await asyncio.wait_for(second.reply(msg_id), 5)
        assert reply["content"]["implementation"] == "stub"
        # JupyterLab takes another session for another process, and drops what it has not handled.
        assert reply["header"]["session"] == told["header"]["session"]
        assert (await second.output(msg_id))[-1]["content"]["execution_state"] == "idle"
        last = await second.client.get_iopub_msg(timeout=5)
        assert last["content"] == {"execution_state": "busy"}
        assert last["parent_header"]["msg_id"] == running
        go.touch()
        await second.output(running)
        second.client.stop_channels()


async def test_who_listens_to_a_busy_kernel_hears_that_it_is(start: Start, tmp_path: Path) -> None:
    """U4: at once, whatever it asks and when: its request may be answered before it is heard."""
    km = await start()
    async with Client(km) as first:
        go = tmp_path / "go"
        running = first.client.execute(f"wait {go}")
        while (await first.client.get_iopub_msg(timeout=30))["msg_type"] != "stream":
            pass
        second = Client(km)
        while (told := await second.client.get_iopub_msg(timeout=5))["msg_type"] != "status":
            pass
        assert told["content"] == {"execution_state": "busy"}
        assert told["parent_header"]["msg_id"] == running
        go.touch()
        await second.output(running)
        second.client.stop_channels()


async def test_what_a_kernel_never_answers_does_not_keep_it_busy(start: Start) -> None:
    """U4: after comm messages, and requests that it does not know, a kernel is idle."""
    km = await start()
    async with Client(km) as client:
        for msg_type in ("comm_msg", "comm_request"):
            message = client.client.session.msg(msg_type, {})
            client.client.shell_channel.send(message)
            await client.output(message["header"]["msg_id"])
        assert (await nanny_of(km).command(Kind.STATUS)).fields["state"] == "idle"


async def test_interrupt_request_from_any_client(start: Start, tmp_path: Path) -> None:
    """Q8: a client's interrupt_request becomes a signal where the kernelspec wants signals."""
    km = await start()
    async with Client(km) as client:
        running = client.client.execute(f"wait {tmp_path / 'never'}")
        while (await client.client.get_iopub_msg(timeout=30))["msg_type"] != "stream":
            pass
        message = client.client.session.msg("interrupt_request", {})
        client.client.control_channel.send(message)
        reply = await client.reply(message["header"]["msg_id"], "control")
        assert (reply["msg_type"], reply["content"]) == ("interrupt_reply", {"status": "ok"})
        assert (await client.reply(running))["content"]["ename"] == "KeyboardInterrupt"


async def test_r2_a_later_server_takes_over(start: Start, tmp_path: Path) -> None:
    """R2: what a server stores is enough for the next; the earlier one may do no more harm."""
    km = await start()
    earlier, pid = nanny_of(km), pid_of(km)
    stored = json.loads(json.dumps(await earlier.get_provisioner_info()))
    later = NannyProvisioner(kernel_spec=km.kernel_spec, parent=km)
    await later.load_provisioner_info(stored)
    assert (await later.address()).lease.epoch == 2
    assert (later.pid, await later.poll()) == (pid, None)
    with pytest.raises(NannyRefused):
        await earlier.command(Kind.SIGNAL, signum=signal.SIGKILL)
    assert await earlier.poll() is None  # its restarter is not to do anything either
    earlier.detach()
    km.provisioner = later
    await km.restart_kernel()
    async with Client(km) as client:
        assert (await client.run("print 0 1 0"))[1] == "0\n"


async def test_r5_a_kernel_that_died_meanwhile(start: Start) -> None:
    """R5: a server that comes back learns how the kernel ended, or that the nanny is gone too."""
    km = await start()
    earlier, pid, nanny_pid = nanny_of(km), pid_of(km), nanny_of(km).nanny_pid
    assert nanny_pid is not None
    stored = await earlier.get_provisioner_info()
    earlier.detach()
    os.kill(pid, signal.SIGTERM)
    await until(lambda: not is_running(pid))
    later = NannyProvisioner(kernel_spec=km.kernel_spec, parent=km)
    await later.load_provisioner_info(stored)
    await later.address()
    assert await later.poll() == -signal.SIGTERM
    later.detach()
    os.kill(nanny_pid, signal.SIGKILL)
    await until(lambda: not is_running(nanny_pid))
    last = NannyProvisioner(kernel_spec=km.kernel_spec, parent=km)
    await last.load_provisioner_info(stored)
    assert await last.poll() is not None
    km.provisioner = last


async def test_s3_secrets(start: Start) -> None:
    """S3: the key is in files that nobody else may read, and on no command line."""
    km = await start()
    key = km.get_connection_info()["key"]
    for pid in (nanny_of(km).nanny_pid, pid_of(km)):
        assert key not in command_line(pid)
    assert modes_of(spool_of(km), key) == [0o700, 0o600, 0o600]


async def test_a_runtime_folder_with_a_relative_name(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K9: as ``JUPYTER_RUNTIME_DIR=.run/runtime jupyter lab`` has it; the nanny works elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", "runtime")
    km = await start(spool_dir="")
    assert nanny_of(km).is_nanny_alive
    assert list((tmp_path / "runtime" / "notebook_exec").glob(f"{km.kernel_id}-*"))


async def test_a_kernel_that_cannot_be_started(start: Start, tmp_path: Path) -> None:
    """Q10: why it did not start is in the error, and no nanny stays behind."""
    add_spec(tmp_path, "none", ["/nowhere/kernel", "{connection_file}"], language="n")
    with pytest.raises(NannyRefused, match="/nowhere/kernel"):
        await start("none")
