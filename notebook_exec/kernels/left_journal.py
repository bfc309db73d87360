"""What a kernel said last, where its nanny is gone too: read from the journal that it left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from notebook_exec.core import wire
from notebook_exec.core.model import (
    Conflict,
    DeathReport,
    ExecutionId,
    Json,
    KernelId,
    KernelMessage,
)
from notebook_exec.core.wire import Record, WireError
from notebook_exec.kernels import spools
from notebook_exec.kernels.link import LinkListener
from notebook_exec.kernels.messages import ProtocolError, Wire
from notebook_exec.kernels.nanny_control import death_report, gone_report
from notebook_exec.kernels.nanny_process import NannyProcess
from notebook_exec.kernels.records import answer_of, left_records, left_slices, of_record

log = logging.getLogger(__name__)

_ORPHANED = "No server came for this kernel in time, so its nanny ended it, and itself."


class LeftJournal:
    """A ``Link`` to a kernel that is gone: it delivers what no server has stored, then the death.

    The journal stays as it is: a server that is killed meanwhile leaves the rest to the next one.
    """

    def __init__(
        self,
        kernel_id: KernelId,
        listener: LinkListener,
        record: Mapping[str, Any],
        *,
        position: int,
        session: str,
    ) -> None:
        """``record`` is that of ``adoption.record_of``; ``position`` the last that is stored.

        ``session`` is that of the link whose messages these are.
        """
        self._kernel_id = kernel_id
        self._listener = listener
        provisioner = record["provisioner"]
        self._process = NannyProcess.load(provisioner["nanny"])
        connection = provisioner["connection_info"]
        scheme = connection.get("signature_scheme", "hmac-sha256")
        self._wire = Wire(str(connection["key"]).encode(), scheme, session=session)
        self._position = position
        self._stored = position
        self._death: DeathReport | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_told = False

    @property
    def kernel_id(self) -> KernelId:
        """See ``Link``."""
        return self._kernel_id

    @property
    def looks_ahead(self) -> bool:
        """See ``Link``."""
        return False

    async def open(self) -> None:
        """See ``Link.open``; nobody is ever told that it is ready."""
        self._task = asyncio.create_task(self._deliver())

    def execute(self, execution_id: ExecutionId, source: str, **_options: object) -> None:
        """See ``Link.execute``."""

    async def withdraw(self, execution_id: ExecutionId) -> None:
        """See ``Link.withdraw``."""

    def answer_input(self, execution_id: ExecutionId, value: str) -> None:
        """See ``Link.answer_input``."""

    def send_comm(self, comm_id: str, data: dict[str, Json]) -> None:
        """See ``Link.send_comm``."""

    def ack(self, position: int) -> None:
        """See ``Link.ack``."""
        self._stored = max(self._stored, position)
        self._look()

    async def interrupt(self) -> None:
        """See ``Link.interrupt``."""
        raise Conflict("the kernel is gone")

    async def restart(self) -> None:
        """See ``Link.restart``."""
        raise Conflict("the kernel is gone")

    async def close(self) -> None:
        """See ``Link.close``."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    # --- what it said last ------------------------------------------------------------------

    async def _deliver(self) -> None:
        for records in left_slices(self._process.spool, self._position):
            self._take(records)
            await asyncio.sleep(0)
        self._listener.on_caught_up((), None)
        report = self._death or gone_report(self._process)
        self._listener.on_died(replace(report, position=self._position or None), False)
        self._is_told = True
        self._look()

    def _look(self) -> None:
        if self._is_told and self._stored >= self._position:
            self._is_told = False
            self._listener.on_shut_down()

    def _take(self, records: list[Record]) -> None:
        messages = []
        for record in records:
            self._position = record.position
            try:
                if record.channel == wire.NOTICE_CHANNEL:
                    message = self._noticed(record)
                else:
                    received = of_record(self._wire, record)
                    message = None if received is None else received[0]
            except (ProtocolError, WireError, KeyError, TypeError, ValueError) as error:
                log.warning("kernel %s: its journal is damaged: %s", self._kernel_id, error)
                continue
            if message is not None:
                messages.append(message)
        if messages:
            self._listener.on_messages(messages)

    def _noticed(self, record: Record) -> KernelMessage | None:
        notice = record.notice()
        match notice.get("event"):
            case "started":
                self._death = None
            case "exited":
                self._death = death_report(notice)
            case "orphaned":
                self._death = DeathReport(log_tail=_ORPHANED)
            case "answered":
                return answer_of(notice, record)
        return None


def has_left(record: Mapping[str, Any], position: int) -> bool:
    """Whether the nanny of ``record``, which is gone, left anything that came after ``position``.

    If not, nobody needs its journal any more, and only the kernel's log is left.
    """
    stored = record["provisioner"].get("nanny")
    if stored is None:
        return False
    spool = Path(stored["spool"])
    if next(left_records(spool, position), None) is not None:
        return True
    spools.leave_log(spool)
    return False
