"""What every ``Link`` must do, whatever way it takes to the kernel."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import zmq
from kernels_harness import Bench, LinkFactory, Recorder, run
from nanny_harness import STUB_ARGV, add_spec, until

from notebook_exec.core.model import (
    Conflict,
    DeathReport,
    ExecutionId,
    KernelId,
    KernelMessage,
    KernelStartError,
)
from notebook_exec.kernels.link import Link


async def test_q10_ready_means_that_nothing_of_the_first_run_is_missed(
    bench: Bench, factory: LinkFactory
) -> None:
    """Q10: once ready, the whole life of an execution is heard, in order."""
    link, recorder = await bench.open(await bench.start(), factory)
    await recorder.count("ready")
    run(link, "e1", "print('out'); 6 * 7")
    reply = await recorder.done("e1")
    assert reply.channel == "shell"
    assert reply.content["status"] == "ok"
    iopub = [m for m in recorder.of("e1") if m.channel == "iopub"]
    assert [m.msg_type for m in iopub] == [
        "status",
        "execute_input",
        "stream",
        "execute_result",
        "status",
    ]
    assert iopub[0].content["execution_state"] == "busy"
    assert iopub[3].content["data"]["text/plain"] == "42"
    assert all(m.date and m.msg_id for m in iopub)
    assert recorder.told == ["ready"]


async def test_o19_a_slow_listener_loses_nothing(bench: Bench, factory: LinkFactory) -> None:
    """O19: 20,000 flushed lines arrive, all and in order, while the listener is slow."""
    link, recorder = await bench.ready(await bench.start(), factory)

    def dawdle(messages: Sequence[KernelMessage]) -> None:
        if len(recorder.batches) < 20:
            time.sleep(0.05)

    recorder.on_batch = dawdle
    # ipykernel drops what its own sending thread has no time for, which is not what is tried here:
    # on a busy machine it is given some.
    source = (
        "import sys, time\n"
        "for i in range(20000):\n"
        "    sys.stdout.write(f'{i}\\n'); sys.stdout.flush()\n"
        "    if i % 200 == 0: time.sleep(0.002)"
    )
    run(link, "e1", source)
    await recorder.done("e1")
    missing = sorted(set(range(20000)) - set(map(int, recorder.text("e1").split())))
    assert not missing, f"{len(missing)} lines, from {missing[0]} to {missing[-1]}"
    assert recorder.text("e1") == "".join(f"{i}\n" for i in range(20000))
    assert max(recorder.batches) <= 4 * 256  # slices: the event loop is never held for long


async def test_p1_input_is_asked_and_answered(bench: Bench, factory: LinkFactory) -> None:
    """P1, P3: the prompt reaches the link that asked for the run, and only that one.

    That the kernel was answered is told in its place among the messages; a password is not.
    """
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    _, other = await bench.ready(kernel_id, factory)
    run(
        link, "e1", "import getpass\nprint(input('a? ') + getpass.getpass('b? '))", allow_stdin=True
    )
    for times, password in ((1, False), (2, True)):
        await recorder.until(lambda times=times: len(recorder.of("e1", "input_request")) == times)
        request = recorder.of("e1", "input_request")[-1]
        assert (request.channel, request.content["password"]) == ("stdin", password)
        link.answer_input(ExecutionId("e1"), "ü€")
    await recorder.done("e1")
    assert recorder.text("e1") == "ü€ü€\n"
    told = [answer.content for answer in recorder.of("e1", "input_reply")]
    assert told == [{"prompt": "a? ", "value": "ü€"}, {"prompt": "b? ", "value": None}]
    stdin = [message.msg_type for message in recorder.of("e1") if message.channel == "stdin"]
    assert stdin == ["input_request", "input_reply"] * 2
    await other.until(lambda: other.is_idle("e1"))
    assert not other.of("e1", "input_request")


async def test_a7_without_stdin_input_raises(bench: Bench, factory: LinkFactory) -> None:
    """A7: ``allow_stdin: false`` makes ``input()`` raise, and the kernel stays usable."""
    link, recorder = await bench.ready(await bench.start(), factory)
    run(link, "e1", "input()")
    assert (await recorder.done("e1")).content["ename"] == "StdinNotImplementedError"
    run(link, "e2", "1")
    assert (await recorder.done("e2")).content["status"] == "ok"


async def test_o9_late_messages_keep_their_parent(bench: Bench, factory: LinkFactory) -> None:
    """O9: a thread prints after its cell is idle; the message names that cell's execution."""
    link, recorder = await bench.ready(await bench.start(), factory)
    source = (
        "import threading, time\n"
        "def late():\n"
        "    time.sleep(0.5); print('late', flush=True)\n"
        "threading.Thread(target=late).start()"
    )
    run(link, "e1", source)
    await recorder.done("e1")
    assert not recorder.text("e1")
    await recorder.until(lambda: "late" in recorder.text("e1"))


