"""What Output widgets capture: the pages at once, the kernel before its next cell (SPEC O12)."""

from __future__ import annotations

import asyncio

from engine_harness import World
from fake_link import FakeLink, Sent

from notebook_exec.core.model import KernelId, Output
from notebook_exec.core.outputs import UpdateWidget


class Pages:
    """What the pages of ``world`` are shown."""

    def __init__(self, world: World) -> None:
        self.shown: list[list[Output]] = []
        self._news = asyncio.Event()
        world.engine.show_widget = self._show

    def _show(self, kernel_id: KernelId, update: UpdateWidget) -> None:
        self.shown.append(update.state["outputs"])
        self._news.set()

    async def until_text(self, text: str) -> None:
        while not self.shown or self.shown[-1][0]["text"] != text:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 10)


def open_output(link: FakeLink, sent: Sent) -> None:
    """An Output widget that captures what answers ``sent``."""
    state = {"_model_name": "OutputModel", "msg_id": sent.id, "outputs": []}
    content = {"comm_id": "w", "target_name": "jupyter.widget", "data": {"state": state}}
    link.say("comm_open", sent.id, content)


async def test_o12_pages_see_it_while_the_cell_runs(world: World) -> None:
    """O12: the kernel, which does not listen now, is told once; before the next cell."""
    pages = Pages(world)
    world.write("a.ipynb", "0", "1")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    first = await link.request(0)
    link.begin(first)
    open_output(link, first)
    link.print(first, "one\n")
    await pages.until_text("one\n")
    link.print(first, "two\n")
    await pages.until_text("one\ntwo\n")
    assert link.comms == []
    link.finish(first)
    await link.request(1)
    ((comm_id, data),) = link.comms
    assert (comm_id, data["method"]) == ("w", "update")
    assert data["state"]["outputs"][0]["text"] == "one\ntwo\n"


async def test_o12_a_page_that_comes_while_a_cell_runs_is_told(world: World) -> None:
    """O12: of the kernel's widgets, which it can only tell of itself when the cell is over."""
    Pages(world)
    world.write("a.ipynb", "0")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    kernel_id = accepted.executions[0].execution.kernel_id
    sent = await link.request(0)
    assert world.engine.widgets(KernelId("unknown")) is None
    link.begin(sent)
    open_output(link, sent)
    link.print(sent, "one\n")
    view = world.engine.widgets(kernel_id)
    assert view is not None
    assert [widget.comm_id for widget in view.widgets] == ["w"]
    assert view.captured["w"][0]["text"] == "one\n"
    link.finish(sent)
    await world.over(accepted)
    assert world.engine.widgets(kernel_id) is None
