"""What ipykernel drops when a client is slow, it drops no more once a link is there."""

from __future__ import annotations

import json

import pytest
import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from kernels_harness import Bench, LinkFactory, run

LINES = 8_000
SOURCE = f"for i in range({LINES}): print('line', i, 'x' * 200, flush=True)"


class SlowClient:
    """Subscribes to a kernel's iopub, with little room, and reads only when it is told to."""

    def __init__(self, bench: Bench, kernel_id: str) -> None:
        info = bench.managers.get_kernel(kernel_id).get_connection_info()
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.rcvhwm = 1
        self._socket.rcvbuf = 4096
        self._socket.subscribe(b"")
        self._socket.connect(f"tcp://{info['ip']}:{info['iopub_port']}")

    async def connected(self, client: AsyncKernelClient) -> None:
        """Wait until the kernel has a queue for it; only those that are there are made longer."""
        while not self._socket.poll(0):
            await client.kernel_info(reply=True, timeout=60)

    def lines(self) -> int:
        """How many lines come, from the first on, before some are missing."""
        text, count = "", 0
        while count < LINES and self._socket.poll(10_000):
            frames = self._socket.recv_multipart()
            content = json.loads(frames[frames.index(b"<IDS|MSG>") + 5])
            text += content["text"] if content.get("name") == "stdout" else ""
            *whole, text = text.split("\n")
            for line in whole:
                if not line.startswith(f"line {count} "):
                    return count
                count += 1
        return count

    def close(self) -> None:
        self._socket.close(linger=0)


@pytest.mark.parametrize("has_link", [True, False])
async def test_o19_a_client_that_stands_still_misses_nothing(
    bench: Bench, factory: LinkFactory, has_link: bool
) -> None:
    """O19: all lines wait for a client that reads late; without a link, ipykernel drops most."""
    kernel_id = await bench.start()
    slow = SlowClient(bench, kernel_id)
    client = bench.managers.get_kernel(kernel_id).client()
    client.start_channels()
    try:
        await client.wait_for_ready()
        await slow.connected(client)
        if has_link:
            link, recorder = await bench.ready(kernel_id, factory)
            run(link, "e1", SOURCE)
            await recorder.done("e1")
        else:
            await client.execute(SOURCE, reply=True, timeout=60)  # its idle may be dropped too
        found = slow.lines()
    finally:
        client.stop_channels()
        slow.close()
    if has_link:
        assert found == LINES
    else:
        assert found < LINES  # or there would be nothing to do


async def test_k10_the_request_for_room_shows_nowhere(bench: Bench, factory: LinkFactory) -> None:
    """K10: no count is taken, no name is left behind, and nobody is told."""
    link, recorder = await bench.ready(await bench.start(), factory)
    run(link, "e1", "print(sorted(n for n in dir() if not n.startswith('_')), len(In))")
    reply = await recorder.done("e1")
    assert reply.content["execution_count"] == 1
    assert recorder.text("e1") == "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit'] 2\n"
    assert {message.parent_id for message in recorder.messages} <= {"", "e1"}