async def test_o17_child_processes_are_heard(bench: Bench, factory: LinkFactory) -> None:
    """O17: what a child writes to descriptor 1 arrives, as the kernel forwards it."""
    link, recorder = await bench.ready(await bench.start(), factory)
    run(link, "e1", "import subprocess\n_ = subprocess.run(['echo', 'child'])")
    await recorder.until(lambda: "child" in recorder.text("e1"))


async def run_on(link: Link, mark: Path) -> None:
    """Run what does not end, until the kernel is at it.

    Not at a print: interrupted in the middle of one, Python may say RuntimeError instead.
    """
    run(link, "e1", f"open({str(mark)!r}, 'w').close()\nwhile True: pass")
    await until(mark.exists)


async def test_q8_interrupt_is_told_to_the_others_only(
    bench: Bench, factory: LinkFactory, tmp_path: Path
) -> None:
    """Q8: an interrupt through one link ends the cell and is told to the kernel's other links."""
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    _, other = await bench.ready(kernel_id, factory)
    await run_on(link, tmp_path / "on")
    await link.interrupt()
    assert (await recorder.done("e1")).content["ename"] == "KeyboardInterrupt"
    assert recorder.told == ["ready"]
    assert other.told == ["ready", "interrupted"]


async def test_q8_an_interrupt_from_a_menu_is_told_before_its_error(
    bench: Bench, factory: LinkFactory, tmp_path: Path
) -> None:
    """Q8: whoever interrupts through the server: it is known before the cell ends of it."""
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    await run_on(link, tmp_path / "on")
    await bench.managers.interrupt_kernel(kernel_id)
    assert (await recorder.done("e1")).content["ename"] == "KeyboardInterrupt"
    assert recorder.told == ["ready", "interrupted"]
    kinds = [event[1].msg_type if event[0] == "message" else event[0] for event in recorder.events]
    assert kinds.index("interrupted") < kinds.index("error")


async def test_k2_restart_from_a_menu(bench: Bench, factory: LinkFactory) -> None:
    """K2: told before the running cell's error comes; the new process is ready, and is new."""
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    run(link, "e1", "x = 1\nprint('on', flush=True)\nwhile True: pass")
    await recorder.until(lambda: recorder.text("e1"))
    run(link, "e2", "print('never')")
    await bench.managers.restart_kernel(kernel_id)
    await recorder.count("ready", 2)
    assert recorder.told == ["ready", "restarting", "ready"]
    restarting = recorder.events.index(("restarting",))
    assert not [
        event for event in recorder.events[:restarting] if event[0] == "message"
        and event[1].msg_type in ("error", "execute_reply")
    ]  # fmt: skip
    run(link, "e3", "x")
    reply = await recorder.done("e3")
    assert (reply.content["ename"], reply.content["execution_count"]) == ("NameError", 1)
    assert not recorder.text("e2")


async def test_k2_restart_through_the_link(bench: Bench, factory: LinkFactory) -> None:
    """K2: all links of the kernel are told, the one that asked too, and become ready again."""
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    _, other = await bench.ready(kernel_id, factory)
    await link.restart()
    for each in (recorder, other):
        await each.count("ready", 2)
        assert each.told == ["ready", "restarting", "ready"]
    run(link, "e1", "'again'")
    assert (await recorder.done("e1")).content["execution_count"] == 1


async def test_k2_restart_past_the_manager_of_many(bench: Bench, factory: LinkFactory) -> None:
    """K2: a restart that no one announced is found by the change of process."""
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    await bench.managers.get_kernel(kernel_id).restart_kernel()
    await recorder.count("ready", 2)
    assert recorder.told == ["ready", "restarting", "ready"]
    run(link, "e1", "1")
    assert (await recorder.done("e1")).content["execution_count"] == 1


