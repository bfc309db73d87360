"""A nanny outlives its server, and the next server has everything once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from nanny_harness import is_running, until

from notebook_exec.core.wire import Kind, Record
from notebook_exec.kernels.messages import Wire
from notebook_exec.kernels.nanny_port import NannyPort
from notebook_exec.kernels.provisioner import NannyProvisioner

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("short_lived_server.py")
LINES = 3000


def stored_lines(folder: Path) -> tuple[int, list[str]]:
    """The last position that was stored whole, and the lines up to it."""
    position, lines = 0, []
    seen = folder / "seen"
    for entry in seen.read_text().splitlines(keepends=True) if seen.exists() else []:
        if entry.endswith("\n"):
            position, more = json.loads(entry)
            lines += [json.loads(text)["text"] for text in more]
    return position, lines


@pytest.mark.parametrize("kill_after", [1, 50, 1200])
async def test_r2_the_server_is_killed(tmp_path: Path, kill_after: int) -> None:
    """R2: SIGKILL in the middle of output: the kernel goes on, and no line is lost or doubled."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), str(tmp_path), f"print 0 {LINES} 0.0005",
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(SERVER.parent), str(ROOT)]),
            "JUPYTER_RUNTIME_DIR": str(tmp_path),
        },
    )  # fmt: skip
    try:
        await until((tmp_path / "stored.json").exists)
        await until(lambda: len(stored_lines(tmp_path)[1]) >= kill_after)
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # the group: as a service manager might
        await server.wait()
    position, lines = stored_lines(tmp_path)
    provisioner = NannyProvisioner()
    await provisioner.load_provisioner_info(json.loads((tmp_path / "stored.json").read_text()))
    assert await provisioner.poll() is None
    address = await provisioner.address()
    wire = Wire(address.key, "hmac-sha256", session="ours")
    idle = asyncio.Event()

    def take(records: list[Record]) -> None:
        for record in records:
            if record.channel == "iopub":
                message, parent = wire.parse("iopub", record.frames)
                if message.msg_type == "stream" and parent.msg_id == "e1":
                    lines.append(message.content["text"])
                elif message.content.get("execution_state") == "idle":
                    idle.set()

    port = NannyPort(
        address,
        position,
        on_records=take,
        on_attached=lambda fields: None,
        on_refused=lambda error: None,
    )
    await asyncio.wait_for(idle.wait(), 30)
    port.close()
    assert lines == [f"{number}\n" for number in range(LINES)]
    pid, nanny_pid = provisioner.pid, provisioner.nanny_pid
    assert pid is not None
    assert nanny_pid is not None
    assert (await provisioner.command(Kind.STATUS)).fields["pid"] == pid
    await provisioner.cleanup()
    assert not is_running(pid)
    assert not is_running(nanny_pid)
