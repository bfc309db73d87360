"""A server that starts a kernel, sets it to work, stores what the next one needs, and is killed.

Run as ``python short_lived_server.py FOLDER CODE``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from jupyter_client import AsyncKernelManager
from nanny_harness import make_specs, nanny_by_default, nanny_config

from notebook_exec.core.wire import Record
from notebook_exec.kernels.messages import Wire
from notebook_exec.kernels.nanny_port import NannyPort
from notebook_exec.kernels.provisioner import NannyProvisioner


async def main(folder: Path, code: str) -> None:
    with nanny_by_default():
        km = AsyncKernelManager(
            kernel_name="stub",
            kernel_spec_manager=make_specs(folder),
            config=nanny_config(folder, orphan_timeout_s=60.0),
        )
        await km.start_kernel()
    provisioner = km.provisioner
    assert isinstance(provisioner, NannyProvisioner)
    address = await provisioner.address()
    attached = asyncio.Event()
    seen = folder / "seen"

    def store(records: list[Record]) -> None:
        """As a server does: what came, and up to where, in one step."""
        output = [record.frames for record in records if record.channel == "iopub"]
        lines = [frames[5].decode() for frames in output if b'"stream"' in frames[2]]
        with seen.open("a") as file:
            file.write("".join(json.dumps([records[-1].position, lines]) + "\n"))

    port = NannyPort(
        address,
        0,
        on_records=store,
        on_attached=lambda fields: attached.set(),
        on_refused=lambda error: None,
    )
    await attached.wait()
    wire = Wire(address.key, "hmac-sha256", session="ours")
    port.request("shell", "e1", wire.build("execute_request", "e1", {"code": code}))
    (folder / "stored.json").write_text(json.dumps(await provisioner.get_provisioner_info()))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