async def test_k1_killed(bench: Bench, factory: LinkFactory) -> None:
    """K1: kill -9 is told within 2 s, with its signal; the automatic restart is waited for."""
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    run(link, "e1", "print('on', flush=True)\nwhile True: pass")
    await recorder.until(lambda: recorder.text("e1"))
    os.kill(bench.managers.get_kernel(kernel_id).provisioner.pid, signal.SIGKILL)
    await recorder.until(lambda: "died" in recorder.told, timeout_s=2)
    assert recorder.events[-1] == ("died", DeathReport(signal="SIGKILL"), True)
    await recorder.count("ready", 2)
    assert recorder.told == ["ready", "died", "ready"]
    run(link, "e2", "1")
    assert (await recorder.done("e2")).content["execution_count"] == 1


async def test_k1_last_words_and_exit_code(bench: Bench, factory: LinkFactory) -> None:
    """K1: what the kernel sent before it died comes before its death; nobody restarts it."""
    kernel_id = await bench.start()
    bench.managers.get_kernel(kernel_id).stop_restarter()  # first: it heeds autorestart itself
    bench.managers.get_kernel(kernel_id).autorestart = False
    link, recorder = await bench.ready(kernel_id, factory)
    source = (
        "import os, time\nfor i in range(3000): print(i, flush=True)\ntime.sleep(0.2)\nos._exit(7)"
    )
    run(link, "e1", source)
    await recorder.count("died")
    assert recorder.events[-1] == ("died", DeathReport(exit_code=7), False)
    assert recorder.text("e1").endswith("2999\n")


async def test_q10_a_kernel_that_dies_while_it_starts(bench: Bench, factory: LinkFactory) -> None:
    """Q10: told, with its exit code, and told again when the restarter gives it up."""
    _, recorder = await bench.open(await bench.start("broken"), factory)
    await recorder.until(lambda: ("died", DeathReport(exit_code=3), False) in recorder.events)
    assert ("died", DeathReport(exit_code=3), True) in recorder.events
    assert "ready" not in recorder.told


async def test_q10_an_unknown_kernel(bench: Bench, factory: LinkFactory) -> None:
    """Q10: there is nothing to connect to."""
    with pytest.raises(KernelStartError):
        await bench.open(KernelId("none"), factory)


async def test_shutdown_is_told_first(bench: Bench, factory: LinkFactory) -> None:
    """K2: a shutdown is no restart and no death, and comes before the interrupt it begins with."""
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    run(link, "e1", "print('on', flush=True)\nwhile True: pass")
    await recorder.until(lambda: recorder.text("e1"))
    await bench.managers.shutdown_kernel(kernel_id)
    assert recorder.told == ["ready", "shut_down"]
    kinds = [event[1].msg_type if event[0] == "message" else event[0] for event in recorder.events]
    assert "error" not in kinds[: kinds.index("shut_down")]
    with pytest.raises(Conflict):
        await link.interrupt()
    with pytest.raises(Conflict):
        await link.restart()


async def test_k10_two_links_steal_nothing(bench: Bench, factory: LinkFactory) -> None:
    """K10: each gets its own replies; K11: each hears what the other runs."""
    kernel_id = await bench.start()
    first, heard_first = await bench.ready(kernel_id, factory)
    second, heard_second = await bench.ready(kernel_id, factory)
    for i in range(5):
        run(first, f"a{i}", f"print('a{i}')")
        run(second, f"b{i}", f"print('b{i}')")
    for recorder, own, foreign in ((heard_first, "a", "b"), (heard_second, "b", "a")):
        for i in range(5):
            await recorder.done(f"{own}{i}")
            await recorder.until(
                lambda recorder=recorder, i=i, foreign=foreign: recorder.is_idle(f"{foreign}{i}")
            )
            assert recorder.text(f"{foreign}{i}") == f"{foreign}{i}\n"
            assert not recorder.of(f"{foreign}{i}", "execute_reply")
    await first.close()
    run(second, "b5", "1")
    await heard_second.done("b5")


