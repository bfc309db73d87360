"""Finds the harness of the server's tests: a real server, and plain y-websocket clients."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))

from lasting import make

__all__ = ["make"]
