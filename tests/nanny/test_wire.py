"""The link's bytes: golden ones for version 1, and what a stranger's bytes do."""

from __future__ import annotations

import pytest

from notebook_exec.core import wire
from notebook_exec.core.wire import Kind, Lease, Seal, WireError

KEY = b"secret"
ASKING, ANSWERING = bytes(range(16)), bytes(range(16, 32))

GOLDEN = {
    "hello": [
        "6e7801010000000000000000",
        '{"versions":[1],"nonce":"000102030405060708090a0b0c0d0e0f","epoch":3,"holder":"me"}',
        "4d65344a7f9a8bb75c5d647842e828ad176eca872611691d0bbc86ff0415887c",
    ],
    "welcome": [
        "6e7801020000000000000000",
        '{"version":1,"nonce":"101112131415161718191a1b1c1d1e1f","epoch":3}',
        "cc21ba29a4a579090ca47f0477e0dff922d3a0ae122963084086f1c8d260d8d1",
    ],
    "attach": [
        "6e78010a0000000000000001",
        '{"position":7,"credit":1000}',
        "be34b4996b87b73d95e65de3505f6f0f6b1c273696a8cbd5b05ec9c676f26b4c",
    ],
    "journal": [
        "6e78010b0000000000000001",
        "{}",
        "0000002200000000000000080100030000000900000000000000023c4944537c4d53473e7b7d",
        "69c9b1048e441f9f50efae5c7d1885ae2a54bb4668e5efa024227b6be5d7a7ae",
    ],
}


def sides() -> tuple[Seal, Seal, dict[str, list[bytes]]]:
    """A server's and a nanny's seal, and the frames by which they met."""
    hello = wire.hello(KEY, ASKING, Lease(3, "me"))
    nonce, lease = wire.open_hello(KEY, hello)
    assert (nonce, lease) == (ASKING, Lease(3, "me"))
    nanny, welcome = wire.welcome(KEY, nonce, ANSWERING, {"epoch": 3})
    server, frame = wire.open_welcome(KEY, ASKING, welcome)
    assert server is not None
    assert frame.fields["epoch"] == 3
    return server, nanny, {"hello": hello, "welcome": welcome}


def shown(frames: list[bytes]) -> list[str]:
    return [frame.decode() if frame[:1] == b"{" else frame.hex() for frame in frames]


def test_golden_bytes() -> None:
    """S3: version 1 of the protocol is these bytes; others are another version."""
    server, nanny, frames = sides()
    _, frames["attach"] = server.seal(Kind.ATTACH, {"position": 7, "credit": 1000})
    record = wire.pack_record(8, "iopub", [b"<IDS|MSG>", b"", b"{}"])
    _, frames["journal"] = nanny.seal(Kind.JOURNAL, None, [record])
    assert {name: shown(made) for name, made in frames.items()} == GOLDEN


def test_both_directions() -> None:
    """What one side seals the other opens, with parts and numbers."""
    server, nanny, _ = sides()
    number, frames = server.seal(Kind.REQUEST, {"channel": "shell"}, [b"a", b"", b"\xff"])
    frame = nanny.open(frames)
    assert (frame.kind, frame.number, frame.fields) == (Kind.REQUEST, number, {"channel": "shell"})
    assert list(frame.parts) == [b"a", b"", b"\xff"]
    _, frames = nanny.seal(Kind.DONE, {"re": number})
    assert server.open(frames).fields == {"re": number}


def test_s3_nothing_is_repeated_reflected_or_carried_over() -> None:
    """S3: a recorded message is worth nothing: not again, not back, not on another connection."""
    server, nanny, _ = sides()
    _, frames = server.seal(Kind.EXIT)
    nanny.open(frames)
    with pytest.raises(WireError):
        nanny.open(frames)
    with pytest.raises(WireError):
        server.open(frames)
    other, _ = wire.welcome(KEY, ASKING, bytes(16), {})
    with pytest.raises(WireError):
        other.open(frames)


@pytest.mark.parametrize("index", range(4))
def test_s3_changed_frames_are_refused(index: int) -> None:
    """S3: not one bit of any frame may differ."""
    server, nanny, _ = sides()
    _, frames = server.seal(Kind.REQUEST, {"channel": "shell"}, [b"part"])
    frames[index] = frames[index][:-1] + bytes([frames[index][-1] ^ 1])
    with pytest.raises(WireError):
        nanny.open(frames)


def test_s3_borders_of_frames_are_sealed() -> None:
    """S3: bytes do not move from one frame to the next."""
    server, nanny, _ = sides()
    _, frames = server.seal(Kind.REQUEST, {}, [b"ab", b"c"])
    frames[2:4] = [b"a", b"bc"]
    with pytest.raises(WireError):
        nanny.open(frames)


@pytest.mark.parametrize(
    "frames", [[], [b""], [b"x"] * 5, [b"nx\x02\x01" + bytes(8), b"{}", bytes(32)]]
)
def test_o14_rubbish(frames: list[bytes]) -> None:
    """O14: whatever comes, the only error is ``WireError``."""
    _, nanny, _ = sides()
    with pytest.raises(WireError):
        nanny.open(frames)
    with pytest.raises(WireError):
        wire.open_hello(KEY, frames)


def test_a_wrong_key() -> None:
    """S3: hello proves the key, and so does welcome."""
    hello = wire.hello(b"other", ASKING, Lease(1, ""))
    assert wire.is_hello(hello)
    with pytest.raises(WireError):
        wire.open_hello(KEY, hello)
    _, welcome = wire.welcome(b"other", ASKING, ANSWERING, {})
    with pytest.raises(WireError):
        wire.open_welcome(KEY, ASKING, welcome)


def test_a_refused_hello() -> None:
    """A refusal is sealed as a welcome is, and begins nothing."""
    frames = wire.refusal(KEY, ASKING, {"code": "stale_lease", "epoch": 4})
    seal, frame = wire.open_welcome(KEY, ASKING, frames)
    assert seal is None
    assert (frame.kind, frame.fields["epoch"]) == (Kind.ERROR, 4)


def test_records_round_trip() -> None:
    """Records of all channels stand one after the other, frames as they came."""
    frames = [[b""], [b"a", b"bb" * 1000], [b"\0" * 70000], [bytes([n]) for n in range(250)] * 2]
    chunk = b"".join(
        wire.pack_record(position, channel, each)
        for position, (channel, each) in enumerate(
            zip(("iopub", "shell", "control", "stdin"), frames, strict=True), start=5
        )
    )
    chunk += wire.pack_notice(9, {"event": "ready"})
    records = list(wire.unpack_records(chunk))
    assert [record.position for record in records] == [5, 6, 7, 8, 9]
    assert [record.frames for record in records[:4]] == frames
    assert records[4].notice() == {"event": "ready"}
    assert wire.first_position(chunk) == 5
    assert wire.whole_records(chunk) == (len(chunk), 9, 0)


def test_records_cut_off_are_seen() -> None:
    """A chunk that ends within a record says so, at every byte."""
    one, two = wire.pack_record(1, "iopub", [b"abc"]), wire.pack_record(2, "shell", [b"", b"d"])
    for end in range(len(one) + len(two)):
        chunk = (one + two)[:end]
        whole, position, lacking = wire.whole_records(chunk)
        assert (whole, position) == ((len(one), 1) if end >= len(one) else (0, 0))
        if wire.RECORD_HEAD_BYTES <= end < len(one):
            assert end + lacking == len(one)
        if end not in (0, len(one)):
            with pytest.raises(WireError):
                list(wire.unpack_records(chunk))
