"""Real kernels, seen by real Y clients: outputs, queue, prompts (SPEC O, Q, P, S2, D2, R1)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from process_harness import URL, ask, kernel_of, log_outputs, opened, submit, wait
from pycrdt import Map
from real_server import RealServer

LIMIT_BYTES = 200_000


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    server = RealServer(
        tmp_path_factory.mktemp("runs"), max_output_bytes=LIMIT_BYTES, unload_delay=0.1
    )
    server.start()
    yield server
    assert server.stop() == 0, "".join(server.log)
    assert server.errors() == []


@pytest.fixture(scope="module")
def warm(real: RealServer) -> dict[str, str]:
    path = real.notebook("warm.ipynb", "1")
    (execution,) = real.run(path)
    return {"id": execution["kernel_id"]}


@pytest.fixture
def kernel(real: RealServer, warm: dict[str, str]) -> Iterator[dict[str, str]]:
    """A kernel that the notebooks of most tests share: starting one is what takes time."""
    yield warm
    known = real.ask("GET", f"{URL}?kernel_id={warm['id']}").json["executions"]
    for execution in known:  # what a test that failed left behind
        if execution["state"] in ("queued", "running", "waiting_input"):
            real.ask("DELETE", f"{URL}/{execution['id']}")


GO = """
import os, time
def await_go():
    while not os.path.exists({path!r}):
        time.sleep(0.01)
    os.remove({path!r})
"""


class Signal:
    """A file that code in a kernel waits for."""

    def __init__(self, real: RealServer, name: str) -> None:
        self.path = real.folder / name
        self.setup = GO.format(path=str(self.path))

    def give(self) -> None:
        self.path.write_text("")


async def test_q5_q16_no_page_ever_sees_half_a_state(
    real: RealServer, kernel: dict[str, str]
) -> None:
    """Q5, Q16: between the run before, the start, and the end there is no other state."""
    path = real.notebook("half.ipynb", "1", "print('a'); 42")
    await wait(real, (await submit(real, path, ["c1"], kernel=kernel))[0])
    async with opened(real, path) as tab:
        before = tab.cell("c1")
        assert [o["output_type"] for o in before["outputs"]] == ["stream", "execute_result"]
        tab.keeps_shown = True
        executions = await submit(real, path, ["c0", "c1"], kernel=kernel)
        ended = await wait(real, executions[1])
        # Finished: what a page gets next has all of it.
        await tab.until(
            lambda: (
                tab.cell("c1")["entry"].get("id") == ended["id"] and tab.state("c1") == "finished"
            )
        )
        count = ended["execution_count"]
        assert count > before["execution_count"]
        for shown in [cells["c1"] for cells in tab.shown]:
            outputs, entry = shown["outputs"], shown["entry"]
            if entry.get("id") != ended["id"] or entry["state"] == "queued":
                assert outputs == before["outputs"]
                assert shown["execution_count"] == before["execution_count"]
            elif entry["state"] == "running":
                assert shown["execution_state"] == "running"
                assert shown["execution_count"] in (None, count)
                assert all(o.get("execution_count") in (None, count) for o in outputs)
            else:
                assert [o["output_type"] for o in outputs] == ["stream", "execute_result"]
                assert (shown["execution_state"], shown["execution_count"]) == ("idle", count)
    saved = real.saved(path)
    assert "execution_state" not in json.dumps(saved)


async def test_o9_threads_and_callbacks_after_idle(
    real: RealServer, kernel: dict[str, str]
) -> None:
    """O9: a thread and an asyncio callback print after idle, also when nobody has it open."""
    go = Signal(real, "late")
    source = f"""{go.setup}
import asyncio, threading
def late():
    await_go(); print('from a thread', flush=True)
threading.Thread(target=late).start()
async def later():
    await asyncio.sleep(0.3); print('from a task', flush=True)
