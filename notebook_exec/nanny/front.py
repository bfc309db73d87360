"""The ports that clients of the kernel know. They are bound once, and never change."""

from __future__ import annotations

import os

import zmq

from notebook_exec.nanny.config import CHANNELS, Config
from notebook_exec.nanny.reactor import Reactor

Socket = zmq.Socket[bytes]

_TYPES = {
    "shell": zmq.ROUTER,
    "iopub": zmq.XPUB,
    "stdin": zmq.ROUTER,
    "control": zmq.ROUTER,
    "hb": zmq.ROUTER,
}
_IOPUB_BACKLOG = 10_000  # messages a client may be behind; ten times what ipykernel grants


class Front:
    """Five bound sockets, by channel."""

    def __init__(self, context: zmq.Context[Socket], reactor: Reactor, config: Config) -> None:
        """Raises ``zmq.ZMQError`` if a port that was asked for is taken."""
        self._reactor = reactor
        self._config = config
        self.sockets: dict[str, Socket] = {}
        self.ports: dict[str, int] = {}
        for index, channel in enumerate(CHANNELS):
            socket = context.socket(_TYPES[channel])
            self.sockets[channel] = socket
            self._prepare(socket, channel)
            self.ports[channel] = self._bind(socket, config.ports[index], index)

    def send(self, channel: str, frames: list[bytes]) -> None:
        """Send to the client whose identity is the first frame, or to nobody if it is gone."""
        self._reactor.send(self.sockets[channel], frames)

    def publish(self, frames: list[bytes]) -> None:
        """Send to all who listen on iopub. Never waits: who is too far behind misses some."""
        self._reactor.send(self.sockets["iopub"], frames)

    def close(self) -> None:
        """Close the ports, after what was sent has left."""
        for index, channel in enumerate(CHANNELS):
            self.sockets[channel].close(linger=1000)
            if self._config.transport == "ipc":
                path = f"{self._config.ip}-{self.ports[channel] or index + 1}"
                if os.path.exists(path):
                    os.unlink(path)

    def _prepare(self, socket: Socket, channel: str) -> None:
        socket.linger = 1000
        if channel == "iopub":
            # A welcome for every subscription, not only for the first of its kind (JEP 65).
            socket.setsockopt(zmq.XPUB_VERBOSE, 1)
            socket.sndhwm = _IOPUB_BACKLOG
        else:
            # A client that comes back on a new connection takes its name over from the old one.
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
            socket.sndhwm = socket.rcvhwm = 0
        if self._config.curve_secretkey:
            socket.curve_server = True
            socket.curve_publickey = self._config.curve_publickey
            socket.curve_secretkey = self._config.curve_secretkey

    def _bind(self, socket: Socket, port: int, index: int) -> int:
        config = self._config
        if config.transport == "ipc":
            port = port or index + 1
            socket.bind(f"ipc://{config.ip}-{port}")
            return port
        socket.bind(f"{config.transport}://{config.ip}:{port or '*'}")
        endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        return int(endpoint.rpartition(":")[2])
