"""The plain link and kernels that behave badly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from fake_kernel import FakeKernel, FakeManager, FakeManagers
from kernels_harness import Recorder, run

from notebook_exec.core.model import (
    Conflict,
    DeathReport,
    ExecutionId,
    KernelId,
    KernelMessage,
    KernelStartError,
)
from notebook_exec.kernels import handshake, peer
from notebook_exec.kernels.actions import KernelActions
from notebook_exec.kernels.zmq_link import ZmqLink

KERNEL = KernelId("k")


class Rig:
    """One fake kernel, its fake manager and a link."""

    def __init__(self) -> None:
        self.kernel = FakeKernel()
        self.manager = FakeManager(self.kernel.connection)
        self.managers = FakeManagers(k=self.manager)
        self.recorder = Recorder()
        self.link = ZmqLink(KERNEL, KernelActions(self.managers), self.recorder)
        self.kernels = [self.kernel]

    async def open(self) -> None:
        self.manager.started()
        await self.link.open()

    async def close(self) -> None:
        await self.link.close()
        for kernel in self.kernels:
            await kernel.close()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.close()


async def test_q10_ready_without_a_welcome(rig: Rig) -> None:
    """Q10: a status that came before the subscription is asked for again."""
    rig.kernel.close_iopub()
    await rig.open()
    await rig.kernel.request("kernel_info_request", times=3)  # answered, but not heard
    assert not rig.recorder.told
    rig.kernel.open_iopub()
    await rig.recorder.count("ready")
    assert not rig.recorder.messages  # our own questions are nobody's business


async def test_q10_ready_by_the_control_channel_alone(rig: Rig) -> None:
    """Q10: a kernel that is busy on shell answers on control."""
    rig.kernel.answers = {"control"}
    await rig.open()
    await rig.recorder.count("ready")


async def test_q10_a_kernel_that_publishes_nothing_is_used_with_a_warning(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """K9: silence on iopub does not keep a kernel from running cells."""
    monkeypatch.setattr(handshake, "_LIMIT_S", 0.1)
    rig.kernel.publishes = False
    await rig.open()
    await rig.recorder.count("ready")
    assert "publishes nothing" in caplog.text


async def test_p1_ready_means_that_questions_arrive(rig: Rig) -> None:
    """P1: a kernel drops an input_request for a link whose stdin is not connected yet."""
    rig.kernel.close_stdin()
    await rig.open()
    channel, identity, _ = await rig.kernel.request("kernel_info_request", times=2)
    await rig.kernel.send(channel, identity, "comm_info_reply", {}, {})  # behind the answer
    await rig.recorder.until(lambda: rig.recorder.messages)
    while rig.recorder.messages[-1].channel != "iopub":  # until the subscription is live
        await rig.kernel.publish("stream", {"name": "stdout", "text": "x"})
        await asyncio.sleep(0.01)
    assert not rig.recorder.told
    rig.kernel.open_stdin()
    await rig.recorder.count("ready")


async def test_o14_bad_messages_are_dropped_and_the_rest_arrives(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """O14: no message, whatever it holds, stops the reader."""
    await rig.open()
    await rig.recorder.count("ready")
    kernel = rig.kernel
    good = kernel.frames("stream", {"name": "stdout", "text": "x"})
    bad = [
        [b"no delimiter"],
        good[:3],
        [good[0], b"0" * 64, *good[2:]],
        kernel.signed(b"not json", b"{}", b"{}", b"{}"),
        kernel.signed(b'{"msg_type": "stream"}', b"{}", b"{}", b"[]"),
        kernel.signed(b"{}", b"{}", b"{}", b"{}"),
    ]
    with caplog.at_level(logging.WARNING):
        for i, frames in enumerate(bad):
            await kernel.publish_frames(frames)
            await kernel.publish("stream", {"name": "stdout", "text": str(i)})
        shell = next(r for r in kernel.requests if r[0] == "shell")
        await kernel.send(*shell[:2], "comm_info_reply", {"still": "here"}, {})
        await rig.recorder.until(lambda: len(rig.recorder.messages) == len(bad) + 1)
    texts = [m.content["text"] for m in rig.recorder.messages if m.channel == "iopub"]
    assert texts == [str(i) for i in range(len(bad))]
    assert "signature" in caplog.text or "delimiter" in caplog.text
    assert len(caplog.records) <= 3  # 1, 2, 4: a flood of bad messages is no flood of logs


async def test_p1_shell_stdin_and_control_share_the_links_own_identity(rig: Rig) -> None:
    """P1, K10: input_requests follow the shell's identity, which is no other client's."""
    await rig.open()
    await rig.recorder.count("ready")
    run(rig.link, "e1", "input()", allow_stdin=True)
    _, identity, request = await rig.kernel.request("execute_request")
    assert request["header"]["msg_id"] == "e1"
    assert request["content"]["allow_stdin"] is True
    await rig.kernel.send("stdin", identity, "input_request", {"prompt": "?"}, request)
    asked = await rig.recorder.until(lambda: rig.recorder.of("e1", "input_request"))
    rig.link.answer_input(ExecutionId("e1"), "yes")
    channel, from_identity, reply = await rig.kernel.request("input_reply")
    assert (channel, reply["content"]["value"]) == ("stdin", "yes")
    assert reply["parent_header"]["msg_id"] == asked[0].msg_id
    identities = {each[1] for each in rig.kernel.requests}
    assert identities == {identity} == {from_identity} == {rig.link.session.encode()}
    assert rig.link.session != rig.manager.session.session


async def test_the_cell_id_is_sent_along(rig: Rig) -> None:
    """U5: tools in the kernel know the cell, as with JupyterLab's own executor."""
    await rig.open()
    await rig.recorder.count("ready")
    rig.link.execute(ExecutionId("e1"), "1", allow_stdin=False, cell_id="c")
    assert (await rig.kernel.request("execute_request"))[2]["metadata"] == {"cellId": "c"}


