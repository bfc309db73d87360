"""Outputs that come late, to cells that moved, changed or went away, and wild ones (SPEC O)."""

from __future__ import annotations

import json

from engine_harness import QUICK, World, states
from fake_link import FakeLink, Sent
from nbformat import validate

from notebook_exec.core.model import CellId, ExecutionId
from notebook_exec.engine.settings import EngineSettings


async def test_o9_late_output_reaches_its_cell(world: World) -> None:
    """O9: a thread's output after idle lands in its cell, while another cell runs."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    first = await link.request(0)
    link.run(first, "early\n")
    second = await link.request(1)
    link.begin(second)
    link.print(first, "late\n")
    link.print(second, "own\n")
    link.finish(second)
    link.print(first, "later\n")
    await viewer.until(lambda: viewer.text("c0") == "early\nlate\nlater\n")
    await viewer.until(lambda: viewer.text("c1") == "own\n")
    outputs = await world.engine.outputs(first.id)
    assert outputs is not None and outputs[0]["text"] == "early\nlate\nlater\n"
    assert (await world.ended(first.id)).execution.state.value == "finished"


async def test_o9_late_output_of_an_unloaded_document(world: World) -> None:
    """O9: nobody has the notebook open; it is loaded for what comes late, saved, and let go."""
    await world.start(documents=QUICK)
    world.write("a.ipynb", "0")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.run(sent, "early\n")
    (view,) = await world.over(accepted)
    await world.until(lambda: not world.loaded(view.execution.document_id))
    link.print(sent, "late\n")
    link.print(sent, "later\n")
    await world.until(
        lambda: (
            "later" in world.folder.text("a.ipynb") and not world.loaded(view.execution.document_id)
        )
    )
    (output,) = world.folder.read("a.ipynb")["cells"][0]["outputs"]
    assert output["text"] == "early\nlate\nlater\n"


async def test_o9_late_output_of_a_deleted_notebook(world: World) -> None:
    """O9, O11: the file is gone; the API has the output, nothing is recreated, the kernel works."""
    await world.start(documents=QUICK)
    world.host.add("k", "a.ipynb", "b.ipynb")
    world.write("a.ipynb", "0")
    world.write("b.ipynb", "0")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.run(sent, "early\n")
    (view,) = await world.over(accepted)
    await world.until(lambda: not world.loaded(view.execution.document_id))
    await world.folder.call("delete", "a.ipynb")
    link.print(sent, "late\n")
    other = await world.submit("b.ipynb")
    link.run(await link.request(1), "fine\n")
    assert states(await world.over(other)) == ["finished"]
    outputs = await world.engine.outputs(sent.id)
    assert outputs is not None and outputs[0]["text"] == "early\nlate\n"
    assert "a.ipynb" not in world.folder.names()


async def test_o9_late_output_of_a_run_that_was_replaced(world: World) -> None:
    """O9: the cell ran again since; what the first run says late does not get into the second's."""
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c0", "c0")
    link = await world.link(accepted)
    first = await link.request(0)
    link.run(first, "first\n")
    second = await link.request(1)
    link.begin(second)
    link.print(first, "late\n")
    link.print(second, "second\n")
    link.print(first, "later\n")
    link.finish(second)
    await world.over(accepted)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "finished")
    assert viewer.text("c0") == "second\n"


async def test_o9_late_output_of_another_kernel(world: World) -> None:
    """O9: the cell ran again since, on another kernel; the first kernel's thread is not heard."""
    world.write("a.ipynb", "0")
    world.host.add("old"), world.host.add("new")
    viewer = await world.view("a.ipynb")
    before = await world.submit("a.ipynb", "c0", kernel_id="old")
    old = await world.link(before)
    first = await old.request(0)
    old.run(first, "from old\n")
    await world.over(before)
    after = await world.submit("a.ipynb", "c0", kernel_id="new")
    new = await world.link(after)
    second = await new.request(0)
    new.begin(second)
    new.print(second, "from new\n")
    old.print(first, "late from old\n")
    new.print(second, "more from new\n")
    old.print(first, "later from old\n")
    new.finish(second)
    await world.over(after)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "finished")
    assert viewer.text("c0") == "from new\nmore from new\n"
    kept = await world.engine.outputs(first.id)
    assert kept is not None and kept[0]["text"].startswith("from old\n")


