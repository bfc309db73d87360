"""Runs us beside the raw kernel and our peers, and writes the table into README.md.

``python benchmarks/run.py`` does all of it; ``--quick`` is for trying the scripts out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cases import PLAIN, Case, cases
from environments import BENCHMARKS, prepare, versions, write_kernelspec
from processes import Server, jupyter_environment
from report import Results, machine, table, write_readme

KERNEL = "bench"
CLIENTLESS = ("raw", "nbclient")
SERVERS = ("ours", PLAIN, "jupyter-server-nbmodel", "jupyter-server-documents")
_OURS = {
    "ServerApp": {"jpserver_extensions": {"notebook_exec": True, "jupyter_server_ydoc": False}}
}
CONFIG: dict[str, dict[str, Any]] = {
    "ours": _OURS,
    PLAIN: {**_OURS, "NotebookExecApp": {"nanny": False}},
}
"""What has to be said beyond what the packages do themselves: in a checkout, ours."""
MARGIN_S = 90.0


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--systems", nargs="+", default=[*CLIENTLESS, *SERVERS])
    parser.add_argument("--cases", nargs="+", default=list(cases(1.0)))
    parser.add_argument("--ours-python", type=Path, help="an interpreter that has notebook_exec")
    parser.add_argument("--no-write", action="store_true", help="leave README.md as it is")
    return parser.parse_args()


class Bench:
    """The servers, started, and how to measure one case on one system."""

    def __init__(self, folder: Path, pythons: dict[str, Path], scale: float) -> None:
        self._folder = folder
        self._pythons = pythons
        self._scale = scale
        self._servers: dict[str, Server] = {}

    def start(self, system: str, stack: ExitStack) -> None:
        """Start the server of ``system``; it is stopped with ``stack``."""
        folder = self._folder / system
        write_kernelspec(folder / "data", KERNEL, self._pythons["tools"])
        server = Server(self._pythons[system], folder, CONFIG.get(system, {}))
        stack.callback(server.stop)
        server.start()
        server.pause()
        self._servers[system] = server

    def measure(self, system: str, case: Case) -> dict[str, Any]:
        """One measurement, in a process of its own; an error is a result too."""
        task: dict[str, Any] = {
            "system": system,
            "case": case.name,
            "scale": self._scale,
            "kernel_name": KERNEL,
        }
        script = "raw.py"
        folder = self._folder / "client"
        write_kernelspec(folder / "data", KERNEL, self._pythons["tools"])
        if system in self._servers:
            server = self._servers[system]
            server.resume()
            task |= {"url": server.url, "token": server.token, "server_pid": server.pid}
            script = "measure.py"
        command = [str(self._pythons["tools"]), str(BENCHMARKS / script), json.dumps(task)]
        result = _result_of(command, jupyter_environment(folder), case.timeout_s + MARGIN_S)
        if system in self._servers:
            with contextlib.suppress(OSError):  # it may have died of the measurement
                if "error" in result:
                    self._servers[system].end_sessions()
                self._servers[system].pause()
        return result


def _result_of(command: list[str], environment: dict[str, str], timeout_s: float) -> dict[str, Any]:
    try:
        answer = subprocess.run(
            command,
            check=False,
            timeout=timeout_s,
            capture_output=True,
            text=True,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"error": "no end"}
    if answer.returncode != 0:
        return {"error": answer.stderr.strip()[-2000:]}
    result: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    return result


def is_measured(system: str, case: Case) -> bool:
    """Whether ``case`` says anything about ``system``."""
    if system == "nbclient":
        return case.name == "cells"
    if case.by_post:
        return system in ("raw", "ours", PLAIN)  # the others have no other way
    return system != "raw" or case.has_raw


def main() -> None:
    """Measure in turns, so that what else the machine does hits all systems alike."""
    options = arguments()
    scale, rounds = (0.1, 1) if options.quick else (1.0, options.rounds)
    chosen = [case for case in cases(scale).values() if case.name in options.cases]
    servers = [system for system in SERVERS if system in options.systems]
    pythons = {"tools": prepare("tools")}
    for system in servers:
        if system in CONFIG and options.ours_python is not None:
            pythons[system] = options.ours_python.absolute()
        elif system in CONFIG:
            pythons[system] = pythons.get("ours") or prepare("ours", again=True)
        else:
            pythons[system] = prepare(system)
    results: Results = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bench = Bench(Path(folder), pythons, scale)
        for system in servers:
            bench.start(system, stack)
        for number in range(rounds):
            for case in chosen:
                for system in options.systems:
                    if is_measured(system, case):
                        result = bench.measure(system, case)
                        results.setdefault(case.name, {}).setdefault(system, []).append(result)
                        said = (number + 1, case.name, system, json.dumps(result))
                        print(*said, file=sys.stderr, flush=True)
    text = table(results, {case.name: case for case in chosen}, options.systems)
    about = machine({name: versions(python) for name, python in pythons.items()}, rounds)
    print(text)
    if not options.no_write:
        write_readme(BENCHMARKS / "README.md", f"{about}\n\n{text}")


if __name__ == "__main__":
    main()