async def test_l1_a_flood_does_not_hold_the_loop(rig: Rig) -> None:
    """L1: other callbacks run between slices, and the reply is not behind the output."""
    await rig.open()
    await rig.recorder.count("ready")
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(turn)

    total = 20_000
    shell = next(r for r in rig.kernel.requests if r[0] == "shell")
    frames = rig.kernel.frames("stream", {"name": "stdout", "text": "x"})
    for _ in range(total):
        await rig.kernel.publish_frames(frames)
    await rig.kernel.send(*shell[:2], "comm_info_reply", {}, {})
    turn()
    await rig.recorder.until(lambda: len(rig.recorder.messages) > total)
    assert max(rig.recorder.batches) <= 4 * 256
    assert turns >= len(rig.recorder.batches) - 1


async def test_o14_a_listener_that_raises_does_not_stop_the_reader(rig: Rig) -> None:
    """O14: an error on our side costs one batch, and is told to the loop's handler."""
    await rig.open()
    await rig.recorder.count("ready")
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    def fail_once(messages: Sequence[KernelMessage]) -> None:
        if not errors:
            raise RuntimeError("ours")

    rig.recorder.on_batch = fail_once
    for i in range(2000):
        await rig.kernel.publish("stream", {"name": "stdout", "text": str(i)})
    await rig.recorder.until(
        lambda: rig.recorder.messages and rig.recorder.messages[-1].content["text"] == "1999"
    )
    assert [str(context["exception"]) for context in errors] == ["ours"]


async def test_k2_the_old_process_does_not_make_the_new_one_ready(rig: Rig) -> None:
    """K2: after a restart only answers to new questions count; ports may be new."""
    rig.kernel.answers = set()
    await rig.open()
    channel, identity, question = await rig.kernel.request("kernel_info_request")
    new = FakeKernel(answers=())
    rig.kernels.append(new)

    async def restart() -> None:
        assert rig.recorder.told == ["restarting"]
        await rig.kernel.answer(channel, identity, question)
        await rig.kernel.publish("stream", {"name": "stdout", "text": "last words"})
        await rig.recorder.until(lambda: rig.recorder.messages)
        rig.manager.connection = new.connection
        rig.manager.replaced()

    rig.managers.during = restart
    await rig.link.restart()
    channel, identity, question = await new.request("kernel_info_request")
    assert rig.recorder.told == ["restarting"]
    await new.answer(channel, identity, question)
    await rig.recorder.count("ready")
    run(rig.link, "e1", "1")
    assert (await new.request("execute_request"))[2]["header"]["msg_id"] == "e1"


async def test_k2_a_restart_that_failed_before_it_began(rig: Rig) -> None:
    """K2: the process is still the old one, and becomes ready again."""
    await rig.open()
    await rig.recorder.count("ready")

    async def fail() -> None:
        raise RuntimeError("pending")

    rig.managers.during = fail
    with pytest.raises(Conflict, match="pending"):
        await rig.link.restart()
    await rig.recorder.count("ready", 2)
    assert rig.recorder.told == ["ready", "restarting", "ready"]