async def test_a2_outputs_of_the_run_before_the_kernel_changed(world: World) -> None:
    """A2: the earlier run's outputs are kept when the cell runs again on another kernel."""
    world.write("a.ipynb", "0")
    world.host.add("old"), world.host.add("new")
    before = await world.submit("a.ipynb", "c0", kernel_id="old")
    old = await world.link(before)
    old.run(await old.request(0), "from old\n")
    await world.over(before)
    old.listener.on_shut_down()
    after = await world.submit("a.ipynb", "c0", kernel_id="new")
    new = await world.link(after)
    new.run(await new.request(0), "from new\n")
    await world.over(after)
    kept = [await world.engine.outputs(a.executions[0].execution.id) for a in (before, after)]
    assert [outputs[0]["text"] for outputs in kept if outputs] == ["from old\n", "from new\n"]


async def test_o10_outputs_follow_the_cell(world: World) -> None:
    """O10: moved, edited and reloaded from disk while it runs: all output is there, once."""
    await world.start(documents=QUICK)
    world.write("a.ipynb", "0", "1", "2")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c1")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "1\n")
    await viewer.until(lambda: viewer.text("c1") == "1\n")
    viewer.move("c1", 0)
    link.print(sent, "2\n")
    await viewer.until(lambda: viewer.text("c1") == "1\n2\n")
    viewer.type_in("c1", "# edited")
    link.print(sent, "3\n")
    await viewer.until(lambda: viewer.text("c1") == "1\n2\n3\n")
    await world.documents.save((await world.live("a.ipynb")).document_id)
    outside = world.folder.read("a.ipynb")
    outside["cells"][2]["source"] = "written outside"
    outside["cells"].reverse()
    world.folder.write("a.ipynb", outside)
    await viewer.until(lambda: "written outside" in str(viewer.cells()))
    link.print(sent, "4\n")
    link.finish(sent)
    await world.over(accepted)
    await viewer.until(lambda: viewer.cell("c1")["state"] == "finished")
    assert viewer.text("c1") == "1\n2\n3\n4\n"
    assert len(viewer.cell("c1")["outputs"]) == 1


async def test_o10_moved_by_a_page_that_did_not_know_the_last_output(world: World) -> None:
    """O10: the page moves its own copy of the cell; what it lacks comes without further output."""
    world.write("a.ipynb", "0", "1", "2")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c1")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "1\n")
    await viewer.until(lambda: viewer.text("c1") == "1\n")
    link.print(sent, "2\n")
    assert viewer.text("c1") == "1\n"
    viewer.move("c1", 0)
    await viewer.until(lambda: viewer.text("c1") == "1\n2\n")
    assert next(iter(viewer.cells())) == "c1"
    link.finish(sent)
    await world.over(accepted)
    await viewer.until(lambda: viewer.cell("c1")["state"] == "finished")
    assert viewer.text("c1") == "1\n2\n"


async def test_o10_outputs_replaced_by_someone_are_written_anew(world: World) -> None:
    """O10: another client puts its own output into the running cell; the kernel's are the truth."""
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c0")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "1\n")
    await viewer.until(lambda: viewer.text("c0") == "1\n")
    viewer.put_output("c0", "forged\n")
    link.print(sent, "2\n")
    link.finish(sent)
    await world.over(accepted)
    await viewer.until(lambda: viewer.text("c0") == "1\n2\n")


async def test_cleared_outputs_go_on_empty(world: World) -> None:
    """O4: a user clears the running cell's outputs; only what comes since shows."""
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c0")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "before\n")
    await viewer.until(lambda: viewer.text("c0") == "before\n")
    viewer.clear("c0")
    link.print(sent, "after\n")
    link.finish(sent)
    await world.over(accepted)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "finished")
    assert viewer.text("c0") == "after\n"


