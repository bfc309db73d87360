"""Rooms and clients that misbehave: each is cut off alone (SPEC D8)."""

from __future__ import annotations

import random
from typing import Any

import pycrdt
import pytest
from pycrdt import Array, Doc, Map
from room_harness import HeldJournal, Page, cell, room_of, settle

from notebook_exec.core.model import Frame
from notebook_exec.documents import guard, protocol
from notebook_exec.documents.notebook import LiveNotebook
from notebook_exec.documents.protocol import BadMessage
from notebook_exec.documents.room import Room

NESTED = b"\x01\x01\x05\x00\x08\x01\x01a\x01"  # one client's one struct: a value in root "a"


def varuint_string(text: str) -> bytes:
    return protocol.write_varuint(len(text.encode())) + text.encode()


def awareness_of(count: int, state: str = "{}") -> bytes:
    states = b"".join(
        protocol.write_varuint(1000 + i) + b"\x01" + varuint_string(state) for i in range(count)
    )
    return protocol.awareness(protocol.write_varuint(count) + states)


async def two_pages(room: Room) -> tuple[Page, Page]:
    bad, good = Page(), Page()
    for page in (bad, good):
        page.connect(room)
    await settle(bad, good)
    return bad, good


async def still_works(room: Room, good: Page) -> None:
    with room.transact():
        room.doc.get("cells", type=Array)[0]["source"].insert(0, "still ")
    await settle(good)
    assert str(good.notebook.ycells[0]["source"]).startswith("still ")
    assert good.closed is None and room.client_count == 1


BAD = {
    "empty": b"",
    "only a type": b"\x00",
    "a number without end": b"\xff" * 100_000,
    "shorter than it says": b"\x00\x02\x7f\x01",
    "no update": protocol.update(b"\xff\xff\xff\xff"),
    "no update in step 2": protocol.step2(b"\x01\x02"),
    "no state vector": protocol.step1(b"\xff\xff\xff\xff\x0f\x01\x01"),
    "a state vector cut off": protocol.step1(b"\x05\x01"),
    "more structs than memory": protocol.update(b"\x01\xff\xff\xff\xff\x0f\x01\x01"),
    "nested arrays": protocol.update(NESTED + b"\x75\x01" * 200_000 + b"\x7e\x00"),
    "nested maps": protocol.update(NESTED + b"\x76\x01\x01k" * 100_000 + b"\x7e\x00"),
    "nested after other values": protocol.update(
        NESTED + b"\x75\x02\x7d\x01" * 100_000 + b"\x7e" + b"\x00"
    ),
    "awareness cut off": b"\x01\x05\x01",
    "awareness that is no JSON": awareness_of(1, "{"),
    "awareness that is nested": awareness_of(1, "[" * 100_000),
    "awareness that is no object": awareness_of(1, "5"),
    "awareness of a crowd": awareness_of(101),
    "save without a number": b"\x02\x04save",
    "raw that is no text": b"\x02\x02\xff\xfe",
}


@pytest.mark.parametrize("name", BAD)
async def test_a_message_that_cannot_be_decoded_closes_its_sender_alone(name: str) -> None:
    """D8: with a code and a reason; the others go on, and nothing of it is stored or shown."""
    journal = HeldJournal()
    room = room_of(cell("a"), journal=journal)
    bad, good = await two_pages(room)
    bad.send(BAD[name])
    assert bad.closed is not None and bad.closed[0] == 1007
    assert bad.closed[1].startswith("a message cannot be decoded: ")
    assert journal.stored == [] and room.awareness.states == {}
    await still_works(room, good)
    await room.close()


async def test_a_message_that_is_too_large_closes_its_sender_alone() -> None:
    """D8: by its size, before anyone looks into it."""
    room = room_of(cell("a"), max_message_bytes=1000)
    bad, good = await two_pages(room)
    bad.notebook.ycells[0]["source"].insert(0, "x" * 2000)
    assert bad.closed == (1009, bad.closed[1] if bad.closed else "")
    assert "at most 1000" in bad.closed[1]
    await still_works(room, good)
    await room.close()


