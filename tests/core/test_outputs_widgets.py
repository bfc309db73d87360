"""Output widgets capture what is said while their msg_id is set (SPEC O12)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from outputs_world import (
    A,
    B,
    World,
    clear,
    display,
    display_output,
    message,
    stream,
    stream_output,
    update,
)

from notebook_exec.core.model import KernelMessage, Output
from notebook_exec.core.outputs import UpdateWidget
from notebook_exec.core.widgets import OWN_UPDATE


def opened(comm_id: str = "w", model: str = "OutputModel", **state: Any) -> KernelMessage:
    data = {"state": {"_model_name": model, "msg_id": "", "outputs": [], **state}}
    return message("comm_open", A, comm_id=comm_id, target_name="jupyter.widget", data=data)


def said(
    comm_id: str = "w", method: str = "update", parent: str = "", **state: Any
) -> KernelMessage:
    return message("comm_msg", parent, comm_id=comm_id, data={"method": method, "state": state})


def updated(comm_id: str, *outputs: Output) -> UpdateWidget:
    return UpdateWidget(comm_id, {"outputs": list(outputs)})


def test_o12_captured() -> None:
    """O12: into the widget's state while msg_id is set, into the cell before and after."""
    world = World()
    world.say(opened(), stream("before\n"), said(msg_id=A), stream("10%"), stream("\r20%\n"))
    world.say(display("d"), said(msg_id=""), stream("after\n"))
    assert world.shows() == [stream_output("before\nafter\n")]
    assert world.outputs.take_widgets() == [
        updated("w", stream_output("20%\n"), display_output("d"))
    ]
    assert world.outputs.take_widgets() == []


def test_o12_other_requests_are_not_captured() -> None:
    """O12: only what answers the request that the widget names."""
    world = World()
    world.say(opened(), said(msg_id=A), stream("b", parent=B))
    assert world.shows(B) == [stream_output("b")]
    assert world.outputs.take_widgets() == []


def test_o12_nested() -> None:
    """O12: the innermost captures; then the outer one again."""
    world = World()
    world.say(opened("out"), opened("in"), said("out", msg_id=A), stream("1"))
    world.say(said("in", msg_id=A), stream("2"), said("in", msg_id=""), stream("3"))
    world.say(said("out", msg_id=""), stream("4"))
    assert world.shows() == [stream_output("4")]
    assert world.outputs.take_widgets() == [
        updated("out", stream_output("13")),
        updated("in", stream_output("2")),
    ]


def test_o12_clear_and_errors() -> None:
    """O12: clears and errors inside it are the widget's, too."""
    world = World()
    world.say(stream("cell"), opened(), said(msg_id=A), stream("1"), clear(wait=True), stream("2"))
    assert world.outputs.take_widgets() == [updated("w", stream_output("2"))]
    world.say(clear(), message("error", ename="E", evalue="v", traceback=[]))
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": []}
    assert world.outputs.take_widgets() == [updated("w", error)]
    assert world.shows() == [stream_output("cell")]


def test_o12_what_the_kernel_sets() -> None:
    """O12: the kernel sets outputs itself (append_stdout); an echo of ours changes nothing."""
    world = World()
    world.say(opened(outputs=[stream_output("first")]), said(outputs=[stream_output("set")]))
    assert world.outputs.take_widgets() == []
    ours = said(method="echo_update", parent=f"{OWN_UPDATE}1", outputs=[])
    world.say(ours, said(msg_id=A), stream(" more"))
    assert world.outputs.take_widgets() == [updated("w", stream_output("set more"))]


def test_o12_what_a_page_captured() -> None:
    """O12: the page captures what answers its slider; what a cell adds comes behind that."""
    world = World()
    page = said(method="echo_update", parent="page-1", msg_id=A, outputs=[stream_output("page")])
    world.say(opened(), page, said(msg_id=A), stream(" cell"))
    assert world.outputs.take_widgets() == [updated("w", stream_output("page cell"))]


def test_o12_o5_displays_in_widgets() -> None:
    """O5, O12: an update reaches a display in a widget."""
    world = World()
    world.say(opened(), said(msg_id=A), display("1", "d"), said(msg_id=""), display("1", "d"))
    world.outputs.take_widgets()
    world.say(update("2", "d"))
    assert world.outputs.take_widgets() == [updated("w", display_output("2"))]
    assert world.shows() == [display_output("2")]


@pytest.mark.parametrize("close", [message("comm_close", comm_id="w"), said(msg_id=None)])
def test_o12_closed(close: KernelMessage) -> None:
    """O12: a widget that is gone captures nothing."""
    world = World()
    world.say(opened(), said(msg_id=A), close, stream("x"))
    assert world.shows() == [stream_output("x")]
    assert world.outputs.take_widgets() == []


def test_o12_other_widgets() -> None:
    """O12: only Output widgets capture."""
    world = World()
    world.say(opened(model="IntSliderModel"), said(msg_id=A), stream("x"))
    assert world.shows() == [stream_output("x")]


def test_o12_a_new_kernel_process() -> None:
    """O12: widgets and display ids end with the kernel's process."""
    world = World()
    world.say(opened(), said(msg_id=A), display("1", "d", B))
    world.take(B)
    world.outputs.kernel_restarted()
    world.say(stream("x"), update("2", "d"))
    assert world.shows() == [stream_output("x")]
    assert world.shows(B) == [display_output("1")]


def test_o12_across_a_restart_of_the_server() -> None:
    """O12, R2: captured output goes on in the same widget."""
    world = World()
    world.say(opened("out"), opened("in"), opened("idle"))
    world.say(said("out", msg_id=A), said("in", msg_id=A), stream("x\n1%\r"), display("1", "d"))
    shown = [display_output("1")]
    memory = json.loads(json.dumps(world.outputs.widgets_memory()))
    resumed = World()
    resumed.outputs.resume_widgets(memory)
    assert resumed.outputs.take_widgets() == [updated("in", stream_output("x\n1%"), *shown)]
    resumed.say(update("2", "d"), said("in", msg_id=""), stream("out"))
    assert resumed.outputs.take_widgets() == [
        updated("in", stream_output("x\n1%"), display_output("2")),
        updated("out", stream_output("out")),
    ]
