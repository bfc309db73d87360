"""What the nanny is given ahead: the kernel has it when the one before has ended well, or not."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kernels_harness import Bench, Recorder, run
from nanny_harness import Client, nanny_bench, nanny_of, open_link, until
from traitlets.config import Config

from notebook_exec.core.model import ExecutionId
from notebook_exec.core.wire import Kind
from notebook_exec.kernels.nanny_link import NannyLink


@pytest.fixture
async def bench(tmp_path: Path, config: Config) -> AsyncIterator[Bench]:
    async with nanny_bench(tmp_path, config) as made:
        yield made


def read_nothing_until(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def cut_off(link: NannyLink) -> None:
    """As if its server had been killed: no more is said to the nanny."""
    port = link._port
    assert port is not None
    port._client.is_welcome = False  # or it would say that it goes


async def run_e1_then_e2(link: NannyLink, recorder: Recorder, first: str, second: str) -> None:
    """``e1`` has begun on return, and the nanny holds ``e2``."""
    run(link, "e1", first)
    e1, e2 = ExecutionId("e1"), ExecutionId("e2")
    await recorder.until(lambda: recorder.text("e1"))
    link.execute(e2, second, allow_stdin=False, after=e1)
    await link.withdraw(ExecutionId("e0"))  # what is said in order has arrived in order


async def assert_e2_waits_for_the_word(link: NannyLink, recorder: Recorder) -> None:
    """And for nothing else: with it, it runs."""
    await recorder.done("e1")
    run(link, "e3", "print 3 4 0")
    await recorder.done("e3")
    assert not recorder.of("e2")
    run(link, "e2", "print 2 3 0")
    await recorder.done("e2")


async def test_q2_the_next_one_begins_without_a_word(bench: Bench, tmp_path: Path) -> None:
    """Q2: and the word that comes afterwards does not run it again."""
    link, recorder = await open_link(bench, await bench.start())
    go = tmp_path / "go"
    await run_e1_then_e2(link, recorder, f"wait {go}", "print 2 3 0")
    go.touch()
    await recorder.done("e2")
    run(link, "e2", "print 2 3 0")
    run(link, "e3", "print 3 4 0")
    await recorder.done("e3")
    assert recorder.text("e2") == "2\n"
    ends = [m.parent_id for m in recorder.messages if m.msg_type == "execute_reply"]
    assert ends == ["e1", "e2", "e3"]
    begins = recorder.messages.index(recorder.of("e2")[0])
    assert begins > recorder.messages.index(recorder.of("e1")[-1])


async def test_q6_not_after_an_error(bench: Bench, tmp_path: Path) -> None:
    """Q6: whether it runs then, the server decides."""
    link, recorder = await open_link(bench, await bench.start())
    await run_e1_then_e2(link, recorder, f"wait {tmp_path / 'never'}", "print 2 3 0")
    await link.interrupt()
    assert (await recorder.done("e1")).content["status"] == "error"
    await assert_e2_waits_for_the_word(link, recorder)


@pytest.mark.parametrize("by", ["link", "client"])
async def test_q8_not_after_an_interrupt(bench: Bench, by: str) -> None:
    """Q8: not even if the cell takes no notice of it, whoever sent it."""
    kernel_id = await bench.start()
    link, recorder = await open_link(bench, kernel_id)
    await run_e1_then_e2(link, recorder, "endure", "print 2 3 0")
    if by == "link":
        await link.interrupt()
    else:
        async with Client(bench.managers.get_kernel(kernel_id), busy=True) as client:
            message = client.client.session.msg("interrupt_request", {})
            client.client.control_channel.send(message)
            await recorder.done("e1")
    assert (await recorder.done("e1")).content["status"] == "ok"
    await assert_e2_waits_for_the_word(link, recorder)


async def test_q7_it_is_withdrawn(bench: Bench, tmp_path: Path) -> None:
    """Q7: on return it cannot begin any more."""
    link, recorder = await open_link(bench, await bench.start())
    go = tmp_path / "go"
    await run_e1_then_e2(link, recorder, f"wait {go}", "print 2 3 0")
    await link.withdraw(ExecutionId("e2"))
    go.touch()
    await assert_e2_waits_for_the_word(link, recorder)


async def test_q7_it_is_at_hand_again(bench: Bench, tmp_path: Path) -> None:
    """Q7: withdrawn for another cell's sake it waits again, for the end of the one before."""
    link, recorder = await open_link(bench, await bench.start())
    go = tmp_path / "go"
    await run_e1_then_e2(link, recorder, f"wait {go}", "print 2 3 0")
    await link.withdraw(ExecutionId("e2"))
    link.execute(ExecutionId("e2"), "print 2 3 0", allow_stdin=False, after=ExecutionId("e1"))
    await link.withdraw(ExecutionId("e2"))
    go.touch()
    await assert_e2_waits_for_the_word(link, recorder)


async def test_q7_it_is_withdrawn_too_late(bench: Bench, tmp_path: Path) -> None:
    """Q7: on return it is known that the one before is over."""
    link, recorder = await open_link(bench, await bench.start())
    go, begun = tmp_path / "go", tmp_path / "begun"
    await run_e1_then_e2(link, recorder, f"wait {go}", f"touch {begun}")
    go.touch()
    read_nothing_until(begun)
    assert not recorder.is_idle("e1")
    await link.withdraw(ExecutionId("e2"))
    assert recorder.is_idle("e1")
    assert recorder.of("e1", "execute_reply")
    await recorder.done("e2")


@pytest.mark.parametrize("how", ["lets go", "is gone"])
async def test_r2_nothing_begins_while_no_server_is_there(
    bench: Bench, tmp_path: Path, how: str
) -> None:
    """R2: nobody would keep its books; the server that comes then has it run."""
    kernel_id = await bench.start()
    link, before = await open_link(bench, kernel_id)
    go, ended = tmp_path / "go", tmp_path / "ended"
    await run_e1_then_e2(link, before, f"wait {go} touch {ended}", "print 2 3 0")
    stored = before.messages[-1].position
    if how == "is gone":
        cut_off(link)
    await link.close()
    go.touch()
    await until(ended.exists)
    nanny = nanny_of(bench, kernel_id)
    while (await nanny.command(Kind.STATUS)).fields["state"] != "idle":
        pass
    link, after = await open_link(bench, kernel_id, stored)
    await assert_e2_waits_for_the_word(link, after)


async def test_r2_who_attaches_finds_nothing_held(bench: Bench, tmp_path: Path) -> None:
    """R2: a server that came back does not know what the one before looked ahead to."""
    kernel_id = await bench.start()
    link, before = await open_link(bench, kernel_id)
    go = tmp_path / "go"
    await run_e1_then_e2(link, before, f"wait {go}", "print 2 3 0")
    stored = before.messages[-1].position
    await link.close()
    link, after = await open_link(bench, kernel_id, stored)
    go.touch()
    await assert_e2_waits_for_the_word(link, after)


@pytest.mark.parametrize("words", ["wait {go} comm", "comm wait {go}"])
async def test_o12_not_after_a_word_to_a_widget(bench: Bench, tmp_path: Path, words: str) -> None:
    """O12: the server may have to tell the kernel what an Output widget holds, before it."""
    link, recorder = await open_link(bench, await bench.start())
    go = tmp_path / "go"
    await run_e1_then_e2(link, recorder, words.format(go=go), "print 2 3 0")
    go.touch()
    await assert_e2_waits_for_the_word(link, recorder)
