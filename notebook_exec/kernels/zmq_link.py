"""The plain link: straight to the kernel's own ports, as any Jupyter client connects."""

from __future__ import annotations

import logging
import uuid

from notebook_exec.core.model import (
    Conflict,
    ExecutionId,
    KernelId,
    KernelMessage,
    KernelStartError,
)
from notebook_exec.kernels.handshake import Handshake
from notebook_exec.kernels.link import LinkListener
from notebook_exec.kernels.managers import KernelManager, KernelManagers
from notebook_exec.kernels.messages import Received, Wire
from notebook_exec.kernels.sockets import Sockets

log = logging.getLogger(__name__)


class ZmqLink:
    """A ``Link`` over ZMQ. What the kernel sends while the server is down is lost (not R2)."""

    def __init__(
        self, kernel_id: KernelId, managers: KernelManagers, listener: LinkListener
    ) -> None:
        self.kernel_id = kernel_id
        self.session = uuid.uuid4().hex  # never the manager's: ROUTER handover steals (K10)
        self._managers = managers
        self._listener = listener
        self._wire: Wire | None = None
        self._sockets: Sockets | None = None
        self._handshake: Handshake | None = None

    async def open(self) -> None:
        """See ``Link.open``."""
        if self.kernel_id not in self._managers:
            raise KernelStartError(f"there is no kernel {self.kernel_id}")
        self._connect()

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
    ) -> None:
        """See ``Link.execute``."""
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

    def answer_input(self, execution_id: ExecutionId, value: str) -> None:
        """See ``Link.answer_input``."""
        if self._sockets is not None and self._wire is not None:
            frames = self._wire.build(
                "input_reply",
                uuid.uuid4().hex,
                {"status": "ok", "value": value},
                parent_header=self._sockets.input_header(execution_id),
            )
            self._sockets.send("stdin", frames)

    async def interrupt(self) -> None:
        """See ``Link.interrupt``."""
        try:
            done = self._managers.interrupt_kernel(self.kernel_id)
            if done is not None:
                await done
        except Exception as error:  # managers raise what they like: HTTPError, RuntimeError …
            raise Conflict(f"the kernel cannot be interrupted: {error}") from error

    async def restart(self) -> None:
        """See ``Link.restart``."""
        try:
            await self._managers.restart_kernel(self.kernel_id)
        except Exception as error:  # managers raise what they like: HTTPError, RuntimeError …
            raise Conflict(f"the kernel cannot be restarted: {error}") from error

    async def close(self) -> None:
        """See ``Link.close``."""
        self._disconnect()

    def _connect(self) -> None:
        """Connect to the kernel's present process."""
        self._disconnect()
        manager: KernelManager = self._managers.get_kernel(self.kernel_id)
        connection = manager.get_connection_info()
        self._wire = Wire(
            connection["key"],
            connection["signature_scheme"],
            session=self.session,
        )
        self._sockets = Sockets(connection, self._wire, self._on_batch)
        self._handshake = Handshake(self._sockets, self._wire, self._listener.on_ready)

    def _disconnect(self) -> None:
        if self._handshake is not None:
            self._handshake.close()
        if self._sockets is not None:
            self._sockets.close()
        self._handshake = self._sockets = None

    def _on_batch(self, batch: list[Received]) -> None:
        handshake = self._handshake
        messages: list[KernelMessage] = []
        for message, parent in batch:
            if handshake is not None:
                if not handshake.done:
                    handshake.saw(message.channel, parent)
                if handshake.is_own(parent) or message.msg_type == "iopub_welcome":
                    continue
            messages.append(message)
        if messages:
            self._listener.on_messages(messages)
