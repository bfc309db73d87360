"""Ports for a kernel that binds them itself, a moment after somebody chose them (K8)."""

from __future__ import annotations

import socket
import sys

HOST = "127.0.0.1"


class HeldPorts:
    """Ports of this machine, kept from being given to anyone else.

    On Linux a socket that is bound but does not listen keeps its port out of what the system
    gives away, and still lets another one bind and listen if both say SO_REUSEADDR, as libzmq
    does. So the ports stay held while the kernel uses them. Elsewhere that would keep the kernel
    out too: there they are let go at once.
    """

    def __init__(self, count: int) -> None:
        self._sockets = []
        for _ in range(count):
            held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((HOST, 0))
            self._sockets.append(held)
        self.numbers = [int(held.getsockname()[1]) for held in self._sockets]
        if not sys.platform.startswith("linux"):
            self.close()

    def close(self) -> None:
        """Let go of them. May be repeated."""
        for held in self._sockets:
            held.close()
        self._sockets.clear()
