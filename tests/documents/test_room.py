"""Rooms: the protocol, the order of commit and sending, and who is cut off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jupyter_ydoc import YNotebook
from pycrdt import Array, Doc, Map
from room_harness import DOCUMENT, HeldJournal, Page, cell, room_of, settle

from notebook_exec.core.model import User
from notebook_exec.documents import protocol
from notebook_exec.documents.protocol import MessageType, SyncStep
from notebook_exec.documents.room import Room

STEP1 = (MessageType.SYNC, SyncStep.STEP1)
STEP2 = (MessageType.SYNC, SyncStep.STEP2)
UPDATE = (MessageType.SYNC, SyncStep.UPDATE)
AWARENESS = (MessageType.AWARENESS, 0)


def source(page: Page, index: int = 0) -> str:
    return str(page.notebook.ycells[index]["source"])


def write(room: Room, text: str) -> None:
    """The server appends to the first cell's source."""
    with room.transact():
        ytext = room.doc.get("cells", type=Array)[0]["source"]
        ytext += text


async def pages_in(room: Room, count: int = 2) -> list[Page]:
    pages = [Page(user=User(f"u{i}", f"U{i}")) for i in range(count)]
    for page in pages:
        page.connect(room)
    await settle(*pages)
    return pages


# --- D1: the protocol ---


async def test_a_client_is_asked_and_answered() -> None:
    """D1: both sides say what they have, and send what the other has not."""
    room = room_of(cell("a", "x = 1"))
    page = Page()
    page.connect(room)
    await settle(page)
    assert page.kinds == [STEP1, STEP2]
    assert source(page) == "x = 1"
    await room.close()


async def test_an_update_goes_to_the_others_once() -> None:
    """D1: and not back to its sender."""
    room = room_of(cell("a", "x"))
    one, two = await pages_in(room)
    one.kinds.clear()
    two.kinds.clear()
    one.notebook.ycells[0]["source"].insert(1, "y")
    await settle(one, two)
    assert (one.kinds, two.kinds) == ([], [UPDATE])
    assert source(two) == "xy"
    await room.close()


async def test_unknown_messages_are_ignored() -> None:
    """D1, D8: of any number, with anything in them."""
    room = room_of(cell("a"))
    (page,) = await pages_in(room, 1)
    for message in (b"\x03", b"\x7dchat", b"\x02\x05hello", b"\x00\x09\x01\x00", b"\xff\x01"):
        page.send(message)
    page.send(protocol.update(protocol.EMPTY_UPDATE))
    await settle(page)
    assert page.closed is None
    await room.close()


@pytest.mark.parametrize("status", ["success", "failed"])
async def test_a_page_asks_to_save_and_hears_how_it_went(status: str) -> None:
    """D1: the RAW "save" message has an answer with its number."""
    room = room_of(cell("a"))
    (page,) = await pages_in(room, 1)

    async def save() -> None:
        if status == "failed":
            raise OSError("no room")

    room.on_raw = lambda name: save() if name == "save" else None
    page.send(b"\x02\x04save\xac\x02")
    await settle(page)
    assert page.raw == [{"type": "save", "responseTo": 300, "status": status}]
    await room.close()


async def test_awareness_is_shown_to_all_until_its_client_leaves() -> None:
    """D1: to late comers too; the sender hears its own, or y-websocket thinks the server dead."""
    room = room_of(cell("a"))
    one, two = await pages_in(room)
    one.kinds.clear()
    one.show({"user": {"name": "One"}})
    await settle(one, two)
    late = Page()
    late.connect(room)
    await settle(late)
    me = one.awareness.client_id
    assert one.kinds == [AWARENESS]
    assert two.awareness.states[me] == late.awareness.states[me] == {"user": {"name": "One"}}
    one.disconnect()
    await settle(two, late)
    assert me not in two.awareness.states and me not in late.awareness.states
    await room.close()


