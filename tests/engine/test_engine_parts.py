"""Small parts of the engine: history, logs, locks, the projection, hashes, messages as events."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_ledger import execution

from notebook_exec.core.model import (
    Execution,
    ExecutionError,
    ExecutionId,
    ExecutionState,
    KernelMessage,
    Output,
    Prompt,
    Reason,
    User,
)
from notebook_exec.core.scheduler_events import ExecuteInput, InputRequested, Replied
from notebook_exec.engine.history import OutputHistory
from notebook_exec.engine.keyed_locks import KeyedLocks
from notebook_exec.engine.logs import CHUNK_BYTES, OutputLogs
from notebook_exec.engine.projection import cell_state, entry, iso, shown_of
from notebook_exec.engine.source_hash import murmur2_decimal, sha256_hex
from notebook_exec.engine.translate import to_event

QUEUED, RUNNING = ExecutionState.QUEUED, ExecutionState.RUNNING
WAITING, FINISHED = ExecutionState.WAITING_INPUT, ExecutionState.FINISHED


def text(value: str) -> Output:
    return {"output_type": "stream", "name": "stdout", "text": value}


# --- history --------------------------------------------------------------------------------


def test_a2_history_is_bounded() -> None:
    """A2: the oldest go first, one that is too large alone is not kept, a new value replaces."""
    history = OutputHistory(limit_bytes=10_000)
    for number in range(5):
        history.keep(ExecutionId(str(number)), [text("x" * 3000)])
    kept = [number for number in range(5) if history.get(ExecutionId(str(number))) is not None]
    assert kept in ([3, 4], [2, 3, 4])
    history.keep(ExecutionId("4"), [text("new")])
    assert history.get(ExecutionId("4")) == [text("new")]
    history.keep(ExecutionId("large"), [text("x" * 20_000)])
    assert history.get(ExecutionId("large")) is None
    assert history.get(ExecutionId("4")) == [text("new")]
    for number in range(5):
        history.drop(ExecutionId(str(number)))
        history.drop(ExecutionId(str(number)))
    assert history._bytes == 0


# --- logs -----------------------------------------------------------------------------------


async def whole(logs: OutputLogs, name: str) -> bytes:
    return b"".join([chunk async for chunk in logs.read(ExecutionId(name))])


async def test_o15_a_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    """O15: in order, for its owner alone, and the next server appends to it."""
    name = ExecutionId("e")
    logs = OutputLogs(tmp_path / "outputs", limit_bytes=10**6)
    assert not logs.has(name)
    logs.append(name, [])
    for number in range(50):
        logs.append(name, [text(f"{number}\n")])
    lines = (await whole(logs, "e")).splitlines()
    assert [json.loads(line)["text"] for line in lines] == [f"{n}\n" for n in range(50)]
    (file,) = (tmp_path / "outputs").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    await logs.close()
    again = OutputLogs(tmp_path / "outputs", limit_bytes=10**6)
    assert again.has(name)
    again.append(name, [text("more\n")])
    assert (await whole(again, "e")).endswith(b'"more\\n"}\n')
    again.discard([name])
    await again.close()
    assert not again.has(name)


async def test_o15_a_full_log_says_so_once(tmp_path: Path) -> None:
    """O15: it is cut at a whole line, and stays as it is."""
    logs = OutputLogs(tmp_path, limit_bytes=1000)
    for _ in range(100):
        logs.append(ExecutionId("e"), [text("x" * 50)])
    lines = (await whole(logs, "e")).splitlines()
    outputs = [json.loads(line) for line in lines]
    assert "limited to 1,000 bytes" in outputs[-1]["text"]
    assert all(output["text"] == "x" * 50 for output in outputs[:-1])
    assert 5 < len(outputs) < 20
    await logs.close()


async def test_o15_a_log_is_read_in_whole_lines(tmp_path: Path) -> None:
    """O15: also where lines are longer than what is read at once."""
    logs = OutputLogs(tmp_path, limit_bytes=10**8)
    for size in (10, 3 * CHUNK_BYTES, 100, CHUNK_BYTES, CHUNK_BYTES - 50, 7):
        logs.append(ExecutionId("e"), [text("x" * size)])
    chunks = [chunk async for chunk in logs.read(ExecutionId("e"))]
    assert len(chunks) > 1
    for chunk in chunks:
        assert [json.loads(line) for line in chunk.splitlines()]
        assert chunk.endswith(b"\n")
    assert b"".join(chunks) == (tmp_path / "e.jsonl").read_bytes()
    await logs.close()


# --- locks ----------------------------------------------------------------------------------


async def test_a1_locks_by_name_leave_nothing() -> None:
    """A1: one at a time for a name, others beside it, nothing kept, whatever ends the holders."""
    locks = KeyedLocks()
    inside: list[str] = []
    most: dict[str, int] = {}

    async def hold(name: str, *, fails: bool = False) -> None:
        async with locks.lock(name):
            inside.append(name)
            most[name] = max(most.get(name, 0), inside.count(name))
            assert len(set(inside)) <= 2
            for _ in range(3):
                await asyncio.sleep(0)
            inside.remove(name)
            if fails:
                raise ValueError

    waiting = asyncio.ensure_future(hold("a"))
    tasks = [asyncio.ensure_future(hold("ab"[n % 2], fails=n % 3 == 0)) for n in range(10)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    await asyncio.gather(waiting, *tasks, return_exceptions=True)
    assert most == {"a": 1, "b": 1}
    assert locks._locks == {}


# --- projection -----------------------------------------------------------------------------


def test_u2_entry_of_a_run() -> None:
    """U2, Q12: the map's value has state, who and when, and of an error no traceback."""
    ended = replace(
        execution("e", ExecutionState.FAILED),
        queued_at=0.0,
        started_at=1.5,
        ended_at=86_400.0,
        reason=Reason.INTERRUPTED,
        ended_by=User("bob", "Bob"),
        error=ExecutionError("E", "bad", ("secret line",)),
    )
    shown = entry(ended)
    assert (shown["state"], shown["reason"]) == ("failed", "interrupted")
    assert shown["started_at"] == "1970-01-01T00:00:01.500Z"
    assert shown["ended_at"] == iso(86_400) == "1970-01-02T00:00:00.000Z"
    assert shown["requested_by"]["display_name"] == "Ada"
    assert shown["ended_by"]["username"] == "bob"
    assert shown["error"] == {"ename": "E", "evalue": "bad"}
    assert "prompt" not in shown
    json.dumps(shown)


