"""The nanny's end of the link: who may speak, who drives, and the journal on its way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import zmq

from notebook_exec import multipart
from notebook_exec.core import wire
from notebook_exec.core.wire import Kind, Lease
from notebook_exec.nanny.journal import CHUNK_BYTES, Cursor, Journal
from notebook_exec.nanny.orphan import Orphanhood
from notebook_exec.nanny.reactor import Reactor

Socket = zmq.Socket[bytes]

_CHUNKS_A_ROUND = 8
_FOR_OBSERVERS = (Kind.PING, Kind.STATUS, Kind.LOG)


class CommandFailed(Exception):
    """A command has no effect. ``code`` is for programs; ``errno`` is 0 if the system said none."""

    def __init__(self, code: str, message: str, errno: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.errno = errno


class Answer(NamedTuple):
    """What a command brings."""

    fields: Mapping[str, Any] = {}
    parts: Sequence[bytes] = ()


Handler = Callable[[wire.Frame], Answer | None]
"""What a command does; None if it is answered later, or never."""


class Peer:
    """One connection, after its hello."""

    def __init__(self, identity: bytes, seal: wire.Seal, lease: Lease) -> None:
        self.identity = identity
        self.seal = seal
        self.lease = lease
        self.cursor: Cursor | None = None  # None: not attached
        self.credit = 0
        self.acked = 0
        self.heard = 0  # the number of the last message that came
        self.confirmed = 0  # and what of it the server knows
        self.log_waits: list[wire.Frame] = []


class LinkServer:
    """A ROUTER for any number of connections, of one server at a time."""

    def __init__(
        self,
        context: zmq.Context[Socket],
        reactor: Reactor,
        journal: Journal,
        url: str,
        *,
        key: bytes,
        lease: Lease,
        curve: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        """``curve``: public and secret key; without them nothing is encrypted (S3)."""
        self._reactor = reactor
        self._journal = journal
        self._key = key
        self.lease = lease
        self._peers: dict[bytes, Peer] = {}
        self._orphanhood: Orphanhood | None = None
        self.on_attach: Callable[[], dict[str, Any]] = dict
        self.handlers: dict[Kind, Handler] = {}
        self.status: Callable[[], dict[str, Any]] = dict
        self.read_log: Callable[[int], Answer | None] = lambda offset: Answer()
        self._socket = context.socket(zmq.ROUTER)
        self._socket.linger = 1000
        self._socket.sndhwm = self._socket.rcvhwm = 0
        # Sending to a peer that is gone raises: that is how its absence is noticed.
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        public, secret = curve
        if secret:
            self._socket.curve_server = True
            self._socket.curve_publickey, self._socket.curve_secretkey = public, secret
        self._socket.bind(url)
        self.url = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        reactor.add_reader(self._socket, self._read)

    @property
    def is_attended(self) -> bool:
        """Whether a server reads the journal, as far as is known."""
        return any(peer.cursor is not None for peer in self._peers.values())

    def watch_for_orphanhood(self, timeout_s: float, on_orphaned: Callable[[], None]) -> None:
        """Call ``on_orphaned`` when nobody with a lease was there for ``timeout_s`` (K7)."""
        self._orphanhood = orphanhood = Orphanhood(timeout_s, time.monotonic())

        def look() -> None:
            for peer in list(self._peers.values()):
                self._send(peer, Kind.PING)
            is_alone = not any(peer.lease.epoch for peer in self._peers.values())
            if orphanhood.look(time.monotonic(), is_alone=is_alone):
                on_orphaned()
            else:
                self._reactor.call_later(orphanhood.interval_s, look)

        self._reactor.call_later(orphanhood.interval_s, look)

    def tell(self, fields: Mapping[str, Any]) -> None:
        """Push a notice to everyone who is connected, attached or not."""
        for peer in list(self._peers.values()):
            self._send(peer, Kind.NOTICE, fields)

    def pump(self) -> None:
        """Send what the journal has, as far as credit goes; answer who waits for the log."""
        for peer in list(self._peers.values()):
            cursor = peer.cursor
            if cursor is not None and peer.credit > 0 and cursor.position < self._journal.last:
                self._send_journal(peer, cursor)
            if peer.log_waits:
                peer.log_waits = [f for f in peer.log_waits if not self._answer_log(peer, f)]

    def close(self) -> None:
        """After what was sent has left."""
        self._socket.close(linger=1000)

    # --- from the peers ---------------------------------------------------------------------

    def _read(self) -> None:
        for _ in range(100):
            try:
                identity, *frames = multipart.receive(self._socket)
            except zmq.Again:
                return
            if wire.is_hello(frames):
                self._welcome(identity, frames)
                continue
            peer = self._peers.get(identity)
            if peer is None:
                continue  # never said hello: owes us a proof, and gets no answer
            try:
                frame = peer.seal.open(frames)
            except wire.WireError:
                continue
            peer.heard = frame.number
            self._handle(peer, frame)

    def _welcome(self, identity: bytes, frames: list[bytes]) -> None:
        try:
            hello_nonce, lease = wire.open_hello(self._key, frames)
        except wire.WireError:
            return
        if lease.epoch and lease != self.lease and lease.epoch <= self.lease.epoch:
            fields = {"code": "stale_lease", "message": "another server has the kernel",
                      "epoch": self.lease.epoch}  # fmt: skip
            self._transmit(identity, wire.refusal(self._key, hello_nonce, fields))
            return
        if lease.epoch > self.lease.epoch:
            self._take_over(lease)
        if lease.epoch and self._orphanhood is not None:
            self._orphanhood.seen()
        fields = {"epoch": self.lease.epoch, **self.status()}
        seal, answer = wire.welcome(self._key, hello_nonce, os.urandom(16), fields)
        self._peers[identity] = Peer(identity, seal, lease)
        self._transmit(identity, answer)

    def _take_over(self, lease: Lease) -> None:
        """Two servers never drive one kernel: the earlier one is told, and may only look on."""
        self.lease = lease
        for peer in list(self._peers.values()):
            if peer.lease.epoch:
                peer.lease, peer.cursor = wire.OBSERVER, None
                fields = {"code": "lease_lost", "message": "another server took the kernel over",
                          "epoch": lease.epoch}  # fmt: skip
                self._send(peer, Kind.ERROR, fields)

    def _handle(self, peer: Peer, frame: wire.Frame) -> None:
        try:
            if peer.lease.epoch == 0 and frame.kind not in _FOR_OBSERVERS:
                raise CommandFailed("no_lease", "this connection may only look on")
            answer = self._perform(peer, frame)
        except CommandFailed as error:
            fields = {"re": frame.number, "code": error.code, "message": str(error),
                      "errno": error.errno}  # fmt: skip
            self._send(peer, Kind.ERROR, fields)
        except (KeyError, TypeError, ValueError) as error:
            # From someone who has the key, but is no better than its program.
            fields = {"re": frame.number, "code": "invalid", "message": repr(error)}
            self._send(peer, Kind.ERROR, fields)
        else:
            if answer is not None:
                fields = {"re": frame.number, **answer.fields}
                self._send(peer, Kind.DONE, fields, answer.parts)

    def _perform(self, peer: Peer, frame: wire.Frame) -> Answer | None:
        fields = frame.fields
        if frame.kind is Kind.ATTACH:
            return self._attach(peer, int(fields["position"]), int(fields["credit"]))
        if frame.kind is Kind.ACK:
            peer.acked = max(peer.acked, min(int(fields["position"]), self._journal.last))
            self._drop()
        elif frame.kind is Kind.CREDIT:
            peer.credit += int(fields["bytes"])
        elif frame.kind is Kind.DETACH:
            peer.cursor = None
            return Answer()
        elif frame.kind is Kind.LOG:
            if not self._answer_log(peer, frame):
                peer.log_waits.append(frame)
        elif frame.kind is not Kind.PING:
            handler = self.handlers.get(frame.kind)
            if handler is None:
                raise CommandFailed("unknown", f"{frame.kind.name} is no command")
            return handler(frame)
        return None

    def _attach(self, peer: Peer, position: int, credit: int) -> Answer:
        if position > self._journal.last:
            raise CommandFailed("position", f"the journal ends at {self._journal.last}")
        self._journal.flush()
        peer.cursor, peer.credit = Cursor(position), credit
        peer.acked = position
        fields = {"first": self._journal.first, "last": self._journal.last, **self.status()}
        return Answer({**fields, **self.on_attach()})

    def _drop(self) -> None:
        attached = [peer.acked for peer in self._peers.values() if peer.cursor is not None]
        if attached:
            self._journal.drop(min(attached))

    def _answer_log(self, peer: Peer, frame: wire.Frame) -> bool:
        """Whether it was answered: who follows waits until there is something new."""
        answer = self.read_log(int(frame.fields.get("offset", 0)))
        if answer is None:
            if frame.fields.get("follow"):
                return False
            answer = Answer({"offset": frame.fields.get("offset", 0)}, [b""])
        self._send(peer, Kind.DONE, {"re": frame.number, **answer.fields}, answer.parts)
        return True

    # --- to the peers -----------------------------------------------------------------------

    def _send_journal(self, peer: Peer, cursor: Cursor) -> None:
        for _ in range(_CHUNKS_A_ROUND):
            chunk = self._journal.read(cursor, min(CHUNK_BYTES, peer.credit))
            if not chunk:
                return
            peer.credit -= len(chunk)
            fields = {"heard": peer.heard} if peer.heard > peer.confirmed else None
            peer.confirmed = peer.heard
            self._send(peer, Kind.JOURNAL, fields, [chunk])
            if peer.credit <= 0 or cursor.position >= self._journal.last:
                return
        self._reactor.call_later(0, lambda: None)  # there is more: another round at once

    def _send(
        self,
        peer: Peer,
        kind: Kind,
        fields: Mapping[str, Any] | None = None,
        parts: Sequence[bytes] = (),
    ) -> None:
        _, frames = peer.seal.seal(kind, fields, parts)
        self._transmit(peer.identity, frames)

    def _transmit(self, identity: bytes, frames: list[bytes]) -> None:
        try:
            self._reactor.send(self._socket, [identity, *frames])
        except zmq.ZMQError:  # it is gone, and comes back with a hello
            self._peers.pop(identity, None)