async def test_a_page_that_reconnects_keeps_its_cursor() -> None:
    """D1: the end of its old connection, noticed later, does not take it away."""
    room = room_of(cell("a"))
    one, two = await pages_in(room)
    one.show({"n": 1})
    old, one.client = one.client, None
    one.connect(room)
    one.show({"n": 2})
    assert old is not None
    old.closed()
    await settle(one, two)
    assert two.awareness.states[one.awareness.client_id] == {"n": 2}
    await room.close()


# --- R4: committed first ---


async def test_nothing_is_sent_before_it_is_committed() -> None:
    """R4: neither what the server writes nor what a client writes; and in their order."""
    journal = HeldJournal(is_held=True)
    room = room_of(cell("a"), journal=journal)
    one, two = await pages_in(room)
    two.kinds.clear()
    write(room, "1")
    one.notebook.ycells[0]["metadata"]["k"] = "v"
    write(room, "2")
    await settle(one, two)
    assert (journal.waiting, two.kinds) == (3, [])
    journal.commit(1)
    await settle(one, two)
    assert two.kinds == [UPDATE] and source(two) == "1"
    assert "k" not in two.notebook.ycells[0]["metadata"]
    journal.commit()
    await settle(one, two)
    assert source(two) == "12" and two.notebook.ycells[0]["metadata"]["k"] == "v"
    await room.close()


async def test_who_joins_waits_for_the_commit_of_what_it_would_see() -> None:
    """R4: the answer to step 1 too, and what comes after it comes after it."""
    journal = HeldJournal(is_held=True)
    room = room_of(cell("a"), journal=journal)
    write(room, "1")
    late = Page()
    late.connect(room)
    write(room, "2")
    await settle(late)
    assert late.kinds == [STEP1]
    journal.commit(1)
    await settle(late)
    assert late.kinds == [STEP1, STEP2] and source(late) == "1"
    journal.commit()
    await settle(late)
    assert late.kinds == [STEP1, STEP2, UPDATE] and source(late) == "12"
    await room.close()


async def test_what_goes_alongside_is_stored_without_an_update_too() -> None:
    """R4: and ``then`` is called after the clients have been told."""
    journal = HeldJournal()
    room = room_of(cell("a"), journal=journal)
    said: list[bool] = []
    with room.transact(["state"], said.append):
        pass
    assert (journal.stored, journal.alongside, said) == ([], ["state"], [True])
    await room.close()


async def test_what_a_failed_transaction_changed_is_told_but_stores_nothing_else() -> None:
    """R4: documents never differ, whatever happens in a transaction."""
    journal = HeldJournal()
    room = room_of(cell("a"), journal=journal)
    (page,) = await pages_in(room, 1)
    with pytest.raises(RuntimeError, match="half way"), room.transact(["state"]):
        room.doc.get("execution", type=Map)["k"] = 1
        raise RuntimeError("half way")
    await settle(page)
    assert page.doc.get("execution", type=Map)["k"] == 1
    assert (len(journal.stored), journal.alongside) == (1, [])
    await room.close()


async def test_changes_by_code_that_knows_no_rooms_are_committed_too() -> None:
    """R4: in their order among others, and by a journal that reads the document (D9)."""

    class Compacting(HeldJournal):
        def append(self, *arguments: Any) -> None:
            room.doc.get_update()
            super().append(*arguments)

    journal = Compacting(is_held=True)
    room = room_of(cell("a"), journal=journal)
    (page,) = await pages_in(room, 1)
    room.ydocument.dirty = True
    late = Page()
    late.connect(room)
    write(room, "1")
    room.ydocument.dirty = False
    await settle(page, late)
    assert (journal.waiting, late.kinds) == (3, [STEP1])
    journal.commit(1)
    await settle(page, late)
    assert page.notebook.dirty is late.notebook.dirty is True and source(page) == ""
    journal.commit(2)
    await settle(page, late)
    assert page.notebook.dirty is late.notebook.dirty is False
    assert source(page) == source(late) == "1"
    room.ydocument.dirty = True
    journal.is_held = False
    await room.close()
    assert len(journal.stored) == 4


