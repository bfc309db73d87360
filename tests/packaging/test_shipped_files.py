"""What the wheel puts beside the package: the server's configuration and the front end."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from jupyter_server.extension.config import ExtensionConfigManager

ROOT = Path(__file__).parents[2]
CONFIG = Path("jupyter_server_config.d")


def test_u1_our_server_extension_takes_the_place_of_jupyter_server_ydoc(tmp_path: Path) -> None:
    """U1: in one directory our file is read after the other's, in whatever order they came."""
    folder = tmp_path / CONFIG
    folder.mkdir()
    ours = ROOT / "jupyter-config" / CONFIG / "notebook_exec.json"
    shutil.copy(ours, folder)
    theirs = {"ServerApp": {"jpserver_extensions": {"jupyter_server_ydoc": True}}}
    (folder / "jupyter_collaboration.json").write_text(json.dumps(theirs))

    manager = ExtensionConfigManager(read_config_path=[str(tmp_path)])

    assert manager.get_jpserver_extensions() == {
        "jupyter_server_ydoc": False,
        "notebook_exec": True,
    }


def test_u1_the_front_end_switches_off_what_it_replaces() -> None:
    """U1: two executors, or two notices of a lost connection, would not start."""
    package = json.loads((ROOT / "package.json").read_text())

    assert set(package["jupyterlab"]["disabledExtensions"]) == {
        "@jupyterlab/notebook-extension:cell-executor",
        "@jupyter/docprovider-extension:notebook-cell-executor",
        "@jupyterlab/hub-extension:connectionlost",
    }


def test_both_halves_have_one_version() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    project = (ROOT / "pyproject.toml").read_text()

    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)

    assert version is not None
    assert package["version"] == version[1]


def test_lock_files_name_no_host() -> None:
    for path in ("package-lock.json", "ui-tests/package-lock.json", "requirements-ci.txt"):
        text = (ROOT / path).read_text()
        assert '"resolved"' not in text, path
        assert " @ " not in text, path
