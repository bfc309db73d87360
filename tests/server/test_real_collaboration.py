"""D1: rooms as the clients of jupyter-collaboration use them, on a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from jupyter_nbmodel_client import NbModelClient, get_jupyter_notebook_websocket_url
from jupyter_ydoc import YNotebook, YUnicode
from pycrdt import Doc
from real_server import RealServer
from server_harness import TOKEN
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from y_client import closing, joined, room_url

MIB = 2**20


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    server = RealServer(tmp_path_factory.mktemp("rooms"), max_message_bytes=MIB, max_room_clients=3)
    server.start()
    yield server
    assert server.stop() == 0, "".join(server.log)
    assert server.errors() == []


def room_of(server: RealServer, path: str, **body: str) -> tuple[str, str]:
    """The room's id and its session's."""
    answer = server.session(path, **body)
    assert answer.status == 200, answer.body
    told = answer.json
    return f"{told['format']}:{told['type']}:{told['fileId']}", told["sessionId"]


async def ask(server: RealServer, *args: Any, **kwargs: Any) -> Any:
    """The blocking client, beside a running event loop."""
    return await asyncio.to_thread(server.ask, *args, **kwargs)


async def run(server: RealServer, path: str, cells: Any) -> list[dict[str, Any]]:
    return await asyncio.to_thread(server.run, path, cells)


async def test_d1_jupyter_nbmodel_client_edits_and_sees_outputs(real: RealServer) -> None:
    """D1: the real client connects unchanged, adds a cell, and gets the outputs of its run."""
    path = real.notebook("nbmodel.ipynb", "1")
    url = await asyncio.to_thread(
        get_jupyter_notebook_websocket_url,
        f"http://127.0.0.1:{real.port}/base",
        path,
        TOKEN,
    )
    async with NbModelClient(url) as notebook:
        await notebook.wait_until_synced()
        index = notebook.add_code_cell("print('seen')")
        cell_id = notebook[index]["id"]
        with_id = await _until_known(real, path, cell_id)
        assert with_id["source"] == "print('seen')"
        (execution,) = await run(real, path, [cell_id])
        assert execution["state"] == "finished"
        # The answer may overtake the document's change; the client has no event for that.
        while not notebook[index]["outputs"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        outputs = notebook[index]["outputs"]
    assert [output["text"] for output in outputs] == ["seen\n"]
    await until_saved(real, path, lambda saved: texts_of(saved) == ["seen\n"])


def texts_of(notebook: Any) -> list[str]:
    return [output["text"] for cell in notebook.cells for output in cell.outputs]


def type_into(doc: Doc[Any], text: str) -> None:
    """Append to the source of the first cell."""
    source = YNotebook(doc).ycells[0]["source"]
    source += text


async def until_saved(server: RealServer, path: str, is_there: Callable[[Any], object]) -> None:
    """Return when the file holds it; nothing tells a client when a file is written."""
    while True:
        with suppress(ValueError):  # read while jupyter_server's manager writes it in place
            if is_there(await asyncio.to_thread(server.saved, path)):
                return


async def _until_known(server: RealServer, path: str, cell_id: str) -> Any:
    """The cell, once the server has the client's edit."""
    while True:
        document = await ask(server, "GET", f"/api/executions/document?path={path}")
        for cell in document.json["cells"]:
            if cell["id"] == cell_id:
                return cell
        await asyncio.sleep(0)


async def test_d1_plain_clients_share_a_document(real: RealServer) -> None:
    """D1: two y-websocket clients see each other's edits and the server's outputs."""
    path = real.notebook("plain.ipynb", "print(1)")
    room_id, session_id = room_of(real, path)
    async with joined(real, room_id, session_id) as one, joined(real, room_id) as two:
        first, second = YNotebook(one.doc), YNotebook(two.doc)
        type_into(one.doc, "\nprint(2)")
        await two.until(lambda: str(second.ycells[0]["source"]) == "print(1)\nprint(2)")
        await run(real, path, ["c0"])
        for client, notebook in ((one, first), (two, second)):
            await client.until(lambda n=notebook: n.ycells[0]["execution_state"] == "idle")
            assert notebook.source["cells"][0]["outputs"][0]["text"] == "1\n2\n"


