"""Where a kernel tells which ports it bound by itself (JEP 66; the handshake of protocol 5.6)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import zmq

from notebook_exec import multipart
from notebook_exec.nanny.config import CHANNELS
from notebook_exec.nanny.jupyter import DELIMITER, Signer
from notebook_exec.nanny.ports import HOST
from notebook_exec.nanny.reactor import Reactor

Socket = zmq.Socket[bytes]

_ACK = b"ACK"
_LINGER_MS = 1000


class Registration:
    """A socket for one process of the kernel, closed once that has registered."""

    def __init__(
        self,
        context: zmq.Context[Socket],
        reactor: Reactor,
        signer: Signer,
        on_ports: Callable[[dict[str, int]], None],
    ) -> None:
        """``on_ports`` gets the kernel's ports by channel, once at most."""
        self._reactor = reactor
        self._signer = signer
        self._on_ports = on_ports
        self._kernel_id = os.urandom(16).hex()  # of this process: an earlier one's is no good
        self._socket = context.socket(zmq.ROUTER)
        self._socket.bind(f"tcp://{HOST}:*")
        endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.fields = {
            "kernel_id": self._kernel_id,
            "registration_ip": HOST,
            # The protocol's example has a number here; xeus 6 ends with an error at one.
            "registration_port": endpoint.rpartition(":")[2],
        }
        """What the kernel is told of it, in its connection file."""
        reactor.add_reader(self._socket, self._read)

    def close(self) -> None:
        """May be repeated."""
        self._reactor.remove_reader(self._socket)
        self._socket.close(linger=_LINGER_MS)

    def _read(self) -> None:
        while True:
            try:
                frames = multipart.receive(self._socket)
            except zmq.Again:
                return
            ports = self._ports(frames)
            if ports is not None:
                identities = frames[: frames.index(DELIMITER)]
                reply = [*identities, DELIMITER, self._signer.sign([_ACK]), _ACK]
                self._reactor.send(self._socket, reply)
                self.close()
                self._on_ports(ports)
                return

    def _ports(self, frames: list[bytes]) -> dict[str, int] | None:
        """None if it is no registration of this kernel: anyone on this machine can connect."""
        try:
            start = frames.index(DELIMITER)
            signature, content = frames[start + 1 : start + 3]
            if not self._signer.is_signature(signature, [content]):
                return None
            said = json.loads(content)
            ports = {channel: int(said[f"{channel}_port"]) for channel in CHANNELS}
            is_ours = said["kernel_id"] == self._kernel_id
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return ports if is_ours and all(0 < port < 2**16 for port in ports.values()) else None