async def test_o11_deleted_while_it_runs(world: World) -> None:
    """O11: it runs on, the next runs, the API has its outputs, also when the kernel is gone."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "1\n")
    await viewer.until(lambda: viewer.text("c0") == "1\n")
    viewer.delete("c0")
    link.print(sent, "2\n")
    link.finish(sent)
    link.run(await link.request(1), "next\n")
    assert states(await world.over(accepted)) == ["finished", "finished"]
    outputs = await world.engine.outputs(sent.id)
    assert outputs is not None and outputs[0]["text"] == "1\n2\n"
    assert link.interrupts == 0
    await viewer.until(lambda: viewer.text("c1") == "next\n")
    assert list(viewer.cells()) == ["c1"]
    link.listener.on_shut_down()
    outputs = await world.engine.outputs(sent.id)
    assert outputs is not None and outputs[0]["text"] == "1\n2\n"


async def test_o13_set_next_input_and_page(world: World) -> None:
    """O13: a payload inserts a cell below or edits this one; a page is an output."""
    world.write("a.ipynb", "%load x", "%edit", "help?", "last")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c0", "c1", "c2")
    link = await world.link(accepted)
    payloads = (
        {"source": "set_next_input", "text": "loaded", "replace": True},
        {"source": "set_next_input", "text": "below", "replace": False},
        {"source": "page", "data": {"text/plain": "the help"}, "start": 0},
    )
    for index, payload in enumerate(payloads):
        sent = await link.request(index)
        link.begin(sent)
        link.reply(sent, payload=[payload])
        link.idle(sent)
    assert states(await world.over(accepted)) == ["finished"] * 3
    await viewer.until(lambda: viewer.cell("c2")["state"] == "finished")
    cells = list(viewer.cells().values())
    assert [cell["source"] for cell in cells] == ["loaded", "%edit", "below", "help?", "last"]
    assert cells[2]["id"] not in {"c0", "c1", "c2", "c3"}
    (page,) = viewer.cell("c2")["outputs"]
    assert page["data"] == {"text/plain": "the help"}


def wild(link: FakeLink, sent: Sent) -> None:
    """What no kernel should send."""
    link.print(sent, "lone \ud800 surrogate, NUL \x00\n")
    data = {"text/plain": "nan", "application/json": {"x": float("nan"), "y": float("inf")}}
    link.say("display_data", sent.id, {"data": data, "metadata": {}, "transient": {}})
    link.say("stream", sent.id, {"name": "stdout", "text": 5})
    link.say("stream", sent.id, {})
    link.say("display_data", sent.id, {"data": [1], "metadata": "x"})
    link.say("execute_result", sent.id, {"data": {"image/png": 7}, "execution_count": "one"})
    link.say("error", sent.id, {"ename": None, "traceback": "no list"})
    link.say("status", sent.id, {"execution_state": ["busy"]})
    link.say("execute_input", sent.id, {"execution_count": True})
    link.say("input_request", "nobody", {"prompt": 3}, channel="stdin")
    link.say("comm_open", sent.id, {"comm_id": 3}, buffers=(b"\xff" * 1000,))
    link.say("update_display_data", sent.id, {"transient": {"display_id": ["x"]}})
    link.say("\ud800", sent.id, {})
    link.say("execute_reply", "\ud800", {"status": 7}, channel="shell")
    deep: object = "deep"
    for _ in range(5000):
        deep = [deep]
    link.say("display_data", sent.id, {"data": {"application/json": deep}, "metadata": {}})


async def test_o14_wild_messages_do_not_end_the_queue(world: World) -> None:
    """O14: nothing is lost beside them, doc, store and file stay valid, the next cell runs."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.print(sent, "first\n")
    wild(link, sent)
    link.print(sent, "last\n", "stderr")
    link.finish(sent)
    link.run(await link.request(1), "next\n")
    assert states(await world.over(accepted)) == ["finished", "finished"]
    await viewer.until(lambda: viewer.cell("c1")["state"] == "finished")
    assert viewer.text("c0").startswith("first\n") and viewer.text("c0").endswith("last\n")
    outputs = await world.engine.outputs(sent.id)
    json.dumps(outputs, allow_nan=False).encode()
    await world.documents.save((await world.live("a.ipynb")).document_id)
    validate(world.folder.read("a.ipynb"))
    await world.start()
    assert states(await world.engine.find(path="a.ipynb")) == ["finished", "finished"]