task = asyncio.get_running_loop().create_task(later())
"""
    path = real.notebook("late.ipynb", source)
    (execution,) = await submit(real, path, kernel=kernel)
    assert (await wait(real, execution))["state"] == "finished"
    async with opened(real, path) as tab:
        await tab.until(lambda: "from a task" in tab.text("c0"))
    # Unloaded after 0.1 s; a run elsewhere takes longer than that. (Not on this kernel, whose
    # threads would speak for the run that came last.)
    other = real.notebook("meanwhile.ipynb", "import time; time.sleep(1)")
    await wait(real, (await submit(real, other))[0])
    go.give()
    async with opened(real, path) as tab:
        await tab.until(lambda: "from a thread" in tab.text("c0"))
        assert tab.text("c0").count("from a task") == 1


async def test_o10_o11_moved_edited_reloaded_deleted(
    real: RealServer, kernel: dict[str, str]
) -> None:
    """O10, O11, Q3, Q14: a running cell is moved, edited, reloaded, deleted; a queued one too."""
    go = Signal(real, "moves")
    source = f"{go.setup}\nfor i in range(5):\n    print('line', i, flush=True); await_go()"
    path = real.notebook("moves.ipynb", source, "print('never')", "x = 'as submitted'\nx")
    async with opened(real, path) as tab:
        executions = await submit(real, path, kernel=kernel)
        await tab.until(lambda: "line 0" in tab.text("c0"))
        with tab.doc.transaction():
            cell = tab.notebook.ycells[0].to_py()
            del tab.notebook.ycells[0]
            tab.notebook.ycells.append(tab.notebook.create_ycell(cell))
        go.give()
        await tab.until(lambda: "line 1" in tab.text("c0"))
        ysource = tab.notebook.ycells[tab.index("c0")]["source"]
        ysource += "\n# edited"
        ysource = tab.notebook.ycells[tab.index("c2")]["source"]
        ysource.clear()
        ysource += "'edited'"
        go.give()
        await tab.until(lambda: "line 2" in tab.text("c0"))
        del tab.notebook.ycells[tab.index("c1")]
        gone = await wait(real, executions[1])
        assert (gone["state"], gone["reason"]) == ("cancelled", "cell_deleted")
        go.give()
        await tab.until(lambda: "line 3" in tab.text("c0"))
        assert tab.text("c0") == "line 0\nline 1\nline 2\nline 3\n"
        del tab.notebook.ycells[tab.index("c0")]
        await tab.until(lambda: list(tab.cells()) == ["c2"])
        go.give()
        go_on = asyncio.ensure_future(wait(real, executions[0]))
        await asyncio.sleep(0)
        while not go_on.done():
            if not go.path.exists():
                go.give()
            await asyncio.wait([go_on], timeout=0.1)
        deleted = go_on.result()
        assert deleted["state"] == "finished"
        assert deleted["outputs"][0]["text"] == "".join(f"line {n}\n" for n in range(5))
        last = await wait(real, executions[2])
        assert last["outputs"][0]["data"]["text/plain"] == "'as submitted'"
        await tab.until(lambda: tab.state("c2") == "finished")
        assert str(tab.cell("c2")["source"]) == "'edited'"
    go.path.unlink(missing_ok=True)


async def test_o13_load_and_help(real: RealServer, kernel: dict[str, str]) -> None:
    """O13: %load edits its cell, get_ipython().set_next_input inserts one, help is an output."""
    (real.root / "snippet.py").write_text("loaded = 1\n")
    path = real.notebook(
        "payloads.ipynb", "%load snippet.py", "get_ipython().set_next_input('below')", "len?"
    )
    async with opened(real, path) as tab:
        for execution in await submit(real, path, kernel=kernel):
            assert (await wait(real, execution))["state"] == "finished"
        await tab.until(lambda: tab.state("c2") == "finished")
        sources = [str(cell["source"]) for cell in tab.cells().values()]
        assert sources[0].endswith("loaded = 1\n")
        assert sources[1:3] == ["get_ipython().set_next_input('below')", "below"]
        assert "Return the number of items" in json.dumps(tab.cell("c2")["outputs"])


async def test_o14_o15_wild_and_endless_output(real: RealServer, kernel: dict[str, str]) -> None:
    """O14, O15: surrogates, NaN, binary, 100 MB of text: bounded in the doc, whole in the log."""
    wild = (
        "from IPython.display import display\n"
        "session = get_ipython().kernel.session\n"
        "def pack(value):\n"
        "    import json\n"
        "    from jupyter_client.jsonutil import json_default\n"
        "    return json.dumps(value, default=json_default).encode()\n"
        "session.pack = pack\n"
        "print('\\ud800 lone \\x00 nul')\n"
        "display({'application/json': {'x': float('nan'), 'y': float('inf')}}, raw=True)\n"
        "display({'image/png': b'\\x89PNG\\xff', 'text/plain': 'bytes'}, raw=True)\n"
        "session.send(get_ipython().kernel.iopub_socket, 'comm_msg',"
        " {'comm_id': 'x', 'data': {}}, parent=get_ipython().kernel.get_parent(),"
        " buffers=[b'\\xff' * 1000])\n"
        "raise ValueError('bad \\udfff')"
    )
    endless = (
        "import sys\nline = 'x' * 990 + ' %06d\\n'\n"
        "for i in range(100_000):\n    sys.stdout.write(line % i)\n"
    )
    path = real.notebook("wild.ipynb", wild, endless, "'usable'")
    async with opened(real, path) as tab:
        executions = await submit(real, path, kernel=kernel, on_error="continue")
        first = await wait(real, executions[0])
        assert first["state"] == "failed" and first["error"]["ename"] == "ValueError"
        assert "lone" in json.dumps(first["outputs"])
        second = await wait(real, executions[1])
        while second["state"] == "running":
            second = await wait(real, executions[1])
        assert second["state"] == "finished"
        last = await wait(real, executions[2])
        assert last["outputs"][0]["data"]["text/plain"] == "'usable'"
        await tab.until(lambda: tab.state("c2") == "finished")
        outputs = tab.cell("c1")["outputs"]
        assert len(json.dumps(outputs)) < 1.5 * LIMIT_BYTES
        assert tab.text("c1").startswith("x" * 990 + " 000000\n")
        assert tab.text("c1").endswith(" 099999\n")
        (notice,) = [o for o in outputs if o["output_type"] == "display_data"]
        assert "left out here" in notice["data"]["text/plain"]
        assert len(tab.doc.get_update()) < 10 * 2**20
    whole = await asyncio.to_thread(log_outputs, real, executions[1])
    lines = whole.splitlines()
    assert len(lines) == 100_000
    assert (lines[0][-6:], lines[50_000][-6:], lines[-1][-6:]) == ("000000", "050000", "099999")
    real.saved(path)


async def test_q3_q4_q6_q7_q11(real: RealServer, kernel: dict[str, str]) -> None:
    """Q3, Q4, Q6, Q7, Q11: hashes, twice, errors, cancelled cells, dates in their order."""
    go = Signal(real, "queue")
    # It waits until all are submitted: a kernel is quicker than the server of a busy machine.
    await_all = f"import os, time\nwhile not os.path.exists({str(go.path)!r}): time.sleep(0.01)"
    first = f"{await_all}\nprint('ran')"
    path = real.notebook("queue.ipynb", first, "1/0", "import time; time.sleep(60)", "'other'")
    wrong = {"cell_id": "c1", "expected_sha256": hashlib.sha256(b"1/1").hexdigest()}
    refused = await ask(real, "POST", URL, {"path": path, "cells": ["c0", wrong]})
    assert (refused.status, refused.json["reason"]) == (409, "source_mismatch")
    assert (await ask(real, "GET", f"{URL}?path={path}")).json["executions"] == []
    async with opened(real, path) as tab:
        mine = await submit(
            real, path, ["c0", "c0", "c1", "c2"], kernel=kernel, record_timing=True, client_id="me"
        )
        same = await submit(real, path, ["c3"], kernel=kernel, client_id="me")
        other = await submit(real, path, ["c3"], kernel=kernel, client_id="you")
        go.give()
        ended = [await wait(real, execution) for execution in mine + same + other]
        go.path.unlink()
        assert [e["state"] for e in ended] == [
            "finished",
            "finished",
            "failed",
            "cancelled",
            "cancelled",
            "finished",
        ]
        assert ended[1]["execution_count"] == ended[0]["execution_count"] + 1
        await tab.until(lambda: tab.state("c3") == "finished")
        timing = tab.cell("c0")["metadata"]["execution"]
        dates = [
            timing[key]
            for key in (
                "iopub.status.busy",
                "iopub.execute_input",
                "shell.execute_reply.started",
                "shell.execute_reply",
                "iopub.status.idle",
            )
        ]
        assert dates[0] <= dates[1] <= dates[3] and dates[2] <= dates[3]
        assert dates[0] <= dates[4]
        running, queued = await submit(real, path, ["c2", "c0"], kernel=kernel)
        await tab.until(lambda: tab.state("c2") == "running" and tab.cell("c2")["execution_count"])
        kept = tab.cell("c0")["outputs"]
        assert (await ask(real, "DELETE", f"{URL}/{queued['id']}")).status == 200
        await tab.until(lambda: tab.state("c0") == "cancelled")
        assert tab.cell("c0")["outputs"] == kept
        assert tab.cell("c0")["execution_state"] == "idle"
        await ask(real, "DELETE", f"{URL}?path={path}")
        assert (await wait(real, running))["state"] == "cancelled"


async def test_q13_notebooks_beside_each_other(real: RealServer, kernel: dict[str, str]) -> None:
    """Q13: two kernels run at once (each waits for the other); one kernel's notebooks in turn."""
    folder = real.folder

    def meet(own: str, other: str) -> str:
        return (
            "import os, time\n"
            f"open({str(folder / own)!r}, 'w').close()\n"
            f"while not os.path.exists({str(folder / other)!r}): time.sleep(0.01)\n"
        )

    first = real.notebook("meet_a.ipynb", meet("here_a", "here_b"))
    second = real.notebook("meet_b.ipynb", meet("here_b", "here_a"))
    (a,) = await submit(real, first, kernel=kernel)
    (b,) = await submit(real, second)
    assert a["kernel_id"] != b["kernel_id"]
    assert [(await wait(real, e))["state"] for e in (a, b)] == ["finished"] * 2
    order = "import time; order = globals().setdefault('order', [])\n"
    third = real.notebook("turn_a.ipynb", order + "order.append('a')", order + "order.append('a')")
    fourth = real.notebook("turn_b.ipynb", order + "order.append('b'); order")
    mine = await submit(real, third, kernel=kernel)
    theirs = await submit(real, fourth, kernel=kernel)
    for execution in mine:
        await wait(real, execution)
    last = await wait(real, theirs[0])
    assert last["outputs"][-1]["data"]["text/plain"] == "['a', 'a', 'b']"


