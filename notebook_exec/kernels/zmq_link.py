"""The plain link: straight to the kernel's own ports, as any Jupyter client connects."""

from __future__ import annotations

import asyncio
import uuid

from notebook_exec.core.knock import Knocker
from notebook_exec.core.model import (
    Conflict,
    DeathReport,
    ExecutionId,
    Json,
    KernelId,
    KernelMessage,
)
from notebook_exec.core.widgets import OWN_UPDATE
from notebook_exec.kernels.actions import KernelActions
from notebook_exec.kernels.activity import Activity
from notebook_exec.kernels.handshake import Handshake
from notebook_exec.kernels.link import LinkListener
from notebook_exec.kernels.managers import KernelManager
from notebook_exec.kernels.messages import Parent, Received, Wire, answer_told
from notebook_exec.kernels.peer import PeerMonitor
from notebook_exec.kernels.room_for_output import ask_for_room, is_about_room
from notebook_exec.kernels.sockets import Sockets
from notebook_exec.kernels.watch import KernelWatch, require_started

_DRAIN_LIMIT_S = 1.0


class ZmqLink:
    """A ``Link`` over ZMQ. What the kernel sends while the server is down is lost (not R2)."""

    def __init__(self, kernel_id: KernelId, actions: KernelActions, listener: LinkListener) -> None:
        self._kernel_id = kernel_id
        self._actions = actions
        self._listener = listener
        self._watch = KernelWatch(kernel_id, actions, self)
        self._activity = Activity(actions.managers, kernel_id)
        self._manager_session = ""
        self._owned = True
        self._wire: Wire | None = None
        self._sockets: Sockets | None = None
        self._handshake: Handshake | None = None
        self._peer: PeerMonitor | None = None
        self._knocker = Knocker(asyncio.get_running_loop().call_later, self._knock)

    @property
    def kernel_id(self) -> KernelId:
        """See ``Link``."""
        return self._kernel_id

    @property
    def session(self) -> str:
        """The session and identity of the present connection; empty before the first."""
        return self._wire.session if self._wire is not None else ""

    @property
    def looks_ahead(self) -> bool:
        """See ``Link``."""
        return False

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
        assert after is None, "nobody is there to hold it"
        content = {
            "code": source,
            "silent": silent,
            "store_history": store_history,
            "user_expressions": {},
            "allow_stdin": allow_stdin,
            "stop_on_error": stop_on_error,
        }
        if self._sockets is not None and self._wire is not None:
            metadata = {"cellId": cell_id} if cell_id else {}
            frames = self._wire.build("execute_request", execution_id, content, metadata=metadata)
            self._sockets.send("shell", frames)
            self._knocker.sent(execution_id)

    async def withdraw(self, execution_id: ExecutionId) -> None:
        """See ``Link.withdraw``."""

    def answer_input(self, execution_id: ExecutionId, value: str) -> None:
        """See ``Link.answer_input``."""
        if self._sockets is not None and self._wire is not None:
            parent, asked = self._sockets.input_request(execution_id)
            frames = self._wire.build(
                "input_reply",
                uuid.uuid4().hex,
                {"status": "ok", "value": value},
                parent_header=parent,
            )
            self._sockets.send("stdin", frames)
            shown = None if asked.password else value
            self._listener.on_messages([answer_told(execution_id, asked.prompt, shown)])

    def send_comm(self, comm_id: str, data: dict[str, Json]) -> None:
        """See ``Link.send_comm``."""
        if self._sockets is not None and self._wire is not None:
            content = {"comm_id": comm_id, "data": data}
            msg_id = f"{OWN_UPDATE}{uuid.uuid4().hex}"
            self._sockets.send("shell", self._wire.build("comm_msg", msg_id, content))

    def ack(self, position: int) -> None:
        """See ``Link.ack``."""

    async def interrupt(self) -> None:
        """See ``Link.interrupt``."""
        if not self._owned and self._sockets is not None and self._wire is not None:
            # A process that is not the server's cannot be sent a signal, but a message.
            frames = self._wire.build("interrupt_request", uuid.uuid4().hex, {})
            self._sockets.send("control", frames)
            return
        try:
            await self._actions.interrupt(self.kernel_id, by=self)
        except Exception as error:  # managers raise what they like: HTTPError, RuntimeError …
            raise Conflict(f"the kernel cannot be interrupted: {error}") from error

    async def restart(self) -> None:
        """See ``Link.restart``."""
        if not self._owned:
            raise Conflict("the kernel was not started by this server, which cannot restart it")
        try:
            await self._actions.managers.restart_kernel(self.kernel_id)
        except Exception as error:  # managers raise what they like: HTTPError, RuntimeError …
            raise Conflict(f"the kernel cannot be restarted: {error}") from error

    async def close(self) -> None:
        """See ``Link.close``."""
        await self._watch.close()
        self._activity.give_back()
        self._disconnect()

    # --- what the watch tells (WatchListener) ----------------------------------------------

    def on_process(self) -> None:
        """Connect to the kernel's present process, on ports that may be new."""
        self._disconnect()
        manager: KernelManager = self._actions.managers.get_kernel(self.kernel_id)
        connection = manager.get_connection_info()
        scheme = connection["signature_scheme"]
        self._manager_session = manager.session.session
        self._owned = manager.owns_kernel
        # Never the manager's: a ROUTER with handover would give us its replies (K10). New with
        # each connection: one without ignores an identity that it has not seen leave yet.
        session = uuid.uuid4().hex
        self._wire = Wire(connection["key"], scheme, session=session)
        if not self._owned:
            self._peer = PeerMonitor(self._on_peer_gone, self._on_peer_back)
        self._sockets = Sockets(
            connection, self._wire, self._on_batch, on_connection=self._on_connection
        )
        self._handshake = Handshake(self._sockets, self._wire, self._on_ready)

    def before_next(self) -> bool:
        """What the old one sent may be on its way."""
        return True

    def _on_ready(self) -> None:
        self._activity.take_over()
        ask_for_room(self, self._actions.managers.get_kernel(self.kernel_id))
        self._listener.on_ready()

    async def drain(self) -> None:
        """Deliver what has come, within K1's two seconds."""
        if self._sockets is not None:
            await self._sockets.drain(_DRAIN_LIMIT_S)

    def on_died(self, report: DeathReport, restarting: bool) -> None:
        """See ``LinkListener``."""
        self._disconnect()
        self._activity.ended(restarting=restarting)
        self._listener.on_died(report, restarting)

    async def before_action(self) -> None:
        """See ``LinkListener``."""
        await self._listener.before_action()

    def on_restarting(self) -> None:
        """The old process may go on to speak, but does not become ready any more."""
        if self._handshake is not None:
            self._handshake.close()
        self._activity.ended(restarting=True)
        self._listener.on_restarting()

    def on_interrupted(self, by: object) -> None:
        """Whoever interrupts through this link knows."""
        if by is not self:
            self._listener.on_interrupted()

    def on_shut_down(self) -> None:
        """See ``LinkListener``."""
        if self._handshake is not None:
            self._handshake.close()
        self._listener.on_shut_down()

    # --- a process that is not the server's -------------------------------------------------

    def _on_peer_gone(self) -> None:
        """How it ended is not known. The sockets stay, to see when there is one again."""
        if self._handshake is not None:
            self._handshake.close()
        self._listener.on_died(DeathReport(), False)

    def _on_peer_back(self, was_gone: bool) -> None:
        if not was_gone:
            self.on_restarting()
        self.on_process()

    def _on_connection(self, connected: bool) -> None:
        if connected and self._handshake is not None:
            self._handshake.connected()
        if self._peer is not None:
            self._peer.on_change(connected)

    def _knock(self) -> None:
        if self._sockets is not None:
            self._sockets.knock()

    # --- messages --------------------------------------------------------------------------

    def _disconnect(self) -> None:
        self._knocker.forget()
        if self._handshake is not None:
            self._handshake.close()
        if self._sockets is not None:
            self._sockets.close()
        if self._peer is not None:
            self._peer.close()
        self._handshake = self._sockets = self._peer = None

    def _on_batch(self, batch: list[Received]) -> None:
        self._activity.saw(batch)
        handshake = self._handshake
        messages: list[KernelMessage] = []
        for message, parent in batch:
            if handshake is not None:
                if not handshake.done:
                    handshake.saw(message.channel, parent)
                if handshake.is_own(parent) or message.msg_type == "iopub_welcome":
                    continue
            if is_about_room(parent.msg_id):
                continue
            if parent.msg_type == "interrupt_request" and self._is_foreign_interrupt(
                message, parent
            ):
                self._listener.on_interrupted()
            self._knocker.heard(message.parent_id)
            messages.append(message)
        if messages:
            self._listener.on_messages(messages)

    def _is_foreign_interrupt(self, message: KernelMessage, parent: Parent) -> bool:
        """Whether some client asked the kernel itself; the manager's requests are known of."""
        return (
            message.msg_type == "status"
            and message.content.get("execution_state") == "busy"
            and parent.session not in (self._manager_session, self.session)
        )
