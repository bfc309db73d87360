"""The link to a kernel with a nanny: nothing it says is lost, whatever happens to the server."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Collection
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
)
from notebook_exec.core.widgets import OWN_UPDATE
from notebook_exec.core.wire import Record
from notebook_exec.kernels.actions import KernelActions
from notebook_exec.kernels.activity import Activity
from notebook_exec.kernels.link import LinkListener, Question
from notebook_exec.kernels.managers import KernelManager
from notebook_exec.kernels.messages import ProtocolError, Received, Wire, parse_prompt
from notebook_exec.kernels.nanny_client import NannyRefused
from notebook_exec.kernels.nanny_control import death_report
from notebook_exec.kernels.nanny_port import NannyPort
from notebook_exec.kernels.provisioner import NannyProvisioner
from notebook_exec.kernels.records import answer_of, left_slices, of_record
from notebook_exec.kernels.room_for_output import ask_for_room
from notebook_exec.kernels.watch import KernelWatch, require_started

log = logging.getLogger(__name__)

_DRAIN_LIMIT_S = 1.5  # without anything new; K1 gives two seconds
_REPLAY_LIMIT_S = 60.0
_DRAIN_POLL_S = 0.005


class NannyLink:
    """A ``Link`` whose messages have a ``position``; ``ack`` those that are stored (R2)."""

    def __init__(
        self,
        kernel_id: KernelId,
        actions: KernelActions,
        listener: LinkListener,
        *,
        position: int | None = None,
        session: str | None = None,
    ) -> None:
        """``position``: the last that a server before stored; what came after it is delivered.

        ``session`` is to be the same after a restart of the server, and nobody else's: replies
        and requests for input are those of its requests.
        """
        self._kernel_id = kernel_id
        self.session = session or uuid.uuid4().hex
        self._actions = actions
        self._listener = listener
        self._activity = Activity(actions.managers, kernel_id)
        self._watch = KernelWatch(kernel_id, actions, self)
        self._position = position or 0
        self._is_resumed = position is not None
        self._provisioner: NannyProvisioner | None = None
        self._manager_session = ""
        self._wire: Wire | None = None
        self._port: NannyPort | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._input_request = ("", b"{}")  # parent id and header of the last one
        self._next: tuple[str, list[bytes]] = ("", [])  # what the nanny was told to hold last
        self._dropped = 0
        # Processes, by the nanny's count: which is up, ready, told as ready, ended.
        self._up = self._ready = self._told_ready = self._ended = 0
        self._death: DeathReport | None = None  # of the process that is up
        self._found_dead = 0  # the process that had ended when this was attached
        self._replay_until = -1  # not attached yet
        self._owed: tuple[Collection[str], dict[str, Any] | None] = ((), None)

    @property
    def kernel_id(self) -> KernelId:
        """See ``Link``."""
        return self._kernel_id

    @property
    def looks_ahead(self) -> bool:
        """See ``Link``."""
        return True

    async def open(self) -> None:
        """See ``Link.open``."""
        require_started(self._actions.managers, self.kernel_id)
        self._watch.start()

    def execute(
        self,
        execution_id: ExecutionId,
        source: str,
        *,
        allow_stdin: bool,
        store_history: bool = True,
        silent: bool = False,
        stop_on_error: bool = True,
        cell_id: str | None = None,
        after: ExecutionId | None = None,
    ) -> None:
        """See ``Link.execute``."""
        if self._wire is None:
            return
        known, frames = self._next
        if known != execution_id:
            content = {
                "code": source,
                "silent": silent,
                "store_history": store_history,
                "user_expressions": {},
                "allow_stdin": allow_stdin,
                "stop_on_error": stop_on_error,
            }
            metadata = {"cellId": cell_id} if cell_id else {}
            frames = self._wire.build("execute_request", execution_id, content, metadata=metadata)
        if after is None:
            self._request("shell", execution_id, frames)
        elif self._port is not None:
            self._next = (execution_id, frames)
            self._port.request_next(after, execution_id, frames)

    async def withdraw(self, execution_id: ExecutionId) -> None:
        """See ``Link.withdraw``."""
        if self._port is not None:
            await self._port.withdraw(execution_id)

    def answer_input(self, execution_id: ExecutionId, value: str) -> None:
        """See ``Link.answer_input``."""
        if self._wire is not None:
            asked_by, header = self._input_request
            msg_id = uuid.uuid4().hex
            frames = self._wire.build(
                "input_reply",
                msg_id,
                {"status": "ok", "value": value},
                parent_header=header if asked_by == execution_id else b"{}",
            )
            self._request("stdin", msg_id, frames)

    def ack(self, position: int) -> None:
        """All messages up to ``position`` are stored, and need not be kept for this server."""
        if self._port is not None:
            self._port.ack(position)

    def send_comm(self, comm_id: str, data: dict[str, Json]) -> None:
        """See ``Link.send_comm``."""
        if self._wire is not None:
            msg_id = f"{OWN_UPDATE}{uuid.uuid4().hex}"
            frames = self._wire.build("comm_msg", msg_id, {"comm_id": comm_id, "data": data})
            self._request("shell", msg_id, frames)

    async def interrupt(self) -> None:
        """See ``Link.interrupt``."""
        try:
            await self._actions.interrupt(self.kernel_id, by=self)
        except Exception as error:  # managers raise what they like: HTTPError, RuntimeError …
            raise Conflict(f"the kernel cannot be interrupted: {error}") from error

    async def restart(self) -> None:
        """See ``Link.restart``."""
        try:
            await self._actions.managers.restart_kernel(self.kernel_id)
        except Exception as error:  # managers raise what they like: HTTPError, RuntimeError …
            raise Conflict(f"the kernel cannot be restarted: {error}") from error

    async def close(self) -> None:
        """See ``Link.close``."""
        await self._watch.close()
        await self._stop_connecting()
        self._activity.give_back()
        self._disconnect()

    # --- what the watch tells (WatchListener) ----------------------------------------------

    def on_process(self) -> None:
        """There is a process: connect to its nanny, if that is a new one."""
        manager: KernelManager = self._actions.managers.get_kernel(self.kernel_id)
        provisioner = manager.provisioner
        if not isinstance(provisioner, NannyProvisioner):
            self._listener.on_died(DeathReport(log_tail="This kernel has no nanny."), False)
            return
        self._provisioner = provisioner
        self._manager_session = manager.session.session
        self._up = provisioner.incarnation
        self._death = None
        connection = manager.get_connection_info()
        if self._wire is None:
            self._wire = Wire(
                connection["key"], connection["signature_scheme"], session=self.session
            )
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._connect(provisioner))
        self._look_if_ready()

    def before_next(self) -> bool:
        """The journal has the rest; but what a nanny left that is gone goes with the next start."""
        if self._provisioner is None:
            return False
        self._up, self._death = self._provisioner.incarnation, self._provisioner.death
        return self._provisioner.is_nanny_alive

    async def drain(self) -> None:
        """Deliver what the process said last: all that stands before its end in the journal."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _REPLAY_LIMIT_S
        while self._is_resumed and loop.time() < deadline:  # all that there was in the meantime
            if self._provisioner is None or not self._provisioner.is_nanny_alive:
                break
            await asyncio.sleep(_DRAIN_POLL_S)
        last = min(deadline, loop.time() + _DRAIN_LIMIT_S)
        position = None
        while self._port is not None and self._ended < self._up and loop.time() < last:
            if self._provisioner is not None and not self._provisioner.is_nanny_alive:
                last = min(last, loop.time() + 10 * _DRAIN_POLL_S)
            elif self._port.position != position:  # it still comes, however slow the machine is
                position = self._port.position
                last = min(deadline, loop.time() + _DRAIN_LIMIT_S)
            await asyncio.sleep(_DRAIN_POLL_S)

    def on_died(self, report: DeathReport, restarting: bool) -> None:
        """The nanny knows more of it than a process's code (K1)."""
        known = self._death or (self._provisioner.death if self._provisioner is not None else None)
        if self._provisioner is not None and not self._provisioner.is_nanny_alive:
            self._disconnect()
            self._take_left(self._provisioner.spool)
            if self._is_resumed:  # there is no more to catch up with
                self._is_resumed = False
                self._listener.on_caught_up((), None)
        self._activity.ended(restarting=restarting)
        if restarting and self._was_told:
            return  # what is queued was submitted since, for the process to come
        position = self._position if self._port is None else self._port.position
        self._listener.on_died(replace(known or report, position=position or None), restarting)

    def _take_left(self, spool: Path | None) -> None:
        """What a nanny had written down, and not sent when it died (K6)."""
        if spool is None or self._wire is None:
            return
        for records in left_slices(spool, self._position):
            self._position = records[-1].position
            self._on_records(records)

    @property
    def _was_told(self) -> bool:
        """Whether a server before knew of the death, and stored what came of it."""
        return self._port is not None and self._found_dead == self._up and self._ended < self._up

    async def before_action(self) -> None:
        """See ``LinkListener``."""
        await self._listener.before_action()

    def on_restarting(self) -> None:
        """See ``LinkListener``."""
        self._activity.ended(restarting=True)
        self._listener.on_restarting()

    def on_interrupted(self, by: object) -> None:
        """Whoever interrupts through this link knows."""
        if by is not self:
            self._listener.on_interrupted()

    def on_shut_down(self) -> None:
        """See ``LinkListener``."""
        self._listener.on_shut_down()

    # --- connection --------------------------------------------------------------------------

    async def _connect(self, provisioner: NannyProvisioner) -> None:
        try:
            address = await provisioner.address()
        except NannyRefused as error:
            log.warning("kernel %s: %s", self.kernel_id, error)
            return  # the watch sees that it is gone
        if self._port is not None and self._port.address.url == address.url:
            return
        self._disconnect()
        # Of a kernel that is taken over it was not known before; else the watch knows of this one.
        self._up = self._up or provisioner.incarnation
        self._ready = self._told_ready = self._ended = 0
        self._replay_until = -1
        self._port = NannyPort(
            address,
            self._position,
            on_records=self._on_records,
            on_attached=self._on_attached,
            on_refused=self._on_refused,
        )

    async def _stop_connecting(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
            self._connecting = None

    def _disconnect(self) -> None:
        if self._port is not None:
            self._position = self._port.position
            self._port.close()
            self._port = None

    def _on_attached(self, fields: dict[str, Any]) -> None:
        if fields["state"] in ("idle", "busy"):
            self._ready = int(fields["incarnation"])
        elif fields["state"] == "dead":
            self._found_dead = int(fields["incarnation"])
        self._replay_until = int(fields["last"])
        self._owed = (fields.get("requests", ()), fields.get("question"))
        self._look_if_ready()

    def _on_refused(self, error: NannyRefused) -> None:
        """The kernel lives on, but for another server."""
        self._activity.give_back()
        self._listener.on_died(DeathReport(log_tail=str(error)), False)

    def _look_if_ready(self) -> None:
        """Ready is told once for each process, after the watch knows of it, and after a replay."""
        if self._is_replaying:
            return
        if self._is_resumed:
            self._is_resumed = False
            self._tell_owed()
        if self._ready != self._up:
            return
        if self._told_ready != self._up:
            self._told_ready = self._up
            self._activity.take_over()
            ask_for_room(self, self._actions.managers.get_kernel(self.kernel_id))
            self._listener.on_ready()

    @property
    def _is_replaying(self) -> bool:
        """Whether what the nanny had when it was attached is still to come."""
        until = self._replay_until
        return self._port is None or until < 0 or self._port.position < until

    def _tell_owed(self) -> None:
        requests, asked = self._owed
        question = None
        if asked is not None and self._wire is not None:
            self._input_request = (asked["request"], asked["header"].encode())
            question = Question(ExecutionId(asked["request"]), parse_prompt(asked["content"]))
        self._listener.on_caught_up(requests, question)

    # --- messages ----------------------------------------------------------------------------

    def _request(self, channel: str, msg_id: str, frames: list[bytes]) -> None:
        if self._port is not None:
            self._port.request(channel, msg_id, frames)

    def _on_records(self, records: list[Record]) -> None:
        batch: list[Received] = []
        for record in records:
            if record.channel == wire.NOTICE_CHANNEL:
                self._hand_on(batch)
                batch = []
                self._on_notice(record)
            elif (received := self._parse(record)) is not None:
                batch.append(received)
        self._hand_on(batch)
        if self._told_ready != self._up:
            self._look_if_ready()

    def _hand_on(self, batch: list[Received]) -> None:
        if batch:
            self._listener.on_messages([message for message, _ in batch])
            self._activity.saw(batch)

    def _parse(self, record: Record) -> Received | None:
        """See ``of_record``; None for what is no message, too."""
        assert self._wire is not None
        try:
            received = of_record(self._wire, record)
        except ProtocolError as error:
            self._drop(record.channel, error)
            return None
        if received is not None and received[0].msg_type == "input_request":
            header = self._wire.header_frame(record.frames)
            self._input_request = (received[0].parent_id, header)
        return received

    def _on_notice(self, record: Record) -> None:
        try:
            notice = record.notice()
        except wire.WireError as error:
            self._drop(record.channel, error)
            return
        event = notice.get("event")
        if event in ("ready", "exited"):
            self._watch.look()
        if event == "ready":
            self._ready = int(notice["incarnation"])
        elif event == "exited":
            self._ended = int(notice["incarnation"])
            if self._ended == self._up:
                self._death = death_report(notice)
            if self._provisioner is not None and not self._is_replaying:
                self._provisioner.note_exit(notice)
        elif event == "interrupted":
            if notice.get("session") not in (self._manager_session, self.session):
                self._listener.on_interrupted()
        elif event == "answered":
            self._listener.on_messages([answer_of(notice, record)])
        elif event == "cut":
            log.warning("kernel %s: output is missing: %s", self.kernel_id, notice)

    def _drop(self, channel: str, error: Exception) -> None:
        """Log every dropped message at first, then ever more seldom (O14)."""
        self._dropped += 1
        if self._dropped & (self._dropped - 1) == 0:
            log.warning("dropped a message on %s: %s (%d so far)", channel, error, self._dropped)