async def test_p1_p4_prompts(real: RealServer, kernel: dict[str, str]) -> None:
    """P1, P2, P3, P4: shown to all, also later; answered once; a password is nowhere."""
    source = (
        "import getpass\n"
        "n = input('name? ')\n"
        "import hashlib\n"
        "print(n, hashlib.sha256(getpass.getpass('pw? ').encode()).hexdigest())"
    )
    path = real.notebook("prompts.ipynb", source, "input('again? ')")
    secret = "".join(("hun", "ter", "-2-", "xyz"))
    async with opened(real, path) as early, opened(real, path) as also:
        (execution,) = await submit(real, path, ["c0"], kernel=kernel)
        await early.until(lambda: early.cell("c0")["entry"].get("prompt"))
        await also.until(lambda: also.cell("c0")["entry"].get("prompt"))
        async with opened(real, path) as late:
            prompt = late.cell("c0")["entry"]["prompt"]
            assert prompt == {"prompt": "name? ", "password": False}
        url = f"{URL}/{execution['id']}/input"
        assert (await ask(real, "POST", url, {"value": "Grace"})).status == 200
        await also.until(lambda: "name? Grace\n" in also.text("c0"))
        await also.until(
            lambda: also.cell("c0")["entry"].get("prompt") == {"prompt": "pw? ", "password": True}
        )
        answers = await asyncio.gather(
            *(ask(real, "POST", url, {"value": secret}) for _ in range(2))
        )
        assert sorted(answer.status for answer in answers) == [200, 409]
        ended = await wait(real, execution)
        await early.until(lambda: early.state("c0") == "finished")
        assert hashlib.sha256(secret.encode()).hexdigest() in early.text("c0")
        assert secret not in json.dumps([ended, early.cells(), answers[0].json, answers[1].json])
        assert not any(secret.encode() in update for update in early.updates)
        for _ in range(2):  # P4
            (execution,) = await submit(real, path, ["c1"], kernel=kernel)
            await early.until(lambda: early.cell("c1")["entry"].get("prompt"))
            await ask(real, "DELETE", f"{URL}/{execution['id']}")
            await early.until(lambda: "prompt" not in early.cell("c1")["entry"])
            assert (await wait(real, execution))["state"] == "cancelled"
    assert "prompt" not in json.dumps([cell["metadata"] for cell in real.saved(path)["cells"]])
    holding = [
        file
        for file in real.folder.rglob("*")
        if file.is_file() and "ipython" not in file.parts and secret.encode() in file.read_bytes()
    ]
    assert holding == []
    assert not any(secret in line for line in real.log)