async def test_o14_wild_fields_of_the_run_itself(world: World) -> None:
    """O14: errors and prompts that no encoding holds are stored, shown and told."""
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    link.ask(sent, "pw \ud800\x00?")
    await viewer.until(lambda: viewer.cell("c0")["state"] == "waiting_input")
    (waiting,) = await world.engine.find(path="a.ipynb")
    assert waiting.execution.prompt is not None
    waiting.execution.prompt.prompt.encode()
    link.fail(sent, "Bad\ud800", "value \ud800 \x00")
    (view,) = await world.over(accepted)
    assert view.execution.state.value == "failed"
    assert view.execution.error is not None
    view.execution.error.evalue.encode()
    await viewer.until(lambda: viewer.cell("c0")["state"] == "failed")
    await world.start()
    assert states(await world.engine.find(path="a.ipynb")) == ["failed"]


SMALL = EngineSettings(
    frame_interval_s=0.002, max_output_bytes=10_000, max_log_bytes=300_000, idle_grace_s=0.3
)


async def log_of(world: World, execution_id: ExecutionId) -> list[dict[str, str]]:
    chunks = [chunk async for chunk in await world.engine.log(execution_id)]
    return [json.loads(line) for line in b"".join(chunks).splitlines()]


async def test_o15_runaway_cell(world: World) -> None:
    """O15: head, notice and moving tail in the doc; the whole in the log."""
    await world.start(engine=SMALL)
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    for part in range(20):
        for line in range(part * 100, part * 100 + 100):
            link.print(sent, f"line {line:06}\n")
        last = f"line {part * 100 + 99:06}\n"
        await viewer.until(lambda last=last: viewer.text("c0").endswith(last))
        assert viewer.text("c0").startswith("line 000000\n")
        assert len(json.dumps(viewer.cell("c0")["outputs"])) < 14_000
    link.finish(sent)
    await world.over(accepted)
    whole = "".join(f"line {line:06}\n" for line in range(2000))
    logged = await log_of(world, sent.id)
    assert "".join(output["text"] for output in logged) == whole
    (notice,) = [o for o in viewer.cell("c0")["outputs"] if o["output_type"] == "display_data"]
    assert "left out here" in notice["data"]["text/plain"]


async def test_o15_log_is_bounded(world: World) -> None:
    """O15: past max_log_bytes the log ends with a line that says so."""
    await world.start(engine=SMALL)
    world.write("a.ipynb", "0")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb")
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    for number in range(50):
        link.print(sent, "x" * 9_990 + f"{number:08}\n")
        await viewer.until(lambda number=number: viewer.text("c0").endswith(f"{number:08}\n"))
    link.finish(sent)
    await world.over(accepted)
    logged = await log_of(world, sent.id)
    assert "limited to 300,000 bytes" in logged[-1]["text"]
    assert 270_000 < sum(len(output["text"]) for output in logged[:-1]) <= 300_000


async def test_o15_code_without_a_cell_is_logged_too(world: World) -> None:
    """O15, A8: the whole output of code without a cell is in its log."""
    await world.start(engine=SMALL)
    kernel = world.host.add("k")
    accepted = await world.submit(None, code="loop", kernel_id=kernel)
    link = await world.link(accepted)
    sent = await link.request(0)
    link.begin(sent)
    for line in range(3000):
        link.print(sent, f"line {line:06}\n")
    link.finish(sent)
    (view,) = await world.over(accepted)
    assert view.execution.cell_id is None
    logged = await log_of(world, sent.id)
    whole = "".join(f"line {line:06}\n" for line in range(3000))
    assert "".join(output["text"] for output in logged) == whole


async def test_o18_a_run_cell_is_trusted(world: World) -> None:
    """O18: the server's side: running marks the cell trusted, others stay as they are."""
    world.write("a.ipynb", "0", "1")
    viewer = await world.view("a.ipynb")
    accepted = await world.submit("a.ipynb", "c0")
    link = await world.link(accepted)
    link.run(await link.request(0), "x\n")
    await world.over(accepted)
    await viewer.until(lambda: viewer.cell("c0")["state"] == "finished")
    assert viewer.cell("c0")["metadata"]["trusted"] is True
    assert not viewer.cell("c1")["metadata"].get("trusted")
    live = await world.live("a.ipynb")
    assert live.notebook is not None and live.notebook.outputs(CellId("c0"))
