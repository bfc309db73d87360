"""Asks ipykernel to keep more of its output back before it drops some.

ipykernel publishes through a ZMQ socket whose queue holds 1,000 messages for each client. When its
own sending thread does not get its time, or a client is slow, what comes beyond that is dropped
silently: with ten kernels that print without pause on two cores, up to a sixth of the lines (seen).
The queues of the clients that are connected can be made longer while the kernel runs, by code that
shows nowhere. Other kernels are left alone.

A client that disconnects in that very moment has libzmq 4.3.5 crash, and with it the kernel (seen
in one start of a hundred, when the server's own watcher of iopub was closed then): nothing
of ours therefore disconnects from a kernel that has just become ready.
"""

from __future__ import annotations

import uuid
from typing import Protocol

from jupyter_client.kernelspec import NoSuchKernel

from notebook_exec.core.model import ExecutionId
from notebook_exec.kernels.managers import KernelManager

_MESSAGES = 200_000  # about 100 MB, should a client of the kernel stand still
_PREFIX = "room-for-output-"
_SNDHWM = 23  # zmq.SNDHWM; the kernel's own pyzmq may be of any version
# A statement, so that nothing is displayed; a lambda, so that no name is left behind. The socket
# belongs to the thread that sends.
CODE = f"""\
try:
    (lambda t: t.schedule(lambda: t.socket.setsockopt({_SNDHWM}, {_MESSAGES})))(
        get_ipython().kernel.iopub_thread
    )
except Exception:
    pass
"""


class Executor(Protocol):
    """A ``Link``, as far as it is needed."""

    def execute(
        self,
        execution_id: ExecutionId,
        source: str,
        *,
        allow_stdin: bool,
        store_history: bool = True,
        silent: bool = False,
        stop_on_error: bool = True,
    ) -> None:
        """See ``Link.execute``."""


def ask_for_room(link: Executor, manager: KernelManager) -> None:
    """Send the request by ``link`` if the kernelspec of ``manager`` says that it is Python."""
    try:
        spec = manager.kernel_spec
    except NoSuchKernel:
        return  # the kernelspec was removed since the kernel was started
    if spec is None or spec.language != "python":
        return
    link.execute(
        ExecutionId(f"{_PREFIX}{uuid.uuid4()}"),
        CODE,
        allow_stdin=False,
        store_history=False,
        silent=True,
        stop_on_error=False,
    )


def is_about_room(parent_id: str) -> bool:
    """Whether a message came of such a request, of whichever link to the kernel."""
    return parent_id.startswith(_PREFIX)