async def test_d1_text_files_are_shared_too(real: RealServer) -> None:
    """D1: other types of jupyter_ydoc, in other formats."""
    (real.root / "note.txt").write_text("hello")
    room_id, session_id = room_of(real, "note.txt", format="text", type="file")
    async with joined(real, room_id, session_id) as one, joined(real, room_id) as two:
        first, second = YUnicode(one.doc), YUnicode(two.doc)
        assert first.source == "hello"
        one.doc.get("source", type=type(first._ysource)).insert(5, " world")
        await two.until(lambda: second.source == "hello world")


async def test_d1_the_front_ends_encoded_paths(real: RealServer) -> None:
    """D1: slashes come encoded from JupyterLab and plain from others; the room is the same."""
    (real.root / "a folder").mkdir()
    real.notebook("a folder/ä b.ipynb", "1")
    encoded = real.session("a folder/ä b.ipynb").json
    body = b'{"format": "json", "type": "notebook"}'
    plain = real.raw("PUT", "/api/collaboration/session/a%20folder/%C3%A4%20b.ipynb", body)
    assert plain.json == encoded


async def test_d1_global_awareness(real: RealServer) -> None:
    """D1: users see each other in a room that has no file, and goodbyes too."""
    room = "JupyterLab:globalAwareness"
    async with joined(real, room) as one:
        async with joined(real, room) as two:
            two.present({"user": {"name": "Two"}})
            await one.until(lambda: {"user": {"name": "Two"}} in one.awareness.states.values())
        await one.until(lambda: {"user": {"name": "Two"}} not in one.awareness.states.values())


async def test_d1_session_outlives_the_server(tmp_path: Any) -> None:
    """D1, D7, R3: after a restart the same session goes on, and nothing is doubled."""
    server = RealServer(tmp_path)
    server.start()
    try:
        path = server.notebook("again.ipynb", "1")
        room_id, session_id = room_of(server, path)
        doc: Doc[Any] = Doc()
        async with joined(server, room_id, session_id, doc) as client:
            type_into(client.doc, " + 1")
            await _until_source(server, path, "1 + 1")
        assert await asyncio.to_thread(server.stop) == 0
        await asyncio.to_thread(server.start)
        type_into(doc, " + 2")  # edited while the server was away
        async with joined(server, room_id, session_id, doc):
            await _until_source(server, path, "1 + 1 + 2")
        assert room_of(server, path) == (room_id, session_id)
        assert len(YNotebook(doc).source["cells"]) == 1
    finally:
        await asyncio.to_thread(server.stop)
    assert server.saved("again.ipynb").cells[0].source == "1 + 1 + 2"


async def _until_source(server: RealServer, path: str, source: str) -> None:
    while True:
        document = await ask(server, "GET", f"/api/executions/document?path={path}")
        if [cell["source"] for cell in document.json["cells"]] == [source]:
            return


async def test_d1_closes_with_the_codes_that_pages_know(real: RealServer) -> None:
    """D1: not found, bad request, and a session of another history, with JSON for the dialog."""
    path = real.notebook("codes.ipynb", "1")
    (real.root / "codes.txt").write_text("no JSON")
    room_id, _ = room_of(real, path)
    assert (await closing(real, "json:notebook:unknown"))[0] == 4404
    assert (await closing(real, "nonsense"))[0] == 4400
    assert (await closing(real, "json:nonsense:x:y"))[0] == 4400
    code, reason = await closing(real, room_id, "another")
    assert code == 1003
    told = json.loads(reason)
    assert (told["reason"], told["reloadable"]) == ("unknown_session", True)


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("missing.ipynb", {}, 404, "path"),
        ("../x.ipynb", {}, 400, "path"),
        ("present.ipynb", {"format": "yaml"}, 400, "format"),
        ("present.ipynb", {"type": "a/b"}, 400, "type"),
    ],
)
def test_a5_sessions_name_what_is_wrong(
    real: RealServer, path: str, body: dict[str, str], status: int, field: str
) -> None:
    """A5: and nothing is indexed or made."""
    real.notebook("present.ipynb", "1")
    answer = real.session(path, **body)
    assert (answer.status, answer.json["field"]) == (status, field)


