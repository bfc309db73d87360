"""Finds the servers of the other tests."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("server", "process"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))

from lasting import make  # noqa: E402 - found by then

__all__ = ["make"]