async def test_k10_an_ordinary_client_works_beside(bench: Bench, factory: LinkFactory) -> None:
    """K10: a client of the manager's own session gets its replies; K11: the link hears its runs."""
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    client = bench.managers.get_kernel(kernel_id).client()
    client.start_channels()
    await client.wait_for_ready(timeout=30)
    run(link, "e1", "1")
    msg_id = client.execute("print('console')")
    reply = await client.get_shell_msg(timeout=30)
    while reply["parent_header"]["msg_id"] != msg_id:
        reply = await client.get_shell_msg(timeout=30)
    assert reply["content"]["status"] == "ok"
    await recorder.done("e1")
    await recorder.until(lambda: recorder.is_idle(msg_id))
    assert recorder.text(msg_id) == "console\n"
    client.stop_channels()


async def test_k10_the_servers_watcher_rests(bench: Bench, factory: LinkFactory) -> None:
    """K10: state and activity are told by the link; the watcher hears nothing, but stays connected.

    A kernel can crash when a client disconnects just then (see room_for_output).
    """
    kernel_id = await bench.start()
    kernel: Any = bench.managers.get_kernel(kernel_id)
    watcher = kernel._activity_stream
    link, recorder = await bench.ready(kernel_id, factory)
    for number in itertools.count():  # until it rests; else the time limit ends it
        run(link, f"e{number}", "print('here')")
        await recorder.done(f"e{number}")
        if not list(received(watcher.socket)):
            break
    assert kernel._activity_stream is watcher
    assert not watcher.closed()
    assert kernel.execution_state == "idle"
    await link.close()
    assert kernel._activity_stream is not watcher, "the server watches again"


def received(socket: zmq.Socket[bytes]) -> Iterator[list[bytes]]:
    """All that is there to be read."""
    while socket.poll(0):
        yield socket.recv_multipart()


async def test_k9_a_kernel_that_sleeps_over_a_request_is_woken(
    bench: Bench, factory: LinkFactory, tmp_path: Path
) -> None:
    """K9: kernels can miss that a request came (as ipykernel could, its issue 1529)."""
    add_spec(tmp_path, "dozing", STUB_ARGV, language="stub")
    link, recorder = await bench.ready(await bench.start("dozing"), factory)
    run(link, "e1", "doze")
    await recorder.done("e1")
    run(link, "e2", "print 0 2 0")
    await recorder.done("e2")
    assert recorder.text("e2") == "0\n1\n"
    run(link, "e3", "print 2 3 0")
    await recorder.done("e3")


async def test_attaching_to_a_busy_kernel(
    bench: Bench, factory: LinkFactory, tmp_path: Path
) -> None:
    """Q10: a kernel that is busy with someone else's cell is ready; the request waits in it."""
    kernel_id = await bench.start()
    first, heard_first = await bench.ready(kernel_id, factory)
    go = tmp_path / "go"
    source = (
        "print('on', flush=True)\nimport os, time\nwhile not os.path.exists({!r}): time.sleep(0.01)"
    )
    run(first, "e1", source.format(str(go)))
    await heard_first.until(lambda: heard_first.text("e1"))
    second, heard_second = await bench.open(kernel_id, factory)
    await heard_second.until(lambda: "ready" in heard_second.told, timeout_s=5)
    run(second, "e2", "'after'")
    go.touch()
    assert (await heard_second.done("e2")).content["status"] == "ok"


async def test_close_is_complete(bench: Bench, factory: LinkFactory) -> None:
    """Nothing is told after ``close``, which may be repeated; the kernel lives on."""
    kernel_id = await bench.start()
    link, recorder = await bench.ready(kernel_id, factory)
    _, other = await bench.ready(kernel_id, factory)
    run(link, "e1", "print('on', flush=True)\nwhile True: pass")
    await recorder.until(lambda: recorder.text("e1"))
    await link.close()
    told = list(recorder.events)
    await link.close()
    run(link, "e2", "1")  # goes nowhere
    link.answer_input(ExecutionId("e1"), "x")
    await bench.managers.interrupt_kernel(kernel_id)
    await other.until(lambda: other.is_idle("e1"))
    assert recorder.events == told


async def test_close_before_ready(bench: Bench, factory: LinkFactory) -> None:
    """A link that is closed while it connects leaves nothing behind."""
    link, recorder = await bench.open(await bench.start(), factory)
    await asyncio.sleep(0)
    await link.close()
    assert isinstance(recorder, Recorder)
    assert not recorder.told
