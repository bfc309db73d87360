"""A virtual environment for each system, made once with pip."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
ENVIRONMENTS = BENCHMARKS / ".envs"
INSTALL_S = 900

PACKAGES: dict[str, tuple[str, ...]] = {
    "tools": ("pycrdt", "aiohttp", "jupyter_client", "ipykernel", "nbclient"),
    "ours": (str(BENCHMARKS.parent), "ipykernel"),
    "jupyter-server-nbmodel": ("jupyter-server-nbmodel", "jupyter-collaboration", "ipykernel"),
    "jupyter-server-documents": ("jupyter-server-documents", "ipykernel"),
}
"""What pip installs where. "tools": the kernel of all systems, the clients, the raw loop."""

_VERSIONS_OF = (
    "notebook_exec",
    "jupyter-server-nbmodel",
    "jupyter-server-documents",
    "jupyter-collaboration",
    "jupyter_server",
    "jupyter_client",
    "pycrdt",
    "ipykernel",
    "nbclient",
)


def python_of(name: str) -> Path:
    """The interpreter of the environment ``name``."""
    return ENVIRONMENTS / name / "bin" / "python"


def prepare(name: str, *, again: bool = False) -> Path:
    """The interpreter of the environment ``name``, which is made if it is not there.

    ``again``: install our own code even if it is.
    """
    python = python_of(name)
    done = ENVIRONMENTS / name / "installed"
    if done.exists() and not again:
        return python
    print(f"installing {name} …", file=sys.stderr, flush=True)
    if not python.exists():
        venv.create(ENVIRONMENTS / name, with_pip=True)
    if not done.exists():
        _install(python, *PACKAGES[name])
    if again:
        # The version is the same as before, the code is not.
        _install(python, "--force-reinstall", "--no-deps", PACKAGES[name][0])
    done.touch()
    return python


def _install(python: Path, *what: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", *what]
    subprocess.run(command, check=True, timeout=INSTALL_S)


def versions(python: Path) -> dict[str, str]:
    """The versions of the packages that matter in an environment."""
    code = (
        "import importlib.metadata as m, json, sys\n"
        "found = {}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))\n"
    )
    command = [str(python), "-c", code, *_VERSIONS_OF]
    answer = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    found: dict[str, str] = json.loads(answer.stdout)
    return found


def write_kernelspec(data_folder: Path, name: str, python: Path) -> None:
    """A kernel that is the same for every system, whatever environment the server runs in."""
    folder = data_folder / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    argv: Sequence[str] = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
