"""The wheel, as people install it: one pip command, no Node, nothing to configure.

``make test-wheel`` builds it and names it in the environment; without that there is none to test.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import nbformat
import pytest
from ports import free_port

WHEEL = os.environ.get("NOTEBOOK_EXEC_WHEEL")
LOCKED = Path(__file__).parents[2] / "requirements-ci.txt"
TOKEN = "of-this-test"
START_S = 60.0

pytestmark = [
    pytest.mark.skipif(not WHEEL, reason="make test-wheel builds the wheel"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with JupyterLab and our wheel, and no Node in its path."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=True)
    assert WHEEL is not None
    run(folder, "python", "-m", "pip", "install", "-q", "-c", str(LOCKED), "jupyterlab", WHEEL)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Only what is installed there, and what every machine has but Node."""
    home = folder.parent
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    return kept | {
        "PATH": str(folder / "bin"),
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }


def run(folder: Path, program: str, *arguments: str) -> str:
    """What it says, on both of its streams, without colours."""
    answer = subprocess.run(
        [str(folder / "bin" / program), *arguments],
        check=True,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return re.sub(r"\x1b\[\d*m", "", answer.stdout)


@pytest.fixture
def url(installed: Path, tmp_path: Path) -> Iterator[str]:
    """A JupyterLab that was started as a user would, with a notebook in its root."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("print(6 * 7)", id="c0")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, tmp_path / "made.ipynb")
    port = free_port()
    command = [
        *(str(installed / "bin" / "jupyter"), "lab", "--no-browser", "--allow-root"),
        *(f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}"),
    ]
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=tmp_path, env=environment(installed), stdout=log, stderr=log
        )
        try:
            wait_until_it_answers(server, f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def wait_until_it_answers(server: subprocess.Popen[bytes], url: str) -> None:
    """Return when ``server`` answers at ``url``."""
    limit = time.monotonic() + START_S
    while True:
        assert server.poll() is None, "the server ended"
        try:
            ask(f"{url}/api/status")
            return
        except URLError:
            assert time.monotonic() < limit, "the server does not answer"
            time.sleep(0.2)  # a process that starts tells no one


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
    with urlopen(Request(url, data, headers), timeout=60) as answer:
        return json.load(answer)


def test_u1_the_wheel_brings_both_halves(installed: Path) -> None:
    """U1: the front end is there and on, and so is the server's part, with nothing configured."""
    front = run(installed, "jupyter", "labextension", "list")
    assert "notebook-exec v" in front
    assert "enabled" in front.split("notebook-exec v")[1].splitlines()[0]
    server = run(installed, "jupyter", "server", "extension", "list")
    assert "notebook_exec enabled" in server


def test_u1_a_cell_runs(url: str) -> None:
    """U1: what was installed with one command runs a cell, and JupyterLab loads the front end."""
    page = urlopen(Request(f"{url}/lab?token={TOKEN}"), timeout=60).read().decode()
    assert "notebook-exec" in page
    body = {"path": "made.ipynb", "cells": ["c0"]}
    accepted = ask(f"{url}/api/executions", body)
    execution = ask(f"{url}/api/executions/{accepted['executions'][0]['id']}?wait=60")
    assert execution["state"] == "finished"
    assert execution["outputs"][0]["text"] == "42\n"