async def test_a_slow_reader_is_cut_off_alone() -> None:
    """D8: the others get everything, and what waited for it is dropped."""
    room = room_of(cell("a"), max_backlog_bytes=10_000)
    slow, good = await two_pages(room)
    slow.socket.is_stuck = True
    for _ in range(30):
        with room.transact():
            room.doc.get("cells", type=Array)[0]["source"].insert(0, "y" * 500)
        await settle(good)
    assert slow.closed is not None and slow.closed[0] == 1013
    assert len(str(good.notebook.ycells[0]["source"])) == 15_000
    await still_works(room, good)
    await room.close()


async def test_who_catches_up_gets_what_waited_in_few_messages() -> None:
    """D8: a lag below the limit costs nothing but time."""
    room = room_of(cell("a"))
    slow, good = await two_pages(room)
    slow.socket.is_stuck = True
    for i in range(100):
        with room.transact():
            room.doc.get("cells", type=Array)[0]["source"].insert(0, f"{i} ")
    await settle(good)
    slow.kinds.clear()
    slow.socket.unstick()
    await settle(slow, good)
    assert slow.closed is None and len(slow.kinds) < 10
    assert slow.notebook.get() == good.notebook.get()
    await room.close()


async def test_a_large_document_is_no_backlog() -> None:
    """D8, D10: the first answer may be larger than what may wait."""
    room = room_of(cell("a", "z" * 50_000), max_backlog_bytes=10_000)
    page = Page()
    page.connect(room)
    await settle(page)
    assert page.closed is None and len(str(page.notebook.ycells[0]["source"])) == 50_000
    await room.close()


async def test_answers_do_not_pile_up() -> None:
    """D8: who asks for the whole document again and again gets it once at a time."""
    room = room_of(cell("a", "z" * 50_000))
    page, _ = await two_pages(room)
    page.kinds.clear()
    page.socket.is_stuck = True
    for _ in range(1000):
        page.send(protocol.step1(b"\x00"))
    page.socket.unstick()
    await settle(page)
    assert len(page.kinds) == 2 and page.closed is None
    await room.close()


async def test_changes_that_build_on_nothing_are_asked_for_and_then_refused() -> None:
    """D8: they are kept only so long as their sender can bring what they build on."""
    room = room_of(cell("a"), max_message_bytes=3000)
    bad, good = await two_pages(room)
    other: Doc[Array[str]] = Doc()
    updates: list[bytes] = []
    subscription = other.observe(lambda event: updates.append(event.update))
    array = other.get("cells", type=Array)
    for _ in range(20):
        array.append("x" * 500)
    other.unobserve(subscription)
    bad.kinds.clear()
    bad.send(protocol.update(updates[1]))
    await settle(bad)
    assert bad.kinds == [(0, 0)] and bad.closed is None
    for update in updates[2:]:
        bad.send(protocol.update(update))
    assert bad.closed is not None and bad.closed[0] == 1008
    await still_works(room, good)
    await room.close()


async def test_nobody_writes_in_the_name_of_the_server() -> None:
    """D8, S2: else the server's next changes would be taken for known ones by every page."""
    room = room_of(cell("a"))
    bad, good = await two_pages(room)
    forger: Doc[Any] = Doc(client_id=room.doc.client_id)
    forger.apply_update(bad.doc.get_update())
    forger.get("cells", type=Array)[0]["source"].insert(0, "as the server")
    bad.send(protocol.update(forger.get_update(bad.doc.get_state())))
    assert bad.closed is not None and "in the name of the server" in bad.closed[1]
    await still_works(room, good)
    await room.close()


async def test_a_broken_socket_ends_its_client_alone() -> None:
    """D8: whatever its send raises."""
    room = room_of(cell("a"))
    bad, good = await two_pages(room)

    async def send(data: bytes) -> None:
        raise ConnectionError("gone")

    bad.socket.send = send  # type: ignore[method-assign]
    await still_works_with_two(room, good)
    await still_works(room, good)
    await room.close()


