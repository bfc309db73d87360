"""What only the nanny's link promises: positions, replay, evidence of a death."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import nanny_harness
import pytest
from kernels_harness import Bench, Recorder, run
from nanny_harness import (
    STUB_ARGV,
    Client,
    TcpProxy,
    add_spec,
    is_running,
    nanny_bench,
    nanny_of,
    until,
)
from traitlets.config import Config

from notebook_exec.core.model import ExecutionId
from notebook_exec.core.wire import Kind, Record
from notebook_exec.kernels.messages import Wire
from notebook_exec.kernels.nanny_client import NannyAddress, NannyRefused
from notebook_exec.kernels.nanny_link import NannyLink
from notebook_exec.kernels.nanny_port import NannyPort
from notebook_exec.kernels.provisioner import NannyProvisioner
from notebook_exec.kernels.watch import KernelWatch

Open = Callable[..., Awaitable[tuple[NannyLink, Recorder]]]


@pytest.fixture
async def bench(tmp_path: Path, config: Config) -> AsyncIterator[Bench]:
    async with nanny_bench(tmp_path, config) as made:
        yield made


@pytest.fixture
def open_link(bench: Bench) -> Open:
    """Opens a link, as a server does that has stored ``position``."""
    return partial(nanny_harness.open_link, bench)


def positions(recorder: Recorder) -> list[int]:
    return [message.position or 0 for message in recorder.messages]


def lines(first: int, last: int) -> str:
    return "".join(f"{number}\n" for number in range(first, last))


async def test_r2_replay_after_the_reader_was_away(bench: Bench, open_link: Open) -> None:
    """R2: what came while nobody was there is delivered from the stored position on, once."""
    kernel_id = await bench.start()
    link, before = await open_link(kernel_id)
    run(link, "e1", "print 0 3000 0.0002")
    await before.until(lambda: len(before.of("e1", "stream")) > 100)
    await link.close()
    stored = before.messages[60].position
    kept = "".join(
        m.content["text"] for m in before.of("e1", "stream") if (m.position or 0) <= (stored or 0)
    )
    link, after = await open_link(kernel_id, stored or 0)
    reply = await after.done("e1")
    assert reply.content["status"] == "ok"
    assert kept + after.text("e1") == lines(0, 3000)
    assert positions(after) == sorted(set(positions(after)))
    run(link, "e2", "print 0 2 0")
    await after.done("e2")
    assert after.told == ["caught_up", "ready"]


async def test_r2_acked_messages_are_dropped(bench: Bench, open_link: Open) -> None:
    """R2: what is acknowledged is not kept, and never delivered again."""
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    run(link, "e1", "print 0 20000 0")
    await recorder.done("e1")
    nanny = nanny_of(bench, kernel_id)
    before = (await nanny.command(Kind.STATUS)).fields["journal"]
    assert before["bytes"] > 4 * 2**20
    link.ack(positions(recorder)[-1])
    await link.close()
    after = (await nanny.command(Kind.STATUS)).fields["journal"]
    assert after["bytes"] < before["bytes"] / 2
    assert after["first"] > before["first"]


async def test_p5_a_prompt_is_there_after_the_reader_was_away(
    bench: Bench, open_link: Open
) -> None:
    """P5: an input_request that came meanwhile is delivered, and can be answered."""
    kernel_id = await bench.start("python3")
    link, before = await open_link(kernel_id)
    run(link, "e1", "print('on', flush=True); print(input('a? '))", allow_stdin=True)
    await before.until(lambda: before.of("e1", "input_request"))
    stored = before.of("e1", "stream")[-1].position
    await link.close()
    link, after = await open_link(kernel_id, stored or 0)
    await after.until(lambda: after.of("e1", "input_request"))
    link.answer_input(ExecutionId("e1"), "ü")
    await after.done("e1")
    assert after.text("e1") == "ü\n"


async def test_p3_another_reply_does_not_end_a_question(bench: Bench, open_link: Open) -> None:
    """P3, R2: what is asked beside a cell ends meanwhile; the echo comes all the same."""
    link, recorder = await open_link(await bench.start())
    run(link, "e1", "ask name?", allow_stdin=True)
    await recorder.until(lambda: recorder.of("e1", "input_request"))
    run(link, "e2", "print 0 1 0")
    await recorder.done("e2")
    link.answer_input(ExecutionId("e1"), "it")
    await recorder.done("e1")
    told = [message.content for message in recorder.of("e1", "input_reply")]
    assert told == [{"prompt": "name?", "value": "it"}]


async def test_p1_a_kernel_that_listens_on_stdin_last(
    tmp_path: Path, bench: Bench, open_link: Open
) -> None:
    """P1: it is not ready before: what it asks of who is not connected is lost for good."""
    add_spec(tmp_path, "late", [*STUB_ARGV, "0.5"], language="stub")
    link, recorder = await open_link(await bench.start("late"))
    run(link, "e1", "ask name?", allow_stdin=True)
    await recorder.until(lambda: recorder.of("e1", "input_request"))
    link.answer_input(ExecutionId("e1"), "it")
    await recorder.done("e1")


async def test_k1_death_is_told_with_what_is_known(
    bench: Bench, open_link: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K1: the nanny pushes it, nobody asks; with signal, figures and the last lines of the log."""
    monkeypatch.setattr(
        KernelWatch.__init__,
        "__kwdefaults__",
        {**KernelWatch.__init__.__kwdefaults__, "poll_interval_s": 3600.0},
    )
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    run(link, "e1", "log out of cheese")
    await recorder.done("e1")
    pid = nanny_of(bench, kernel_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await recorder.until(lambda: "died" in recorder.told, timeout_s=1)
    _, report, restarting = recorder.events[-1]
    assert (report.signal, report.exit_code, restarting) == ("SIGKILL", None, True)
    assert report.log_tail.endswith("out of cheese")
    assert report.max_rss_bytes > 2**20
    assert report.cpu_s > 0
    await recorder.count("ready", 2)
    assert recorder.told == ["ready", "died", "ready"]


async def test_k1_a_death_is_told_after_all_that_was_said(bench: Bench, open_link: Open) -> None:
    """K1, R2: also if jupyter_client restarts the kernel while its journal is still being read."""
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    manager = bench.managers.get_kernel(kernel_id)
    pid = (await nanny_of(bench, kernel_id).command(Kind.STATUS)).fields["pid"]
    manager._restarter.stop()  # its callbacks come when this test wants them to
    recorder.on_batch = lambda messages: time.sleep(0.02)  # a machine that is busy
    run(link, "e1", "print 0 3000 0.0001")
    await recorder.until(lambda: recorder.text("e1"))
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not is_running(pid))
    assert await nanny_of(bench, kernel_id).wait() == -signal.SIGKILL
    manager._restarter._fire_callbacks("restart")
    await manager.restart_kernel(now=True)
    await recorder.count("ready", 2)
    (died,) = [i for i, event in enumerate(recorder.events) if event[0] == "died"]
    said = [i for i, event in enumerate(recorder.events) if event[0] == "message"]
    assert recorder.told == ["ready", "died", "ready"]
    assert max(i for i in said if recorder.events[i][1].parent_id == "e1") < died
    report = recorder.events[died][1]
    assert (report.signal, bool(report.cpu_s)) == ("SIGKILL", True)