async def test_q8_another_clients_interrupt_request(rig: Rig) -> None:
    """Q8: an interrupt_request on the control channel goes past the server, but is heard."""
    await rig.open()
    await rig.recorder.count("ready")
    for session in (rig.manager.session.session, "console"):
        parent = {"msg_id": "i", "msg_type": "interrupt_request", "session": session}
        for state in ("busy", "idle"):
            content: dict[str, Any] = {"execution_state": state}
            frames = rig.kernel.session.msg("status", content)
            frames["parent_header"] = parent
            await rig.kernel.publish_frames(rig.kernel.session.serialize(frames))
    await rig.recorder.until(lambda: len(rig.recorder.of("i")) == 4)
    assert rig.recorder.told == ["ready", "interrupted"]  # the manager's own was no news


async def test_q10_a_kernel_that_is_still_being_started(rig: Rig) -> None:
    """Q10: a link may be opened before there is a process."""
    await rig.link.open()
    assert not rig.recorder.told
    rig.manager.started()
    await rig.recorder.count("ready")


async def test_q10_a_start_that_fails_later_and_one_that_failed(rig: Rig) -> None:
    """Q10: the reason is told."""
    await rig.link.open()
    rig.manager.ready.set_exception(RuntimeError("no such program"))
    await rig.recorder.count("died")
    assert rig.recorder.events == [("died", DeathReport(log_tail="no such program"), False)]
    again = ZmqLink(KERNEL, KernelActions(rig.managers), Recorder())
    with pytest.raises(KernelStartError, match="no such program"):
        await again.open()


async def test_k1_a_kernel_that_is_forgotten_is_shut_down(rig: Rig) -> None:
    """K1: its manager is gone, whoever took it away."""
    await rig.open()
    await rig.recorder.count("ready")
    del rig.managers.kernels["k"]
    await rig.recorder.count("shut_down")


async def test_k1_exit_codes_and_provisioners_that_raise(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """K1: a poll that fails says nothing; the next one does."""
    polled = asyncio.Event()

    async def fail() -> int | None:
        polled.set()
        raise OSError("network")

    with monkeypatch.context() as patch:
        patch.setattr(rig.manager.provisioner, "poll", fail)
        await rig.open()
        await rig.recorder.count("ready")
        await polled.wait()
        assert rig.recorder.told == ["ready"]
    rig.manager.provisioner.code = 137
    await rig.recorder.count("died")
    assert rig.recorder.events[-1] == ("died", DeathReport(exit_code=137), False)
    assert "cannot see how kernel k is" in caplog.text


async def test_g5_a_foreign_kernel_that_dies_and_comes_back(rig: Rig) -> None:
    """G5, K1: a process that is not ours is dead when its connections break, within 2 s."""
    rig.manager.owns_kernel = False
    await rig.open()
    await rig.recorder.count("ready")
    await rig.kernel.close()
    await rig.recorder.until(lambda: "died" in rig.recorder.told, timeout_s=2)
    assert rig.recorder.events[-1] == ("died", DeathReport(), False)
    rig.kernels.append(FakeKernel(like=rig.kernel.connection))
    await rig.recorder.count("ready", 2)
    assert rig.recorder.told == ["ready", "died", "ready"]
    run(rig.link, "e1", "1")
    await rig.kernels[1].request("execute_request")


async def test_g5_a_foreign_kernel_that_is_replaced_at_once(rig: Rig) -> None:
    """G5, K2: a connection that broke and is back leads to another process."""
    rig.manager.owns_kernel = False
    await rig.open()
    await rig.recorder.count("ready")
    await rig.kernel.close()
    rig.kernels.append(FakeKernel(like=rig.kernel.connection))
    await rig.recorder.count("ready", 2)
    assert rig.recorder.told == ["ready", "restarting", "ready"]


async def test_g5_a_foreign_kernel_that_is_not_there(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G5: a connection file may outlive its kernel."""
    monkeypatch.setattr(peer, "_FIRST_LIMIT_S", 0.1)
    rig.manager.owns_kernel = False
    await rig.kernel.close()
    await rig.open()
    await rig.recorder.count("died")
    assert rig.recorder.told == ["died"]


async def test_g5_a_foreign_kernel_is_interrupted_by_message_and_never_restarted(rig: Rig) -> None:
    """G5, Q8: no signal can be sent to it, and only its owner can start it again."""
    rig.manager.owns_kernel = False
    await rig.open()
    await rig.recorder.count("ready")
    await rig.link.interrupt()
    assert (await rig.kernel.request("interrupt_request"))[0] == "control"
    with pytest.raises(Conflict):
        await rig.link.restart()
    await rig.managers.restart_kernel(KERNEL)  # from a menu
    assert rig.recorder.told == ["ready"]
    assert not [action for action, _ in rig.managers.done if action == "interrupt"]