async def test_d8_bad_and_large_messages_close_that_client_alone(real: RealServer) -> None:
    """D8: the code says why; who sits beside it goes on."""
    path = real.notebook("bad.ipynb", "1")
    room_id, _ = room_of(real, path)
    headers = {"Authorization": f"token {TOKEN}"}
    async with joined(real, room_id) as good:
        for message, code in (
            (b"\x00\x02\xff\xff", 1007),
            (b"\x00\x02" + b"\x00" * (MIB + 1), 1009),
            (b"\x00\x02" + b"\x00" * (4 * MIB), 1009),
        ):
            async with connect(
                room_url(real, room_id), additional_headers=headers, max_size=None
            ) as socket:
                await socket.send("text is not part of the protocol")
                await socket.send(b"\x7d\x01\x00")  # a type of other projects
                with suppress(ConnectionClosed):  # it is cut off while it still sends
                    await socket.send(message)
                await asyncio.wait_for(socket.wait_closed(), 10)
                assert socket.close_code == code
                assert socket.close_reason or len(message) > 2 * MIB
        await run(real, path, ["c0"])
        await good.until(lambda: YNotebook(good.doc).ycells[0]["execution_count"] == 1)


async def test_s1_reader_sees_but_does_not_edit(real: RealServer) -> None:
    """S1: a reader gets the document and is told that its edits are dropped."""
    path = real.notebook("reader.ipynb", "1")
    room_id, _ = room_of(real, path)
    headers = {"X-Denied": "write:contents"}
    async with joined(real, room_id, headers=headers) as reader:
        notebook = YNotebook(reader.doc)
        assert str(notebook.ycells[0]["source"]) == "1"
        type_into(reader.doc, " forged")
        await reader.until(lambda: any(b"read-only" in message for message in reader.raw))
    document = await ask(real, "GET", f"/api/executions/document?path={path}")
    assert document.json["cells"][0]["source"] == "1"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "token wrong"},
        {"Authorization": f"token {TOKEN}", "X-Denied": "read:contents"},
    ],
)
async def test_s1_rooms_need_a_user_who_may_read(real: RealServer, headers: dict[str, str]) -> None:
    """S1: 403 before the upgrade."""
    path = real.notebook("closed.ipynb", "1")
    room_id, _ = room_of(real, path)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(room_url(real, room_id), additional_headers=headers):
            pass
    assert refused.value.response.status_code == 403


async def test_s4_other_origins_may_not_join_with_a_cookie(real: RealServer) -> None:
    """S4: a page of another site cannot use the user's cookie for a websocket."""
    path = real.notebook("origin.ipynb", "1")
    room_id, _ = room_of(real, path)
    login = real.raw("GET", f"/api/executions?token={TOKEN}", headers={})
    headers = {"Cookie": login.headers["Set-Cookie"].split(";", maxsplit=1)[0]}
    async with connect(room_url(real, room_id), additional_headers=headers):
        pass
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            room_url(real, room_id),
            additional_headers={**headers, "Origin": "http://elsewhere.example"},
        ):
            pass
    assert refused.value.response.status_code == 403


async def test_s4_a_room_takes_so_many_clients(real: RealServer) -> None:
    """S4: one more is sent away with a code that says to try later."""
    path = real.notebook("full.ipynb", "1")
    room_id, _ = room_of(real, path)
    async with joined(real, room_id), joined(real, room_id), joined(real, room_id):
        assert (await closing(real, room_id))[0] == 1013


async def test_d8_clients_that_leave_at_once_are_not_counted(real: RealServer) -> None:
    """D8, D2: sockets that close while the document is still opened leave nothing behind."""
    path = real.notebook("fleeting.ipynb", "1")
    room_id, _ = room_of(real, path)
    request = (
        f"GET {real.url('/api/collaboration/room/')}{room_id} HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{real.port}\r\nAuthorization: token {TOKEN}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", real.port)
        writer.write(request.encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    async with joined(real, room_id), joined(real, room_id), joined(real, room_id):
        pass


def test_what_is_not_offered_is_said(real: RealServer) -> None:
    """Forks and the timeline: an empty list, or 404 with a text that pages can show."""
    assert real.raw("GET", "/api/collaboration/fork/x").json == {}
    for method, path in (
        ("PUT", "/api/collaboration/fork/x"),
        ("DELETE", "/api/collaboration/fork/x"),
        ("GET", "/api/collaboration/timeline/x.ipynb?format=json&&type=notebook"),
        ("PUT", "/api/collaboration/undo_redo/x?action=undo&&steps=1&&forkRoom=y"),
    ):
        answer = real.raw(method, path, b"{}" if method == "PUT" else None)
        assert answer.status == 404
        assert "not offered" in answer.json["error"] == answer.json["message"]
