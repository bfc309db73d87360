"""The Jupyter tools that people use, unchanged, on kernels under a nanny."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import nbformat
import pytest
from jupyter_client import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from nanny_harness import NAME, is_running, nanny_by_default, nanny_config, until
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from ports import free_port

import notebook_exec
from notebook_exec.kernels.provisioner import NannyProvisioner

ROOT = Path(notebook_exec.__file__).parent.parent


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a shell in which the package is installed, and its provisioner the default."""
    info = tmp_path / "installed" / "notebook_exec_test-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: notebook-exec-test\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[{KernelProvisionerFactory.GROUP_NAME}]\n"
        f"{NAME} = notebook_exec.kernels.provisioner:NannyProvisioner\n"
    )
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(info.parent)]),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_DEFAULT_PROVISIONER_NAME": NAME,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }


def test_the_entry_point_is_declared() -> None:
    """K9: jupyter_client finds the provisioner by the name that kernelspecs give it."""
    text = (ROOT / "pyproject.toml").read_text()
    assert f'{NAME} = "{NannyProvisioner.__module__}:{NannyProvisioner.__name__}"' in text


async def test_jupyter_kernel_and_a_console(environment: dict[str, str], tmp_path: Path) -> None:
    """K10: ``jupyter kernel`` runs on it, an ``--existing`` app attaches, nothing stays behind."""
    app = await asyncio.create_subprocess_exec(
        *("jupyter", "kernel", "--kernel", "python3"),
        env=environment,
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    assert app.stderr is not None
    said = ""
    while not (found := re.search(r"Connection file: (\S+)", said)):
        line = await asyncio.wait_for(app.stderr.readline(), 30)
        assert line, said
        said += line.decode()
    (config,) = (tmp_path / "runtime" / "notebook_exec").glob("*/config.json")
    script = tmp_path / "script.py"
    script.write_text("import os; print('pids', os.getpid(), os.getppid())")
    console = await asyncio.create_subprocess_exec(
        *("jupyter", "run", "--existing", found.group(1), str(script)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(console.communicate(), 60)
    shown = re.search(rb"pids (\d+) (\d+)", output)
    assert shown, errors
    kernel, nanny = int(shown[1]), int(shown[2])
    assert is_running(kernel)
    console = await asyncio.create_subprocess_exec(
        *("jupyter", "console", "--existing", found.group(1), "--simple-prompt"),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said_in_it = b"print('the same:', os.getpid())\nexit(keep_kernel=True)\n"
    output, errors = await asyncio.wait_for(console.communicate(said_in_it), 60)
    assert f"the same: {kernel}".encode() in output, errors
    assert is_running(kernel)  # without this a console orders it to end
    assert json.loads(config.read_text())["ports"]["shell"] == 0
    app.send_signal(signal.SIGINT)
    await asyncio.wait_for(app.communicate(), 30)
    await until(lambda: not is_running(kernel) and not is_running(nanny))
    assert not config.exists()


async def test_kernel_gateway(environment: dict[str, str], tmp_path: Path) -> None:
    """K10: the kernel gateway starts, restarts, interrupts and ends kernels under nannies."""
    port = free_port()
    gateway = await asyncio.create_subprocess_exec(
        *("jupyter", "kernelgateway", "--ip=127.0.0.1", f"--port={port}"),
        env={**environment, "KG_AUTH_TOKEN": "secret"},
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    assert gateway.stderr is not None
    said = b""
    while f":{port}".encode() not in said:
        line = await asyncio.wait_for(gateway.stderr.readline(), 30)
        assert line, said
        said += line
    rest = asyncio.create_task(gateway.stderr.read())
    headers = {"Authorization": "token secret"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:

        async def ask(method: str, path: str, body: object = None) -> Any:
            async with http.request(method, path, json=body) as answer:
                assert answer.status < 300, await answer.text()
                return await answer.json() if answer.status != 204 else None

        async def pids() -> list[int]:
            url = f"/api/kernels/{kernel_id}/channels?token=secret"
            async with http.ws_connect(url) as channels:
                code = "import os; print('pids', os.getpid(), os.getppid(), flush=True)"
                request = {"code": code, "silent": False, "store_history": False,
                           "user_expressions": {}, "allow_stdin": False}  # fmt: skip
                head = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request",
                        "version": "5.3", "session": "s", "username": "u",
                        "date": "2026-01-01T00:00:00Z"}  # fmt: skip
                await channels.send_json({"header": head, "parent_header": {}, "metadata": {},
                                          "content": request, "channel": "shell"})  # fmt: skip
                async for message in channels:
                    text = json.loads(message.data)["content"].get("text", "")
                    if text.startswith("pids"):
                        return [int(word) for word in text.split()[1:]]
            raise AssertionError("the kernel said nothing")

        kernel_id = (await ask("POST", "/api/kernels", {"name": "python3"}))["id"]
        kernel, nanny = await asyncio.wait_for(pids(), 60)
        await ask("POST", f"/api/kernels/{kernel_id}/interrupt")
        await ask("POST", f"/api/kernels/{kernel_id}/restart")
        again, same = await asyncio.wait_for(pids(), 60)
        assert (again != kernel, same == nanny) == (True, True)
        assert b"notebook_exec.nanny" in command_line(nanny)
        await ask("DELETE", f"/api/kernels/{kernel_id}")
        await until(lambda: not is_running(again) and not is_running(nanny))
    gateway.send_signal(signal.SIGTERM)
    await asyncio.wait_for(gateway.wait(), 30)
    await rest


async def test_nbclient(tmp_path: Path) -> None:
    """K10: nbclient executes a notebook, sees its error, and a kernel that dies."""
    cells = [nbformat.v4.new_code_cell(source) for source in ("x = 6", "print(x * 7)", "1 / 0")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with nanny_by_default():
        client = NotebookClient(notebook, config=nanny_config(tmp_path), kernel_name="python3")
        with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
            await client.async_execute()
    assert notebook.cells[1].outputs[0].text == "42\n"
    await until(lambda: not list((tmp_path / "nannies").iterdir()))


def test_the_blocking_manager(tmp_path: Path) -> None:
    """K10: code without an event loop starts, restarts, interrupts and ends kernels."""
    with nanny_by_default():
        km = KernelManager(config=nanny_config(tmp_path))
        km.start_kernel()
        client = km.client()
        client.start_channels()
        client.wait_for_ready(timeout=30)
        assert client.execute_interactive("x = 1", timeout=30)["content"]["status"] == "ok"
        km.restart_kernel()
        client.wait_for_ready(timeout=30)
        assert (
            client.execute_interactive("x", timeout=30, output_hook=print)["content"]["ename"]
            == "NameError"
        )
        assert km.is_alive()
        provisioner = km.provisioner
        assert isinstance(provisioner, NannyProvisioner)
        client.stop_channels()
        km.shutdown_kernel()
        assert not km.is_alive()
        assert not provisioner.is_nanny_alive
