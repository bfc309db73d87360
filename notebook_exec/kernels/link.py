"""How the engine talks to one kernel, whichever way the kernel is reached."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from notebook_exec.core.model import (
    DeathReport,
    ExecutionId,
    Json,
    KernelId,
    KernelMessage,
    Prompt,
)


@dataclass(frozen=True, slots=True)
class Question:
    """What a kernel waits to be told."""

    execution_id: ExecutionId
    prompt: Prompt


class LinkListener(Protocol):
    """What a link tells, on the event loop. None of the calls may block, but ``before_action``."""

    def on_ready(self) -> None:
        """The kernel answers and its output is heard: after a start and after each restart."""

    def on_messages(self, messages: Sequence[KernelMessage]) -> None:
        """What the kernel sent, in order on each channel.

        And, among it, what it was answered by ``Link.answer_input``, as an ``input_reply`` that
        bears the id of the execution, ``prompt`` and ``value``; None for a password (P3).
        """

    def on_caught_up(self, requests: Collection[str], question: Question | None) -> None:
        """What was said since the position from which the link was resumed is delivered (R2).

        Before ``on_ready``. ``requests``: ids of those that were sent by this link, or the one of
        the server before, and are not answered; ``question`` likewise.
        """

    def on_died(self, report: DeathReport, restarting: bool) -> None:
        """The kernel's process is gone (K1). ``restarting``: somebody restarts it by itself."""

    async def before_action(self) -> None:
        """The kernel is about to be interrupted, restarted or shut down by someone.

        Which it is, is told next, in the same turn of the loop as this returns.
        """

    def on_restarting(self) -> None:
        """The kernel is being replaced in place (K2), by whomever, ``Link.restart`` too.

        What comes from the old process afterwards is delivered until the new one is there.
        """

    def on_interrupted(self) -> None:
        """Someone interrupted the kernel, but not through this link (Q8)."""

    def on_shut_down(self) -> None:
        """The kernel is ended on purpose. Nothing follows."""


class Link(Protocol):
    """One way to one kernel. A request sent while there is no process is lost with it."""

    @property
    def kernel_id(self) -> KernelId:
        """The id under which the kernel is managed."""

    @property
    def looks_ahead(self) -> bool:
        """Whether ``execute`` has any use for ``after``."""

    async def open(self) -> None:
        """Begin to connect; ``on_ready`` tells when it is done.

        Raises ``KernelStartError`` if there is no such kernel or it failed to start.
        """

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
        """Send an execute_request whose ``msg_id`` is ``execution_id``. Never blocks.

        ``cell_id`` goes into its metadata, as JupyterLab sends it for tools in the kernel.
        With ``after``, where the link ``looks_ahead``, it is a hint: the kernel may get the request
        as soon as that execution has ended well, without another word. The call without ``after``
        follows when it is time, and the kernel gets it once. Until then there is ``withdraw``.
        """

    async def withdraw(self, execution_id: ExecutionId) -> None:
        """Undo ``execute`` with ``after``.

        If the kernel had it by then, that the one before has ended is delivered on return.
        """

    def answer_input(self, execution_id: ExecutionId, value: str) -> None:
        """Answer the input_request of ``execution_id``. ``value`` is kept nowhere (P3)."""

    def send_comm(self, comm_id: str, data: dict[str, Json]) -> None:
        """Send a comm_msg, as a front end does to change the state of a widget (O12)."""

    def ack(self, position: int) -> None:
        """Messages up to ``position`` are stored; nothing, where messages have none."""

    async def interrupt(self) -> None:
        """Interrupt the kernel as its kernelspec says. Raises ``Conflict`` if that cannot be."""

    async def restart(self) -> None:
        """Restart in place; returns when the new process was started, ``on_ready`` follows.

        Raises ``Conflict`` if that cannot be.
        """

    async def close(self) -> None:
        """Let go of the kernel, which lives on. Complete when it returns; may be repeated."""
