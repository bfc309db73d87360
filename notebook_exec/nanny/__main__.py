"""``python -m notebook_exec.nanny --config FILE``."""

from __future__ import annotations

import sys

from notebook_exec.nanny.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
