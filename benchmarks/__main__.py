"""``python -m benchmarks``: the same as ``python benchmarks/run.py``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

# The scripts import each other by name, as they do when one is run by its path.
sys.path.insert(0, str(Path(__file__).resolve().parent))
importlib.import_module("run").main()
