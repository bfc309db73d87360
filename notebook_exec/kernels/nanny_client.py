"""One connection to a nanny, from the server's side; belongs to no event loop."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import zmq

from notebook_exec import multipart
from notebook_exec.core import wire
from notebook_exec.core.wire import Frame, Kind, Lease


class NannyRefused(Exception):
    """The nanny does not do what it was told, or does not accept this server, or not any more.

    ``epoch`` is the lease in force; ``errno`` is 0 if the system had nothing against it.
    """

    def __init__(self, message: str, *, code: str = "", epoch: int = 0, errno: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.epoch = epoch
        self.errno = errno


class NannyAddress(NamedTuple):
    """How a nanny is reached, and who says so."""

    url: str
    key: bytes
    lease: Lease
    curve_key: bytes = b""  # the nanny's public key; without one nothing is encrypted (S3)


class NannyClient:
    """A DEALER that says hello when it is made, and again on ``hello``. Never blocks."""

    def __init__(self, address: NannyAddress, *, takes_over: bool = False) -> None:
        """``takes_over``: claim the epoch after the one in force; ``lease`` is right after that.

        What is sent before the welcome waits for it.
        """
        self.lease = address.lease
        self.is_welcome = False
        self._key = address.key
        self._takes_over = takes_over
        self._nonce = b""
        self._seal: wire.Seal | None = None
        self._unsent: list[tuple[Kind, Mapping[str, Any], Sequence[bytes]]] = []
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvhwm = 0
        self.socket.sndhwm = 0
        self.socket.setsockopt(zmq.RECONNECT_IVL, 50)
        if address.curve_key:
            # A new pair for each connection: who may speak is shown by the seal.
            self.socket.curve_publickey, self.socket.curve_secretkey = zmq.curve_keypair()
            self.socket.curve_serverkey = address.curve_key
        self.url = address.url

    def connect(self) -> None:
        """Begin; ``receive`` goes on with it."""
        self.socket.connect(self.url)
        self.hello()

    def hello(self) -> None:
        """Begin anew, on a new connection of the same socket too."""
        self._seal, self.is_welcome = None, False
        self._nonce = os.urandom(16)
        lease = wire.OBSERVER if self._takes_over else self.lease
        self._transmit(wire.hello(self._key, self._nonce, lease))

    def send(
        self, kind: Kind, fields: Mapping[str, Any] | None = None, parts: Sequence[bytes] = ()
    ) -> int:
        """Send, at the latest after the welcome. The number is that of the answer's ``re``.

        It is 0 for what has to wait, which nobody should need an answer to.
        """
        if self._seal is None:
            self._unsent.append((kind, fields or {}, parts))
            return 0
        number, frames = self._seal.seal(kind, fields, parts)
        self._transmit(frames)
        return number

    def receive(self) -> Frame | None:
        """The next message, a ``WELCOME`` too; None if there is none yet.

        Raises ``NannyRefused``.
        """
        while True:
            try:
                frames = multipart.receive(self.socket)
            except zmq.Again:
                return None
            try:
                frame = self._seal.open(frames) if self._seal else self._greeted(frames)
            except wire.WireError:
                continue  # of an earlier connection, or of nobody we know
            if frame is None:
                continue
            if frame.kind is Kind.ERROR and frame.fields.get("code") in (
                "stale_lease",
                "lease_lost",
            ):
                raise NannyRefused(
                    str(frame.fields.get("message")),
                    code=str(frame.fields.get("code")),
                    epoch=int(frame.fields.get("epoch", 0)),
                )
            return frame

    def close(self, *, linger_ms: int = 0) -> None:
        """May be repeated. ``linger_ms``: how long what was sent may still take to leave."""
        self.socket.close(linger=linger_ms)

    def _greeted(self, frames: list[bytes]) -> Frame | None:
        seal, frame = wire.open_welcome(self._key, self._nonce, frames)
        if seal is None:
            return frame
        if self._takes_over:
            self._takes_over = False
            self.lease = Lease(int(frame.fields["epoch"]) + 1, self.lease.holder)
            self.hello()
            return None
        self._seal, self.is_welcome = seal, True
        unsent, self._unsent = self._unsent, []
        for kind, fields, parts in unsent:
            self.send(kind, fields, parts)
        return frame

    def _transmit(self, frames: list[bytes]) -> None:
        multipart.send(self.socket, frames)