async def test_closing_waits_for_the_commits() -> None:
    """R4: a document that is opened again right after must find all of it."""
    journal = HeldJournal(is_held=True)
    room = room_of(cell("a"), journal=journal)
    (page,) = await pages_in(room, 1)
    write(room, "1")
    closing = asyncio.ensure_future(room.close())
    await settle(page)
    assert not closing.done() and page.closed is not None and page.closed[0] == 1001
    journal.commit()
    await closing
    await room.close()


# --- S1: readers ---


async def test_a_readers_changes_are_dropped_and_it_is_told() -> None:
    """S1: once, and nobody else sees anything of it."""
    journal = HeldJournal()
    room = room_of(cell("a", "x"), journal=journal)
    writer, reader = Page(), Page(can_write=False)
    for page in (writer, reader):
        page.connect(room)
    await settle(writer, reader)
    assert reader.raw == []  # its answer to step 1 brought nothing new
    reader.notebook.ycells[0]["source"].insert(0, "evil")
    reader.notebook.ycells[0]["source"].insert(0, "very ")
    await settle(writer, reader)
    assert [raw["type"] for raw in reader.raw] == ["read-only"]
    assert source(writer) == "x" and journal.stored == [] and reader.closed is None
    await room.close()


async def test_a_reader_sees_and_is_seen() -> None:
    """S1: awareness is no edit; saving is, by its effect on the file."""
    room = room_of(cell("a"))
    room.on_raw = lambda _: None
    writer, reader = Page(), Page(can_write=False)
    for page in (writer, reader):
        page.connect(room)
    reader.show({"name": "reader"})
    reader.send(b"\x02\x04save\x01")
    write(room, "1")
    await settle(writer, reader)
    assert writer.awareness.states[reader.awareness.client_id] == {"name": "reader"}
    assert source(reader) == "1"
    assert reader.raw == [{"type": "save", "responseTo": 1, "status": "failed"}]
    await room.close()


# --- D7: away ---


async def test_both_sides_go_on_while_a_client_is_away() -> None:
    """D7: it comes back to one document, without a duplicate."""
    room = room_of(cell("a", "base\n"), cell("b"))
    away, here = await pages_in(room)
    away.disconnect()
    for i in range(50):
        write(room, f"s{i}\n")
        away.notebook.ycells[1]["source"].insert(0, f"a{i}\n")
    here.notebook.ycells[0]["source"].insert(0, "here\n")
    await settle(here)
    away.connect(room)
    await settle(away, here)
    assert source(away) == source(here) == "here\nbase\n" + "".join(f"s{i}\n" for i in range(50))
    assert source(away, 1) == source(here, 1) and source(here, 1).count("\n") == 50
    assert len(away.notebook.ycells) == 2
    await room.close()


async def test_a_client_goes_on_with_a_room_made_from_the_journal() -> None:
    """D7, R3: what was committed is there; what was not, its author brings again."""
    journal = HeldJournal()
    room = room_of(cell("a"), journal=journal)
    start = room.doc.get_update()
    (page,) = await pages_in(room, 1)
    write(room, "1")
    await settle(page)
    journal.is_held = True
    page.notebook.ycells[0]["source"].insert(1, "lost?")
    page.disconnect()  # the server is killed here

    doc: Doc[Any] = Doc()
    for update in (start, *journal.stored):
        doc.apply_update(update)
    again = Room(
        DOCUMENT,
        YNotebook(doc),
        HeldJournal(),
        max_message_bytes=10**6,
        max_backlog_bytes=10**6,
    )
    page.connect(again)
    await settle(page)
    assert str(again.doc.get("cells", type=Array)[0]["source"]) == source(page) == "1lost?"
    journal.commit()
    await room.close()
    await again.close()


async def test_the_last_to_leave_is_told_to_the_owner() -> None:
    """D2: and only the last."""
    room = room_of(cell("a"))
    told: list[int] = []
    room.on_empty = lambda: told.append(room.client_count)
    one, two = await pages_in(room)
    one.disconnect()
    one.disconnect()
    assert told == [] and room.client_count == 1
    two.disconnect()
    assert told == [0]
    await room.close()
