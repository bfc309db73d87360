"""The journal of a nanny as it arrives: attached, re-attached after a cut, every record once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from notebook_exec.core import wire
from notebook_exec.core.wire import Frame, Kind, Record
from notebook_exec.kernels.nanny_client import NannyAddress, NannyClient, NannyRefused

log = logging.getLogger(__name__)

_WINDOW_BYTES = 8 * 2**20
_ACK_S = 0.05
_ANSWER_S = 2.0  # a nanny that says nothing for so long has other troubles (K6)


@dataclass(eq=False, slots=True)
class _Withdrawal:
    """Someone waits until it is known whether a request that was held has been forwarded."""

    done: asyncio.Future[None]
    number: int = 0  # of the command
    until: int | None = None  # the position that tells, once the nanny has answered

    def look(self, position: int) -> None:
        if self.until is not None and position >= self.until:
            self.end()

    def give_up(self) -> None:
        if self.until is None:
            self.end()

    def end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class NannyPort:
    """One connection to a nanny, read by the running event loop without ever blocking it."""

    def __init__(
        self,
        address: NannyAddress,
        position: int,
        *,
        on_records: Callable[[list[Record]], None],
        on_attached: Callable[[dict[str, Any]], None],
        on_refused: Callable[[NannyRefused], None],
    ) -> None:
        """``position``: the last record that is not wanted any more.

        ``on_records`` gets whole slices in order; ``on_attached`` the nanny's state after each
        attachment; ``on_refused`` is the last that is told.
        """
        self.position = position
        self.address = address
        self._on_records = on_records
        self._on_attached = on_attached
        self._on_refused = on_refused
        self._loop = asyncio.get_running_loop()
        self._client = NannyClient(address)
        self._attach_number = 0
        self._is_attached = False
        self._requests: dict[str, tuple[dict[str, Any], Sequence[bytes]]] = {}  # not confirmed
        self._request_numbers: dict[int, str] = {}
        self._withdrawals: list[_Withdrawal] = []
        self._taken_bytes = 0
        self._was_connected = False
        self._closed = False
        self._scheduled: asyncio.Handle | None = None
        self._acked = 0
        self._acking: asyncio.TimerHandle | None = None
        self._monitor = self._client.socket.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED)
        self._monitor.linger = 0
        self._client.connect()
        self._loop.add_reader(self._monitor.FD, self._on_monitor)
        self._loop.add_reader(self._client.socket.FD, self._pump)
        # The descriptors tell only what changes: what came before they were watched is read now.
        self._on_monitor()

    def request(self, channel: str, request_id: str, frames: Sequence[bytes]) -> None:
        """Hand the nanny a Jupyter message, once, through however many connections it takes."""
        self._requests[request_id] = ({"channel": channel, "id": request_id}, frames)
        if self._is_attached and not self._closed:
            self._send_request(request_id)
            self._wake()  # sending can use up the descriptor's notice that something came

    def request_next(self, after: str, request_id: str, frames: Sequence[bytes]) -> None:
        """Have the nanny hand on a shell request as soon as the one ``after`` has ended well.

        A connection that breaks may lose this: ``request`` is to follow when it is time, and the
        kernel gets it once.
        """
        if self._is_attached and not self._closed:
            self._client.send(Kind.NEXT, {"after": after, "id": request_id}, frames)
            self._wake()

    async def withdraw(self, request_id: str) -> None:
        """Undo ``request_next``. If it is too late, return when the journal up to there came."""
        if self._closed:
            return
        withdrawal = _Withdrawal(self._loop.create_future())
        self._withdrawals.append(withdrawal)
        if self._is_attached:
            withdrawal.number = self._client.send(Kind.WITHDRAW, {"id": request_id})
            self._wake()
        patience = self._loop.call_later(_ANSWER_S, withdrawal.give_up)
        try:
            await withdrawal.done
        finally:
            patience.cancel()
            self._withdrawals.remove(withdrawal)

    def ack(self, position: int) -> None:
        """All up to ``position`` is stored. The nanny hears it soon: nothing waits for it."""
        self._acked = position
        if self._acking is None and not self._closed:
            self._acking = self._loop.call_later(_ACK_S, self._send_ack)

    def _send_ack(self) -> None:
        self._acking = None
        if self._is_attached:
            self._client.send(Kind.ACK, {"position": self._acked})
            self._wake()

    def close(self) -> None:
        """Stop reading; what was not delivered can be had again. May be repeated."""
        if self._closed:
            return
        self._closed = True
        for withdrawal in self._withdrawals:
            withdrawal.end()
        if self._scheduled is not None:
            self._scheduled.cancel()
        if self._acking is not None:
            self._acking.cancel()
            self._send_ack()
        self._loop.remove_reader(self._monitor.FD)
        self._loop.remove_reader(self._client.socket.FD)
        self._client.socket.disable_monitor()
        self._monitor.close(linger=0)
        if self._client.is_welcome:
            self._client.send(Kind.DETACH)
        self._client.close(linger_ms=200)

    # --- connection -------------------------------------------------------------------------

    def _on_monitor(self) -> None:
        """ZMQ connects again by itself, but to the nanny it is somebody else who comes."""
        while not self._closed:
            try:
                frames = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if parse_monitor_message(frames)["event"] == zmq.Event.HANDSHAKE_SUCCEEDED:
                if self._was_connected:
                    self._is_attached = False
                    self._client.hello()
                self._was_connected = True
        self._wake()

    def _attach(self) -> None:
        self._taken_bytes = 0
        fields = {"position": self.position, "credit": _WINDOW_BYTES}
        self._attach_number = self._client.send(Kind.ATTACH, fields)

    def _attached(self, fields: dict[str, Any]) -> None:
        self._is_attached = True
        self._request_numbers.clear()
        for request_id in self._requests:
            self._send_request(request_id)
        self._on_attached(fields)
        for withdrawal in self._withdrawals:  # a nanny that is attached to holds nothing
            withdrawal.until = int(fields["last"])
            withdrawal.look(self.position)

    def _send_request(self, request_id: str) -> None:
        fields, frames = self._requests[request_id]
        self._request_numbers[self._client.send(Kind.REQUEST, fields, frames)] = request_id

    # --- reading ----------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._scheduled is None and not self._closed:
            self._scheduled = self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Take what has come, up to a chunk of the journal: what came of that goes out first."""
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        while not self._closed:
            try:
                frame = self._client.receive()
            except NannyRefused as error:
                self.close()
                self._on_refused(error)
                return
            if frame is None:
                return
            self._handle(frame)
            if frame.kind is Kind.JOURNAL:
                self._wake()
                return

    def _handle(self, frame: Frame) -> None:
        if frame.kind is Kind.JOURNAL:
            self._take(frame)
        elif frame.kind is Kind.WELCOME:
            self._attach()
        elif frame.kind is Kind.DONE and frame.fields.get("re") == self._attach_number:
            self._attached(frame.fields)
        elif frame.kind is Kind.DONE:
            self._answered(frame.fields)
        elif frame.kind is Kind.ERROR:
            log.warning("the nanny refuses: %s", frame.fields.get("message"))
            if frame.fields.get("code") == "position":
                self.position = 0  # of an earlier nanny, before the clock was set back
                self._attach()

    def _take(self, frame: Frame) -> None:
        if "heard" in frame.fields:
            self._confirm(int(frame.fields["heard"]))
        chunk = frame.parts[0]
        records = [r for r in wire.unpack_records(chunk) if r.position > self.position]
        if records:
            self.position = records[-1].position
            self._on_records(records)
            for withdrawal in self._withdrawals:
                withdrawal.look(self.position)
        self._taken_bytes += len(chunk)
        if self._taken_bytes >= _WINDOW_BYTES // 8 and not self._closed:
            self._client.send(Kind.CREDIT, {"bytes": self._taken_bytes})
            self._taken_bytes = 0

    def _answered(self, fields: dict[str, Any]) -> None:
        for withdrawal in self._withdrawals:
            if withdrawal.number == fields.get("re"):
                withdrawal.until = 0 if fields.get("withdrawn") else int(fields["last"])
                withdrawal.look(self.position)

    def _confirm(self, heard: int) -> None:
        """Requests that the nanny has need not be sent again."""
        for number in [number for number in self._request_numbers if number <= heard]:
            self._requests.pop(self._request_numbers.pop(number), None)