@pytest.mark.parametrize(
    ("states", "index"),
    [
        ([FINISHED], 0),
        ([FINISHED, RUNNING, QUEUED], 1),
        ([QUEUED, WAITING, QUEUED], 1),
        ([FINISHED, QUEUED, QUEUED], 1),
        ([ExecutionState.CANCELLED, FINISHED], 1),
    ],
)
def test_q4_which_run_a_cell_shows(states: list[ExecutionState], index: int) -> None:
    """Q4, Q5: what runs, else the next, else the last; busy as long as one is not over."""
    runs: list[Execution] = [execution(f"e{n}", state) for n, state in enumerate(states)]
    shown = shown_of(runs)
    assert shown is runs[index]
    assert cell_state(shown) == ("idle" if shown.state.is_final else "running")


# --- hashes ---------------------------------------------------------------------------------


def test_q3_hashes_of_sources() -> None:
    """Q3: SHA-256 of UTF-8; murmur2 as the front end of jupyter-server-documents has it."""
    assert sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_hex("é") == sha256_hex("é") != sha256_hex("e")
    assert murmur2_decimal("1 + 1") == "3531899427"
    assert len({murmur2_decimal("abcde"[:n]) for n in range(6)}) == 6
    sha256_hex("\ud800"), murmur2_decimal("\ud800")  # what no encoding holds has a hash too


# --- messages -------------------------------------------------------------------------------


def message(channel: str, msg_type: str, **content: object) -> KernelMessage:
    return KernelMessage(channel, msg_type, "e", content, {"started": 5}, "a date")


def test_o14_fields_of_a_wrong_type_count_as_missing() -> None:
    """O14: no event holds what its type does not say, or what no encoding holds."""
    replied = to_event(message("shell", "execute_reply", status=["error"], execution_count="7"))
    assert replied == Replied(ExecutionId("e"), "ok", None, None, "a date", None)
    assert to_event(message("iopub", "execute_input", execution_count=True)) == ExecuteInput(
        ExecutionId("e"), None, "a date"
    )
    asked = to_event(message("stdin", "input_request", prompt="\ud800", password="yes"))
    assert asked == InputRequested(ExecutionId("e"), Prompt("\N{REPLACEMENT CHARACTER}", False))
    failed = to_event(
        message("shell", "execute_reply", status="error", ename=3, traceback=["\udfff", 4])
    )
    assert isinstance(failed, Replied) and failed.error is not None
    assert failed.error == ExecutionError("Error", "", ("\N{REPLACEMENT CHARACTER}",))


@pytest.mark.parametrize(
    "given",
    [
        message("iopub", "status", execution_state="starting"),
        message("iopub", "status", execution_state=None),
        message("iopub", "execute_reply", status="ok"),
        message("shell", "input_request", prompt="x"),
        message("iopub", "stream", text="x"),
        message("control", "interrupt_reply"),
    ],
)
def test_o14_the_rest_is_no_event(given: KernelMessage) -> None:
    """O14: also the right message on a wrong channel."""
    assert to_event(given) is None
