"""Server and nanny are gone: what the nanny wrote down is not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from lasting import LastingServer, is_running, lines, printing, text_of

from notebook_exec.kernels.records import left_records
from notebook_exec.nanny.journal import Journal

Make = Callable[..., LastingServer]


def spool_of(server: LastingServer) -> Path:
    (record,) = server.records()
    return Path(record["provisioner"]["nanny"]["spool"])


def has_replied(spool: Path, execution_id: str) -> bool:
    return any(
        record.channel == "shell" and execution_id.encode() in record.frames[3]
        for record in left_records(spool, 0)
    )


def test_r2_k6_what_a_kernel_said_before_its_nanny_died(make: Make) -> None:
    """R2, K6: the cell that ended while there was no server has ended; the next one never began.

    It is read once, and then only the kernel's log is left.
    """
    server = make()
    path = server.notebook("a.ipynb", printing(3000, "time.sleep(0.0005)"), "print('next')")
    first, second = server.submit(path)
    server.until_lines(first, 20)
    spool = spool_of(server)
    (pid,) = server.nanny_pids()
    server.kill()
    server.until(lambda: has_replied(spool, first["id"]))
    os.kill(pid, signal.SIGKILL)
    server.until(lambda: not is_running(pid))
    server.start()
    ended = server.wait(first)
    assert (ended["state"], text_of(ended)) == ("finished", lines(3000))
    never = server.wait(second)
    assert (never["state"], never["reason"]) == ("failed", "kernel_died")
    assert server.kernels() == server.sessions() == []
    (again,) = server.run(path, ["c1"])
    assert (again["state"], text_of(again)) == ("finished", "next\n")
    server.stop()
    assert server.saved(path).cells[0].outputs[0]["text"] == lines(3000)
    server.start()
    assert text_of(server.wait(first)) == lines(3000)
    assert {file.name for file in spool.iterdir()} <= {"kernel-0.log"}


def test_r2_k6_what_a_cell_said_before_its_nanny_died(make: Make) -> None:
    """R2, K6: it is lost, with all of its output that reached the journal."""
    server = make()
    code = printing(100, before="import time") + "\nopen('printed', 'w').close(); time.sleep(1e6)"
    path = server.notebook("a.ipynb", "import time; time.sleep(1)\n" + code)
    (run,) = server.submit(path)
    server.until(lambda: "started_at" in server.ask("GET", f"/api/executions/{run['id']}").json)
    spool = spool_of(server)
    (pid,) = server.nanny_pids()
    server.kill()
    server.until((server.root / "printed").exists)
    server.until(
        lambda: any(b"line 99" in b"".join(record.frames) for record in left_records(spool, 0))
    )
    os.kill(pid, signal.SIGKILL)
    server.until(lambda: not is_running(pid))
    server.start()
    ended = server.wait(run)
    assert (ended["state"], ended["error"]["ename"]) == ("lost", "KernelDied")
    assert text_of(ended) == lines(100)


def test_r2_k7_nobody_came_in_time(make: Make) -> None:
    """R2, K7: what the kernel said until its nanny ended it is there, and why it did."""
    server = make(orphan_timeout=2.0)
    path = server.notebook("a.ipynb", printing(50, "time.sleep(0.01)") + "\ntime.sleep(1e6)")
    (run,) = server.submit(path)
    server.until_lines(run, 3)
    (pid,) = server.nanny_pids()
    server.kill()
    server.until(lambda: not is_running(pid))
    server.start()
    ended = server.wait(run)
    assert (ended["state"], text_of(ended)) == ("lost", lines(50))
    assert "No server came" in "\n".join(ended["error"]["traceback"])


def test_r6_a_damaged_journal_gives_what_is_whole(tmp_path: Path) -> None:
    """R6: a crash of the machine may leave half a record, or nonsense."""
    journal = Journal(str(tmp_path), limit_bytes=2**30, segment_bytes=1)
    for text in (b"a", b"b", b"c"):
        journal.append("iopub", [text])
        journal.flush()
    journal.close(keep=True)
    paths = sorted(tmp_path.iterdir())
    assert [record.frames for record in left_records(tmp_path, 1)] == [[b"b"], [b"c"]]
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    with paths[2].open("ab") as file:
        file.write(b"\0" * 4096)
    found = [record.frames for record in left_records(tmp_path, 0)]
    assert found == [[b"a"], [b"c"]]
    assert list(left_records(tmp_path / "nowhere", 0)) == []
