"""What the server knows of a kernel's widgets, to tell it to a page that comes (SPEC O12)."""

from __future__ import annotations

from typing import Any

from notebook_exec.core.widget_states import TARGET, WidgetStates


def states(limit_bytes: int = 10_000) -> WidgetStates:
    """Of a kernel that was heard from its first cell on."""
    made = WidgetStates(limit_bytes=limit_bytes)
    made.ran(1)
    return made


def tell(
    made: WidgetStates, comm_id: str, *buffers: bytes, paths: Any = (), how: str = "", **state: Any
) -> None:
    """A comm_open, or with ``how`` a comm_msg of that method."""
    data = {"state": state, "buffer_paths": list(paths)} | ({"method": how} if how else {})
    content = {"comm_id": comm_id, "target_name": TARGET, "data": data}
    made.handle("comm_msg" if how else "comm_open", content, buffers)


def shown(made: WidgetStates, version: int = -1) -> dict[str, Any]:
    return {widget.comm_id: dict(widget.state) for widget in made.since(version)}


def test_o12_state_is_what_was_told_last() -> None:
    """O12: opened, changed by the kernel, changed by a page; other messages change nothing."""
    made = states()
    tell(made, "a", value=1, color="red")
    tell(made, "a", how="update", value=2)
    tell(made, "a", how="echo_update", value=3)
    tell(made, "a", how="custom", value=4)
    tell(made, "unknown", how="update", value=5)
    assert shown(made) == {"a": {"value": 3, "color": "red"}}


def test_o12_changes_since_a_version() -> None:
    """O12: a page is told again what changed while it made its widgets, and no more."""
    made = states()
    tell(made, "a", value=1, color="red")
    tell(made, "b", value=1)
    version = made.version
    assert made.since(version) == []
    tell(made, "a", how="update", value=2)
    assert shown(made, version) == {"a": {"value": 2}}


def test_o12_buffers_go_with_their_key() -> None:
    """O12: a picture in a widget is its newest one."""
    made = states()
    tell(made, "a", b"old", b"kept", paths=[["image"], ["deep", 0]], image=None, deep=[None])
    tell(made, "a", b"new", paths=[["image"]], how="update", image=None)
    (widget,) = made.since(-1)
    assert dict(zip(widget.buffer_paths, widget.buffers, strict=True)) == {
        ("image",): b"new",
        ("deep", 0): b"kept",
    }


def test_o12_closed_widgets_and_other_comms_are_not_kept() -> None:
    """O12: memory is for widgets that live."""
    made = states(limit_bytes=1000)
    other = {"comm_id": "other", "target_name": "else", "data": {"state": {"x": "y" * 2000}}}
    made.handle("comm_open", other, ())
    tell(made, "a", text="y" * 2000)
    assert not made.is_complete  # more than is kept of: the kernel answers for itself
    made.handle("comm_close", {"comm_id": "a"}, ())
    assert made.is_complete
    assert shown(made) == {}


def test_o12_only_a_kernel_heard_from_its_start_is_known() -> None:
    """O12: what was opened before we listened cannot be told."""
    made = WidgetStates()
    assert not made.is_complete
    made.ran(7)
    made.ran(1)
    assert not made.is_complete
    made.clear()  # a new process, which is heard from its start
    assert made.is_complete


def test_o14_what_breaks_the_protocol_is_ignored() -> None:
    """O14: whatever a comm says, nothing raises."""
    made = states()
    tell(made, "a", value=1)
    for data in (None, [], {"state": 3}, {"state": {"x": 1}, "buffer_paths": [3, [], [4]]}):
        made.handle("comm_msg", {"comm_id": "a", "data": data}, (b"1", b"2", b"3"))
    made.handle("comm_open", {"comm_id": 3}, ())
    assert shown(made) == {"a": {"value": 1, "x": 1}}
