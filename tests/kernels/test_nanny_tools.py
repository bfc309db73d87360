"""The Jupyter tools that people use, unchanged, on kernels under a nanny."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from nanny_harness import NAME, is_running, nanny_by_default, nanny_config, until
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import notebook_exec
from notebook_exec.kernels.provisioner import NannyProvisioner

ROOT = Path(notebook_exec.__file__).parent.parent


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
    assert json.loads(config.read_text())["ports"]["shell"] == 0
    app.send_signal(signal.SIGINT)
    await asyncio.wait_for(app.communicate(), 30)
    await until(lambda: not is_running(kernel) and not is_running(nanny))
    assert not config.exists()


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
