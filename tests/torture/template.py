"""A process that has imported all of a Jupyter Server, and forks one whenever it is told to.

Nearly all of the time that a server takes to start is its imports: without them, hundreds of
starts cost what a few did. What is forked is a server like any other, from its ``main`` on.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import socket
import sys

IMPORTS = (
    "jupyter_server.serverapp",
    "jupyter_server.services.contents.largefilemanager",
    "jupyter_server.services.sessions.handlers",
    "jupyter_server.nbconvert.handlers",
    "jupyter_server_fileid.extension",
    "nbconvert.exporters",
    "notebook_exec.server.wiring",
    "real_authorizer",
)


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    for name in IMPORTS:
        importlib.import_module(name)
    signals, signals_end = socket.socketpair()
    signals.setblocking(False)
    signals_end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *args: None)
    signal.set_wakeup_fd(signals_end.fileno(), warn_on_full_buffer=False)
    _say(channel, {"ready": os.getpid()})
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(signals, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is signals:
                    signals.recv(4096)
                    _reap(channel)
                    continue
                told, files, _, _ = socket.recv_fds(channel, 2**20, 1)
                if not told:
                    return
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for end in (selector, channel, signals, signals_end):
                        end.close()
                    return _serve(json.loads(told), files[0])
                os.close(files[0])
                _say(channel, {"started": pid})


def _serve(told: dict[str, object], errors: int) -> None:
    """Become the server."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(errors, 2)
    os.close(errors)
    os.environ.clear()
    os.environ.update(told["environment"])  # type: ignore[call-overload]
    os.chdir(str(told["folder"]))
    sys.argv = ["jupyter-server", *told["arguments"]]  # type: ignore[misc]
    from jupyter_server.serverapp import main as serve  # noqa: PLC0415 - imported long ago

    serve()


def _reap(channel: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say(channel, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(channel: socket.socket, what: dict[str, int]) -> None:
    channel.sendall(json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
