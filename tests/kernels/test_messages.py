"""The wire format, against jupyter_client's own implementation and against noise."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jupyter_client.session import DELIM, Session

from notebook_exec.kernels.messages import ProtocolError, Wire

KEY = b"secret"


def wire(key: bytes = KEY, scheme: str = "hmac-sha256") -> Wire:
    return Wire(key, scheme, session="us")


def signed(*parts: bytes) -> list[bytes]:
    return [DELIM, Session(key=KEY).sign(list(parts)), *parts]


def content_of(raw: bytes) -> Any:
    header = b'{"msg_type": "stream"}'
    return wire().parse("iopub", signed(header, b"{}", b"{}", raw))[0].content


@pytest.mark.parametrize("scheme", ["hmac-sha256", "hmac-sha512"])
@pytest.mark.parametrize("key", [KEY, b""])
def test_what_jupyter_client_reads_and_writes(key: bytes, scheme: str) -> None:
    """K10: requests are those of any other client, and its messages are read in full."""
    session = Session(key=key, signature_scheme=scheme)
    ours = wire(key, scheme).build("execute_request", "e1", {"code": "ü\ud800"}, metadata={"a": 1})
    request = session.deserialize(session.feed_identities(ours)[1])
    assert request["header"]["msg_id"] == "e1"
    assert request["header"]["session"] == "us"
    assert request["header"]["date"].tzinfo is not None
    assert (request["content"], request["metadata"]) == ({"code": "ü\ud800"}, {"a": 1})

    theirs = session.msg("stream", {"text": "ü€😀"}, request, metadata={"b": 2})
    frames = [b"topic", *session.serialize(theirs), b"buffer", memoryview(b"two").tobytes()]
    message, parent = wire(key, scheme).parse("iopub", frames)
    assert (message.channel, message.msg_type, message.parent_id) == ("iopub", "stream", "e1")
    assert (message.content, message.metadata) == ({"text": "ü€😀"}, {"b": 2})
    assert message.msg_id == theirs["header"]["msg_id"]
    assert message.date.startswith(str(theirs["header"]["date"].year))
    assert message.buffers == (b"buffer", b"two")
    assert (parent.msg_type, parent.session) == ("execute_request", "us")


def test_each_message_has_its_own_parent() -> None:
    """O9: parents are told apart, also when they alternate."""
    parser = wire()
    for parent_id in ("a", "b", "b", "", "a"):
        parent = b'{"msg_id": "%s"}' % parent_id.encode() if parent_id else b"{}"
        message, _ = parser.parse("iopub", signed(b'{"msg_type": "x"}', parent, b"{}", b"{}"))
        assert message.parent_id == parent_id


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        wire(scheme="rot13")
    with pytest.raises(ValueError, match="unsupported"):
        wire(scheme="hmac-rot13")


GOOD = (b'{"msg_type": "x"}', b"{}", b"{}", b"{}")


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [DELIM],
        [b"a", b"b"],
        [DELIM, b"", *GOOD[:3]],
        [DELIM, b"", *GOOD],
        [DELIM, b"0" * 64, *GOOD],
        [DELIM, "ü".encode(), *GOOD],
        Session(key=b"other").serialize(Session(key=b"other").msg("x")),
        signed(b"", *GOOD[1:]),
        signed(b"{", *GOOD[1:]),
        signed(b"[]", *GOOD[1:]),
        signed(b"{}", *GOOD[1:]),
        signed(b'{"msg_type": 1}', *GOOD[1:]),
        signed(GOOD[0], b"1", *GOOD[2:]),
        signed(*GOOD[:2], b"null", GOOD[3]),
        signed(*GOOD[:3], b"null"),
        signed(*GOOD[:3], b'"' + b"x" * 100),
        signed(*GOOD[:3], b"[" * 100_000),
        signed(*GOOD[:3], b'{"a":' * 100_000),
    ],
)
def test_o14_what_breaks_the_protocol_is_named(frames: list[bytes]) -> None:
    """O14: one kind of error, without the content in its text (P3)."""
    with pytest.raises(ProtocolError) as raised:
        wire().parse("iopub", frames)
    assert len(str(raised.value)) < 60


def test_o14_odd_fields_are_left_out() -> None:
    """O14: what is not needed may be wrong."""
    header = b'{"msg_type": "x", "msg_id": 1, "date": null}'
    message, parent = wire().parse("shell", signed(header, b'{"msg_id": []}', b"{}", b"{}"))
    assert (message.msg_id, message.date, message.parent_id, parent.session) == ("", "", "", "")


def test_o14_text_that_is_hardly_json_arrives() -> None:
    """O14: surrogates, bytes that are no UTF-8, NaN, NUL, endless numbers."""
    assert content_of(b'{"a": "\\ud800"}') == {"a": "\ud800"}
    assert content_of(b'{"a": "\xed\xa0\x80"}') == {"a": "\ud800"}
    assert content_of(b'{"a": "\xff!"}') == {"a": "\ufffd!"}
    assert content_of(b'{"a": "\x00\n"}') == {"a": "\x00\n"}
    assert math.isnan(content_of(b'{"a": NaN}')["a"])
    assert content_of(b'{"a": 1%s}' % (b"0" * 5000))["a"] == math.inf
    assert content_of(b'{"a": -1%s, "b": 2}' % (b"0" * 5000)) == {"a": -math.inf, "b": 2}


@settings(deadline=None)
@given(st.lists(st.binary() | st.just(DELIM) | st.sampled_from(GOOD)))
def test_o14_noise_never_raises_anything_else(frames: list[bytes]) -> None:
    """O14: whatever comes is a message or a ProtocolError."""
    with contextlib.suppress(ProtocolError):
        wire(key=b"").parse("iopub", frames)


@settings(deadline=None)
@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_o14_any_json_as_any_part(value: object) -> None:
    """O14: any JSON in the place of header, parent, metadata or content."""
    raw = json.dumps(value).encode()
    for place in range(4):
        parts = [*GOOD[:place], raw, *GOOD[place + 1 :]]
        with contextlib.suppress(ProtocolError):
            wire().parse("iopub", signed(*parts))
