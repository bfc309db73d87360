"""A server's own connection to a nanny: its commands, and what it is told of the kernel."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from notebook_exec.core.model import DeathReport
from notebook_exec.core.wire import Frame, Kind, Lease
from notebook_exec.kernels.nanny_client import NannyAddress, NannyClient, NannyRefused
from notebook_exec.kernels.nanny_process import NannyProcess

_ANSWER_LIMIT_S = 15.0
_POLL_S = 0.002


class NannyControl:
    """Belongs to no event loop: jupyter_client may use another one for every call."""

    def __init__(
        self, process: NannyProcess, key: bytes, lease: Lease, *, takes_over: bool = False
    ) -> None:
        """``takes_over``: the nanny was another server's; the lease is the next one then."""
        self.process = process
        self.pid = 0  # of the kernel, also after it ended
        self.incarnation = 0
        self.exit: dict[str, Any] | None = None  # how the kernel's present process ended
        self._key = key
        self._lease = lease
        self._takes_over = takes_over
        self._client: NannyClient | None = None
        self._refusal: NannyRefused | None = None
        self._answers: dict[int, Frame] = {}

    @property
    def is_alive(self) -> bool:
        """Whether the nanny's process runs."""
        return self.process.is_alive()

    @property
    def death(self) -> DeathReport | None:
        """How the kernel ended, None while it lives (K1)."""
        if self.exit is not None:
            return death_report(self.exit)
        if self.is_alive:
            return None
        return gone_report(self.process)

    async def address(self) -> NannyAddress:
        """Where a link attaches, with this server's lease. Raises ``NannyRefused``."""
        deadline = time.monotonic() + _ANSWER_LIMIT_S
        while self.is_alive and time.monotonic() < deadline:
            self.drain()
            if self._refusal is not None:
                raise self._refusal
            if self._client is not None and self._client.is_welcome:
                return self._address()
            await asyncio.sleep(_POLL_S)
        raise NannyRefused("the nanny does not answer")

    async def command(self, kind: Kind, **fields: Any) -> Frame:
        """What the nanny answers. Raises ``NannyRefused``."""
        await self.address()
        assert self._client is not None
        number = self._client.send(kind, fields)
        deadline = time.monotonic() + _ANSWER_LIMIT_S
        while number not in self._answers:
            if not self.is_alive:
                raise NannyRefused("the nanny is gone")
            if self._refusal is not None:
                raise self._refusal
            if time.monotonic() > deadline:
                self.close()  # the next one tries a new connection
                raise NannyRefused("the nanny does not answer")
            await asyncio.sleep(_POLL_S)
            self.drain()
        frame = self._answers.pop(number)
        if frame.kind is Kind.ERROR:
            raise NannyRefused(
                str(frame.fields["message"]),
                code=str(frame.fields["code"]),
                errno=int(frame.fields.get("errno", 0)),
            )
        if kind is Kind.START:
            self._note_status(frame.fields)
        return frame

    def drain(self) -> None:
        """Take what the nanny has told; connect if that is to be done. Waits for nothing."""
        if self._client is None:
            if not self.is_alive:
                return
            self._client = NannyClient(self._address(), takes_over=self._takes_over)
            self._client.connect()
        while (frame := self._receive(self._client)) is not None:
            if frame.kind in (Kind.DONE, Kind.ERROR):
                self._answers[int(frame.fields.get("re", 0))] = frame
            elif frame.kind is Kind.WELCOME:
                self._lease, self._takes_over = self._client.lease, False
                self._note_status(frame.fields)
            elif frame.fields.get("event") == "exited":
                self.note_exit(frame.fields)

    def note_exit(self, notice: dict[str, Any]) -> None:
        """Take in an ``exited`` notice, if it is of the kernel's present process."""
        if int(notice["incarnation"]) == self.incarnation:
            self.exit = notice

    def order_exit(self) -> None:
        """Tell the nanny to end, without waiting."""
        if self._client is not None:
            self._client.send(Kind.EXIT)

    def close(self) -> None:
        """Disconnect; nanny and kernel live on. May be repeated."""
        if self._client is not None:
            self._client.close(linger_ms=200)
            self._client = None
        self._answers.clear()

    def _address(self) -> NannyAddress:
        process = self.process
        return NannyAddress(process.link, self._key, self._lease, process.link_key.encode())

    def _receive(self, client: NannyClient) -> Frame | None:
        try:
            return client.receive()
        except NannyRefused as error:
            # The kernel is another server's now: nothing of it is to be restarted from here.
            self._refusal = error
            return None

    def _note_status(self, fields: dict[str, Any]) -> None:
        self.incarnation = int(fields["incarnation"])
        self.pid = int(fields["pid"]) or self.pid
        self.exit = fields.get("exit")


def gone_report(process: NannyProcess) -> DeathReport:
    """All there is to say of a kernel whose nanny is gone (K6)."""
    gone = "The process that watched over the kernel is gone."
    return DeathReport(log_tail=f"{gone}\n{process.last_words()}".rstrip())


def death_report(exited: dict[str, Any]) -> DeathReport:
    """What an ``exited`` notice says (K1)."""
    usage = exited.get("usage") or {}
    return DeathReport(
        exit_code=exited["exit_code"],
        signal=exited["signal"],
        out_of_memory=bool(exited["out_of_memory"]),
        log_tail=str(exited["log_tail"]),
        cpu_s=float(usage["user_s"]) + float(usage["system_s"]) if usage else None,
        max_rss_bytes=int(usage["max_rss_bytes"]) if usage else None,
    )
