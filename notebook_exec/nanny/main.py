"""The nanny's begin: configuration in, one line out, then it is on its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import zmq

from notebook_exec.core import wire
from notebook_exec.nanny.config import ConfigError, load
from notebook_exec.nanny.supervisor import Supervisor


def main(arguments: Sequence[str]) -> int:
    """Run a nanny. What it is to be told is in a file: a command line can be read by anyone."""
    if len(arguments) != 2 or arguments[0] != "--config":
        sys.stderr.write("usage: python -m notebook_exec.nanny --config FILE\n")
        return 2
    try:
        config = load(arguments[1])
        supervisor = Supervisor(config)
    except (ConfigError, OSError, ValueError, zmq.ZMQError) as error:
        _say({"error": str(error), "errno": getattr(error, "errno", None) or 0})
        return 1
    _say(
        {
            "version": wire.VERSION,
            "pid": os.getpid(),
            "ports": supervisor.front.ports,
            "link": supervisor.link.url,
        }
    )
    supervisor.run()
    return 0


def _say(fields: dict[str, Any]) -> None:
    """The one line on stdout, which whoever started this reads, and may then go away."""
    os.write(1, json.dumps(fields).encode() + b"\n")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