async def test_k1_a_death_is_told_before_the_next_process_is_used(
    bench: Bench, open_link: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K1, R2: also by a server that is only about to connect when the next one is started."""
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    manager, nanny = bench.managers.get_kernel(kernel_id), nanny_of(bench, kernel_id)
    manager.stop_restarter()
    run(link, "e1", "print 0 3 0")
    await recorder.done("e1")
    position = positions(recorder)[0]
    await link.close()
    assert nanny.pid is not None
    os.kill(nanny.pid, signal.SIGKILL)
    assert await nanny.wait() == -signal.SIGKILL
    address, connects = nanny.address, asyncio.Event()

    async def late() -> NannyAddress:
        await connects.wait()
        return await address()

    monkeypatch.setattr(nanny, "address", late)
    again, after = await bench.open(
        kernel_id,
        lambda kernel_id, actions, listener: NannyLink(
            kernel_id, actions, listener, position=position, session="ours"
        ),
    )
    await until(lambda: manager._restarter.callbacks["restart"])
    manager._restarter._fire_callbacks("restart")
    await manager.restart_kernel(now=True)
    connects.set()
    await after.count("ready")
    assert after.told == ["caught_up", "died", "ready"]
    (died,) = [i for i, event in enumerate(after.events) if event[0] == "died"]
    assert {e[1].parent_id == "e1" for e in after.events[:died] if e[0] == "message"} == {True}
    assert {e[1].parent_id == "e1" for e in after.events[died:] if e[0] == "message"} <= {False}
    run(again, "e2", "print 0 3 0")
    await after.done("e2")


async def test_k1_a_death_that_is_stored_is_not_told_again(bench: Bench, open_link: Open) -> None:
    """K1, R2: what was queued since waits for the next process, whoever the server is."""
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    manager = bench.managers.get_kernel(kernel_id)
    manager.stop_restarter()
    pid = nanny_of(bench, kernel_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await recorder.until(lambda: "died" in recorder.told)
    _, report, restarting = recorder.events[-1]
    assert restarting
    await link.close()
    for position, told in (
        (report.position - 1, ["caught_up", "died"]),
        (report.position, ["caught_up"]),
    ):
        again, after = await bench.open(
            kernel_id,
            lambda kernel_id, actions, listener, position=position: NannyLink(
                kernel_id, actions, listener, position=position, session="ours"
            ),
        )
        assert isinstance(again, NannyLink)
        await until(lambda link=again: link._watch._phase.value == "dead")
        assert after.told == told
        if "died" in told:
            await again.close()
    await bench.managers.restart_kernel(kernel_id)
    await after.count("ready")
    assert "died" not in after.told


async def test_k6_the_nanny_dies(bench: Bench, open_link: Open) -> None:
    """K6: told within 2 s; the restarted kernel has a new nanny, and higher positions."""
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    run(link, "e1", "print 0 3 0")
    await recorder.done("e1")
    first_pid = nanny_of(bench, kernel_id).nanny_pid
    assert first_pid is not None
    os.kill(first_pid, signal.SIGKILL)
    await recorder.until(lambda: "died" in recorder.told, timeout_s=2)
    last = positions(recorder)[-1]
    await recorder.count("ready", 2)
    assert nanny_of(bench, kernel_id).nanny_pid != first_pid
    run(link, "e2", "print 0 3 0")
    await recorder.done("e2")
    assert min(m.position or 0 for m in recorder.of("e2")) > last


async def test_k6_what_a_nanny_wrote_down_is_read_when_it_died(
    bench: Bench, open_link: Open
) -> None:
    """K6, R2: amid a replay: all that is in its journal comes before its death, once."""
    kernel_id = await bench.start()
    filler, heard = await open_link(kernel_id)
    run(filler, "e1", "print 0 20000 0")
    await heard.done("e1")
    await filler.close()
    nanny_pid = nanny_of(bench, kernel_id).nanny_pid
    assert nanny_pid is not None
    _, recorder = await bench.open(
        kernel_id,
        lambda kernel_id, actions, listener: NannyLink(
            kernel_id, actions, listener, position=0, session="ours"
        ),
    )
    recorder.on_batch = lambda messages: (
        is_running(nanny_pid) and os.kill(nanny_pid, signal.SIGKILL)
    )
    await recorder.count("died")
    assert recorder.text("e1") == lines(0, 20000)
    assert positions(recorder) == sorted(set(positions(recorder)))
    _, report, _ = next(event for event in recorder.events if event[0] == "died")
    assert report.position >= positions(recorder)[-1]
    await recorder.count("ready")
    assert recorder.told == ["caught_up", "died", "ready"]


async def test_q8_an_interrupt_by_a_console_is_told(
    bench: Bench, open_link: Open, tmp_path: Path
) -> None:
    """Q8: an interrupt_request of another client is told before the error that it causes."""
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    run(link, "e1", f"wait {tmp_path / 'never'}")
    await recorder.until(lambda: recorder.text("e1"))
    async with Client(bench.managers.get_kernel(kernel_id), busy=True) as client:
        message = client.client.session.msg("interrupt_request", {})
        client.client.control_channel.send(message)
        assert (await recorder.done("e1")).content["ename"] == "KeyboardInterrupt"
    assert recorder.told == ["ready", "interrupted"]
    kinds = [event[0] for event in recorder.events]
    ends = [n for n, event in enumerate(recorder.events) if event[-1] in recorder.of("e1")]
    assert kinds.index("interrupted") < ends[-1]


async def test_k11_a_console_sees_what_runs(bench: Bench, open_link: Open) -> None:
    """K11: a console attached to the kernel sees the link's runs; K10: and gets its own."""
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    km = bench.managers.get_kernel(kernel_id)
    async with Client(km, session=km.session.clone()) as client:
        run(link, "e1", "print 0 2 0")
        texts = [m["content"].get("text") for m in await client.output("e1")]
        assert [text for text in texts if text] == ["0\n", "1\n"]
        assert (await client.run("print 5 6 0"))[1] == "5\n"
    await recorder.done("e1")


async def test_two_servers_never_drive_one_kernel(bench: Bench, open_link: Open) -> None:
    """R2: a server that takes over is the only one; the earlier is told, and heard no more."""
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    nanny = nanny_of(bench, kernel_id)
    later = NannyProvisioner(parent=bench.managers.get_kernel(kernel_id))
    await later.load_provisioner_info(await nanny.get_provisioner_info())
    await later.address()
    await recorder.count("died")
    assert "another server" in recorder.events[-1][1].log_tail
    run(link, "e1", "print 0 1 0")
    with pytest.raises(NannyRefused):
        await nanny.command(Kind.EXIT)
    assert (await later.command(Kind.STATUS)).fields["state"] == "idle"
    await later.command(Kind.EXIT)
    later.detach()
    await until(lambda: not nanny.is_nanny_alive)


async def test_r2_a_connection_that_breaks_costs_nothing(bench: Bench, open_link: Open) -> None:
    """R2: cut at any moment, the journal goes on after the last record that arrived."""
    kernel_id = await bench.start()
    link, recorder = await open_link(kernel_id)
    address = await nanny_of(bench, kernel_id).address()
    proxy = await TcpProxy.start(address.url)
    seen: list[Record] = []
    told = asyncio.Event()

    def on_records(records: list[Record]) -> None:
        seen.extend(records)
        told.set()

    port = NannyPort(
        address._replace(url=proxy.url),
        0,
        on_records=on_records,
        on_attached=lambda fields: None,
        on_refused=lambda error: None,
    )
    builder = Wire(address.key, "hmac-sha256", session="ours")
    run(link, "e1", "print 0 4000 0.0001")
    for cuts, wanted in enumerate(range(500, 4000, 700)):
        while len(seen) < wanted:
            told.clear()
            await asyncio.wait_for(told.wait(), 30)
        await until(lambda cuts=cuts: proxy.connections > cuts)  # there is something to cut
        proxy.cut()
        frames = builder.build("execute_request", f"e{wanted}", {"code": "print 0 1 0"})
        port.request("shell", f"e{wanted}", frames)
    await recorder.done("e1")
    for wanted in range(500, 4000, 700):
        await recorder.until(lambda wanted=wanted: recorder.is_idle(f"e{wanted}"))
        assert recorder.text(f"e{wanted}") == "0\n"
    while not seen or seen[-1].position < positions(recorder)[-1]:
        told.clear()
        await asyncio.wait_for(told.wait(), 30)
    found = [record.position for record in seen]
    assert found == list(range(found[0], found[-1] + 1))
    assert proxy.connections > 5
    port.close()
    port.close()
    await proxy.close()


async def test_a_replay_is_taken_in_slices(bench: Bench, open_link: Open) -> None:
    """L1: 20,000 messages at once do not hold the event loop for long."""
    kernel_id = await bench.start()
    link, _ = await open_link(kernel_id)
    await link.close()
    filler, heard = await open_link(kernel_id, session="other")
    run(filler, "e1", "print 0 20000 0")
    await heard.done("e1")
    _, again = await open_link(kernel_id)
    await again.until(lambda: again.text("e1").endswith("19999\n"))
    assert again.text("e1") == lines(0, 20000)
    assert max(again.batches) <= 2048
    assert not again.of("e1", "execute_reply")  # that is the other link's