async def test_s2_forgers(real: RealServer, kernel: dict[str, str]) -> None:
    """S2: a page writes states and entries: within a second the truth is back, nothing ran."""
    path = real.notebook("forged.ipynb", "import time; time.sleep(1000)", "forged = True")
    async with opened(real, path) as tab:
        (execution,) = await submit(real, path, ["c0"], kernel=kernel)
        await tab.until(lambda: tab.state("c0") == "running")
        true = tab.cell("c0")["entry"]
        with tab.doc.transaction():
            entries = tab.doc.get("execution", type=Map)
            entries["c1"] = {**true, "id": "forged", "state": "queued"}
            entries["c0"] = {**true, "state": "finished"}
            tab.notebook.ycells[0]["execution_state"] = "idle"
            tab.notebook.ycells[1]["execution_state"] = "running"
        await tab.client.until(
            lambda: (
                tab.cell("c0")["entry"] == true
                and not tab.cell("c1")["entry"]
                and tab.cell("c0")["execution_state"] == "running"
                and tab.cell("c1").get("execution_state") == "idle"
            ),
            timeout=5,
        )
        known = (await ask(real, "GET", f"{URL}?path={path}")).json["executions"]
        assert [e["id"] for e in known] == [execution["id"]]
        await ask(real, "DELETE", f"{URL}/{execution['id']}")
        assert (await wait(real, execution))["state"] == "cancelled"
    body = {"kernel_id": kernel["id"], "code": "'forged' in globals()"}
    answer = await ask(real, "POST", URL, {"path": path, "code": body["code"]})
    told = await wait(real, answer.json["executions"][0])
    assert told["outputs"][0]["data"]["text/plain"] == "False"


