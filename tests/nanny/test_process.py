"""The kernel's process, in a process of its own: it collects all children that there are."""

from __future__ import annotations

import subprocess
import sys

DIES_BETWEEN_TWO_LOOKS = """
import os
from notebook_exec.nanny import process

class Kernel(process.KernelProcess):
    looks = 0

    def reap(self):
        self.looks += 1
        return None if self.looks == 1 else super().reap()

def children():
    if kernel.pid:
        os.waitid(os.P_PID, kernel.pid, os.WEXITED | os.WNOWAIT)
    return look()

look, process._children = process._children, children
kernel = Kernel()
os.close(kernel.start(["sleep", "60"], os.environ, None))
print(kernel.end().signal_name, kernel.is_running)
"""


def test_k1_whoever_dies_between_two_looks_is_collected() -> None:
    """K1, K4: a kernel that is dead, and not collected yet, is not taken for one that never was."""
    done = subprocess.run(
        [sys.executable, "-c", DIES_BETWEEN_TWO_LOOKS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("SIGKILL False\n", "")
