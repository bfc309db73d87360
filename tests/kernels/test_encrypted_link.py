"""A nanny that listens where others may hear (S3)."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelManager
from nanny_harness import Client, TcpProxy, make_specs, nanny_by_default, nanny_config, until

from notebook_exec.core.wire import OBSERVER, Kind, Record
from notebook_exec.kernels.messages import Wire
from notebook_exec.kernels.nanny_client import NannyAddress, NannyClient
from notebook_exec.kernels.nanny_log import NannyLog
from notebook_exec.kernels.nanny_port import NannyPort
from notebook_exec.kernels.provisioner import NannyProvisioner

MARK = "cross-my-heart"
Start = Callable[[str], Coroutine[Any, Any, AsyncKernelManager]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    started: list[AsyncKernelManager] = []

    async def start_one(link_ip: str) -> AsyncKernelManager:
        km = AsyncKernelManager(
            kernel_name="stub",
            kernel_spec_manager=make_specs(tmp_path),
            config=nanny_config(tmp_path, link_ip=link_ip),
            connection_file=str(tmp_path / "kernel.json"),
        )
        started.append(km)
        await km.start_kernel()
        return km

    with nanny_by_default():
        yield start_one
        for km in started:
            await km.shutdown_kernel(now=True)


def nanny_of(km: AsyncKernelManager) -> NannyProvisioner:
    assert isinstance(km.provisioner, NannyProvisioner)
    return km.provisioner


def told_of(pid: int | None) -> bytes:
    """What others may see of a process: its command line, and what its user may: environment."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


async def overheard(address: NannyAddress) -> bytes:
    """What passes between a link and its nanny while a marked word is run."""
    proxy = await TcpProxy.start(address.url.replace("0.0.0.0", "127.0.0.1"))
    heard = asyncio.Event()

    def on_records(records: list[Record]) -> None:
        if any(MARK.encode() in frame for record in records for frame in record.frames):
            heard.set()

    port = NannyPort(
        address._replace(url=proxy.url),
        0,
        on_records=on_records,
        on_attached=lambda fields: None,
        on_refused=lambda error: None,
    )
    frames = Wire(address.key, "hmac-sha256", session="ours").build(
        "execute_request", MARK, {"code": "print 0 1 0"}
    )
    port.request("shell", MARK, frames)
    await asyncio.wait_for(heard.wait(), 30)
    port.close()
    await proxy.close()
    return bytes(proxy.overheard)


@pytest.mark.parametrize(("link_ip", "is_plain"), [("127.0.0.1", True), ("0.0.0.0", False)])
async def test_s3_what_others_can_hear(start: Start, link_ip: str, is_plain: bool) -> None:
    """S3: off the machine nothing of what is said can be read on the way."""
    km = await start(link_ip)
    said = await overheard(await nanny_of(km).address())
    assert (MARK.encode() in said) is is_plain
    assert (b"execute_request" in said) is is_plain


async def test_s3_a_plain_connection_is_not_taken(start: Start) -> None:
    """S3: the key alone is not enough, nor another nanny's public key."""
    km = await start("0.0.0.0")
    address = await nanny_of(km).address()
    for wrong in (b"", b"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"):
        client = NannyClient(address._replace(lease=OBSERVER, curve_key=wrong))
        client.connect()
        client.socket.poll(500)
        assert client.receive() is None
        client.close()
    reader = NannyLog(address)
    assert (await reader.status())["state"] in ("starting", "idle")
    reader.close()
    info = await nanny_of(km).get_provisioner_info()
    later = NannyProvisioner(parent=km)
    await later.load_provisioner_info(json.loads(json.dumps(info)))
    assert (await later.command(Kind.STATUS)).fields["pid"] == nanny_of(km).pid
    await later.command(Kind.EXIT)
    later.detach()
    await until(lambda: not nanny_of(km).is_nanny_alive)


async def test_s3_where_the_secrets_are(start: Start, tmp_path: Path) -> None:
    """S3: in files that nobody else may read; on no command line, in no log, in no environment."""
    km = await start("0.0.0.0")
    async with Client(km) as client:
        await client.run("log something")
    nanny, folder = nanny_of(km), tmp_path / "nannies"
    (spool,) = list(folder.iterdir())
    config = json.loads((spool / "config.json").read_text())
    secrets = [config["key"].encode(), config["link_secretkey"].encode()]
    assert all(len(secret) > 30 for secret in secrets)
    for told in map(told_of, (nanny.nanny_pid, nanny.pid, os.getpid())):
        assert not [secret for secret in secrets if secret in told]
    holding = [
        path for path in spool.iterdir() if any(secret in path.read_bytes() for secret in secrets)
    ]
    assert {path.name for path in holding} == {"config.json", "kernel.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert secrets[1] not in (spool / "kernel.json").read_bytes()