async def still_works_with_two(room: Room, good: Page) -> None:
    with room.transact():
        room.doc.get("cells", type=Array)[0]["source"].insert(0, "one ")
    await settle(good)


async def test_values_as_deep_as_people_nest_them_pass() -> None:
    """D8: only what no reader of JSON could take is refused."""
    value: object = "end"
    for i in range(150):
        value = [value] if i % 2 else {"k": value, "u": 1.5, "v": [True, None, 2**60, -3, "uv"]}
    room = room_of(cell("a"))
    page, good = await two_pages(room)
    page.notebook.ycells[0]["metadata"]["deep"] = value
    await settle(page, good)
    shown = good.notebook.ycells[0]["metadata"]["deep"]
    assert shown == page.notebook.ycells[0]["metadata"]["deep"] == value
    await room.close()


def test_the_guard_walks_every_content_of_a_document() -> None:
    """D8: a large and honest update passes, whatever letters it is full of."""
    page = Page()
    doc = page.doc
    page.notebook.set(
        {
            "cells": [cell(f"c{i}", "uv" * 50, metadata={"k": [1, {"u": 2.5}]}) for i in range(20)],
            "metadata": {"kernelspec": {"name": "uv"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )
    text = doc.get("rich", type=pycrdt.Text)
    text.insert(0, "uvuv", {"bold": True})
    text.insert_embed(2, {"a": [1]})
    doc.get("docs", type=pycrdt.Map)["sub"] = Doc()
    doc.get("docs", type=pycrdt.Map)["bytes"] = b"uv" * 300
    doc.get("xml", type=pycrdt.XmlFragment).children.append(pycrdt.XmlElement("p", {"u": "v"}))
    del page.notebook.ycells[3]
    update = doc.get_update()
    assert update.count(b"u") > guard.MAX_DEPTH
    guard.check_depth(update)
    for end in range(0, len(update) - 20, 97):
        with pytest.raises(BadMessage):
            guard.check_depth(update[:end] + b"\x75" * 300)


NOTHING = {
    "a string": b"\x04\x01\x05cells\x00",
    "values": b"\x08\x01\x05cells\x00",
    "JSON": b"\x02\x01\x05cells\x00",
    "deleted": b"\x01\x01\x05cells\x00",
    "collected": b"\x00\x00",
    "a gap": b"\x0a\x00",
}


def structs(author: int, clock: int, *each: bytes) -> bytes:
    """An update of one author that deletes nothing."""
    head = b"".join(map(protocol.write_varuint, (1, len(each), author, clock)))
    return head + b"".join(each) + b"\x00"


@pytest.mark.parametrize("name", NOTHING)
async def test_what_inserts_nothing_is_refused(name: str) -> None:
    """D8: no Y library writes it, and pycrdt panics at it; its sender alone is cut off."""
    journal = HeldJournal()
    room = room_of(cell("a"), journal=journal)
    bad, good = await two_pages(room)
    bad.send(protocol.update(structs(bad.doc.client_id, 0, NOTHING[name])))
    assert bad.closed == (1007, "a message cannot be decoded: it inserts nothing")
    assert journal.stored == []
    await still_works(room, good)
    await room.close()


async def test_a_garbled_message_that_made_the_decoder_panic() -> None:
    """D8: as it was found: one flipped bit makes an origin a parent, and its values none."""
    room = room_of(cell("a"))
    bad, good = await two_pages(room)
    garbled = (
        "00023501018db8e5d9cff8ea03b701288db8e5d9cff8ea03a8d10175027c3f80000076"
        "0101617c41400000018db8e5d9cf02c10301a80101"
    )
    bad.send(bytes.fromhex(garbled))
    assert bad.closed is not None and bad.closed[0] == 1007
    await still_works(room, good)
    await room.close()


async def test_what_can_be_applied_in_part_is_told_in_part() -> None:
    """D8, D7: what the document took before the part that cannot be is stored and shown to all."""
    journal = HeldJournal()
    room = room_of(cell("a"), journal=journal)
    start = room.doc.get_update()
    live = LiveNotebook(room)
    bad, good = await two_pages(room)
    other: Doc[Any] = Doc()
    other.apply_update(bad.doc.get_update())
    other.get("cells", type=Array).append(Map({"id": "b", "cell_type": "code"}))
    update = other.get_update(bad.doc.get_state())
    count = update[1]
    key = b"\x28\x00" + protocol.write_varuint(other.client_id) + b"\x01\x01k\x01\x7e"
    bad.send(protocol.update(b"\x01" + bytes((count + 1,)) + update[2:-1] + key + b"\x00"))
    assert bad.closed is not None and bad.closed[0] == 1007
    assert "must be deleted or shared ref type" in bad.closed[1]
    await settle(good)
    stored: Doc[Any] = Doc()
    for each in (start, *journal.stored):
        stored.apply_update(each)
    for doc in (room.doc, good.doc, stored):
        assert [ycell["id"] for ycell in doc.get("cells", type=Array)] == ["a", "b"]
    assert live.code_cells() == ["a", "b"]
    await still_works(room, good)
    await room.close()


async def test_what_leaves_a_gap_is_asked_for() -> None:
    """D8, D7: a page that lost a message is asked at once, and all see all of it then."""
    journal = HeldJournal()
    room = room_of(cell("a"), journal=journal)
    page, good = await two_pages(room)
    meta = page.doc.get("state", type=Map)
    meta["one"] = 1
    client, page.client = page.client, None
    meta["two"] = 2  # lost
    page.client = client
    stored = len(journal.stored)
    page.kinds.clear()
    meta["three"] = 3
    assert len(journal.stored) == stored
    await settle(page, good)
    assert page.kinds == [(0, 0)] and page.closed is None
    for doc in (room.doc, good.doc):
        assert {"one", "two", "three"} <= set(doc.get("state", type=Map))
    await room.close()


@pytest.mark.parametrize("seed", range(10))
async def test_garbled_messages_never_raise(seed: int) -> None:
    """D8, S2: whatever arrives, the room and the notebook in it go on; bad senders are cut off."""
    choose = random.Random(seed)
    room = room_of(cell("a", "x"), cell("b"))
    live = LiveNotebook(room)
    source = Page()
    source.connect(room)
    await settle(source)
    sent: list[bytes] = []
    subscription = source.doc.observe(lambda event: sent.append(protocol.update(event.update)))
    for i in range(20):
        source.notebook.ycells[i % 2]["source"].insert(0, "\u2588uv")
        source.notebook.ycells[0]["metadata"]["k"] = [1, {"a": i}]
        source.notebook.append_cell(cell(f"n{i}", "new"))
    source.doc.unobserve(subscription)
    sent += [awareness_of(3), protocol.step1(source.doc.get_state()), b"\x02\x04save\x01"]
    for _ in range(200):
        garbled = bytearray(choose.choice(sent))
        for _ in range(choose.randint(1, 4)):
            garbled[choose.randrange(len(garbled))] = choose.randrange(256)
        bad = Page()
        bad.connect(room)
        bad.send(bytes(garbled))
        assert bad.closed is None or bad.closed[0] == 1007
        bad.disconnect()
    await settle(source)
    frame = Frame()
    frame.cell(live.code_cells()[0]).execution_count = 5
    assert not live.apply(frame).missing
    source.disconnect()  # some spoke in its name, which Y cannot tell; its copy may differ
    fresh = Page()
    fresh.connect(room)
    await settle(fresh)
    with room.transact():
        room.doc.get("state", type=Map)["alive"] = True
    await settle(fresh)
    assert fresh.closed is None and fresh.doc.get("state", type=Map)["alive"] is True
    await room.close()
