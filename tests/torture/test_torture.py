"""Servers killed at any moment, again and again; in the end every cell shows what it said, once.

``NOTEBOOK_EXEC_TORTURE_SEED`` and ``NOTEBOOK_EXEC_TORTURE_KILLS`` say what is tried; ``make
torture`` is the long run.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from lasting import LastingServer
from programs import SETUP, Program, random_program, seen

SEED = int(os.environ.get("NOTEBOOK_EXEC_TORTURE_SEED", "1"))
KILLS = int(os.environ.get("NOTEBOOK_EXEC_TORTURE_KILLS", "4"))
NOTEBOOKS = 2


@pytest.mark.timeout(60 + 30 * KILLS)
def test_r2_the_server_is_killed_again_and_again(make: Callable[..., LastingServer]) -> None:
    """R2, P5: over several notebooks, with whatever their cells do at that moment."""
    rng = random.Random(SEED)
    server = make()
    kills = rounds = 0
    while kills < KILLS:
        notebooks = _submit_round(server, rng, rounds)
        rounds += 1
        while any(_is_open(server, execution) for _, execution in notebooks):
            deadline = time.monotonic() + rng.uniform(0.0, 3.0)
            while time.monotonic() < deadline:
                _answer_all(server, notebooks)
            server.kill()
            server.start()
            kills += 1
        for program, execution in notebooks:
            _check(server, program, execution, f"seed {SEED}, kill {kills}")


Runs = list[tuple[Program, dict[str, Any]]]


def _submit_round(server: LastingServer, rng: random.Random, number: int) -> Runs:
    runs: Runs = []
    for index in range(NOTEBOOKS):
        programs = [random_program(rng) for _ in range(6)]
        sources = [SETUP, *(program.source for program in programs)]
        path = server.notebook(f"{number}-{index}.ipynb", *sources)
        executions = server.submit(path)
        runs += zip([Program(SETUP, []), *programs], executions, strict=True)
    return runs


def _get(server: LastingServer, execution: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = server.ask("GET", f"/api/executions/{execution['id']}").json
    return body


def _is_open(server: LastingServer, execution: dict[str, Any]) -> bool:
    return _get(server, execution)["state"] in ("queued", "running", "waiting_input")


def _answer_all(server: LastingServer, runs: Runs) -> None:
    waiting = server.ask("GET", "/api/executions?state=waiting_input").json["executions"]
    for execution in waiting:
        answer = server.ask("POST", f"/api/executions/{execution['id']}/input", {"value": "it"})
        assert answer.status in (200, 409), answer.body  # 409: answered just now


def _check(server: LastingServer, program: Program, execution: dict[str, Any], when: str) -> None:
    ended = _get(server, execution)
    assert ended["state"] == "finished", (when, ended)
    found = seen(ended["outputs"])
    wanted = program.outputs
    if "input(" in program.source:  # what was typed is shown by the server, and may be lost
        found = [(name, text.replace("what? it\n", "")) for name, text in found]
        wanted = [(name, text.replace("what? it\n", "")) for name, text in wanted]
    assert found == wanted, (when, program.source)