async def test_r1_d2_everybody_leaves_and_comes_back(
    real: RealServer, kernel: dict[str, str]
) -> None:
    """R1, D2: all pages close in the middle; later everything is there, once."""
    source = "import time\nfor i in range(30):\n    print(i, flush=True); time.sleep(0.05)"
    path = real.notebook("leave.ipynb", source, "print('second')")
    executions = await submit(real, path, kernel=kernel)
    async with opened(real, path) as tab:
        await tab.until(lambda: "3\n" in tab.text("c0"))
    async with opened(real, path) as tab:
        assert tab.text("c0").startswith("0\n1\n2\n3\n")
        assert (tab.state("c0"), tab.state("c1")) == ("running", "queued")
    ended = [await wait(real, execution) for execution in executions]
    assert [e["state"] for e in ended] == ["finished", "finished"]
    async with opened(real, path) as tab:
        assert tab.text("c0") == "".join(f"{i}\n" for i in range(30))
        assert tab.text("c1") == "second\n"
        assert [c["execution_state"] for c in tab.cells().values()] == ["idle", "idle"]
        assert tab.cell("c0")["execution_count"] == ended[0]["execution_count"]


def test_a1_two_requests_with_one_key_at_once(real: RealServer, kernel: dict[str, str]) -> None:
    """A1: made at the same moment they are one; the cell runs once."""
    path = real.notebook("key.ipynb", "key_runs = globals().get('key_runs', 0) + 1; key_runs")
    body = {"path": path, "cells": ["c0"], "kernel": kernel}
    answers: list[Any] = []

    def post() -> None:
        answers.append(real.ask("POST", URL, body, Idempotency_Key="at-once"))

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} == {202}
    assert len({answer.json["request_id"] for answer in answers}) == 1
    ended = real.wait(answers[0].json["executions"][0])
    assert ended["outputs"][0]["data"]["text/plain"] == "1"


def test_a7_waits_and_stdin(real: RealServer, kernel: dict[str, str]) -> None:
    """A7: a wait that times out answers so far; one that is given up cancels nothing."""
    path = real.notebook("waits.ipynb", "print('so far', flush=True)\ninput()", "input()")
    (execution,) = real.submit(path, ["c0"], kernel=kernel)
    real.until_prompt(execution)
    answer = real.ask("GET", f"{URL}/{execution['id']}?wait=0.2").json
    assert answer["state"] == "waiting_input"
    assert answer["outputs"][0]["text"].startswith("so far\n")
    with pytest.raises(TimeoutError):
        url = f"{URL}/{execution['id']}?wait=20"
        real.raw("GET", url, timeout=0.3)
    real.ask("POST", f"{URL}/{execution['id']}/input", {"value": "x"})
    assert real.wait(execution)["state"] == "finished"
    (failed,) = real.run(path, ["c1"], kernel=kernel, allow_stdin=False)
    assert failed["error"]["ename"] == "StdinNotImplementedError"


def test_q9_tags(real: RealServer, kernel: dict[str, str]) -> None:
    """Q9: a skipped and a blank cell take no count."""
    path = real.notebook("tags.ipynb", "1/0", " \n", "'x'", tags={0: ["skip-execution"]})
    skipped, blank, ran = real.run(path, kernel=kernel)
    assert (skipped["state"], skipped["reason"]) == ("finished", "skipped")
    assert (blank["state"], blank["reason"]) == ("finished", "blank")
    assert ran["state"] == "finished"
    assert kernel_of(real, "warm.ipynb") == kernel["id"]
