"""One server, its notebooks and pages, and all that befalls them, by seed."""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from forking import ForkingServer
from lasting import is_running, kernel_pids
from page import Page
from programs import ANSWER, SETUP, Program, random_program
from verdict import Run, judge

CELLS = 5
LIMIT_S = 60.0
STRIKES_WITHIN_S = 5.0
OPEN = ("queued", "running", "waiting_input")
TYPED = "m"

STORE_KEEPS = "The store cannot write, and keeps changes in memory"
STORE_WRITES = "The store can write again"
UNREACHABLE = (OSError, http.client.HTTPException)


class Notebook:
    """A file, the pages that have it open, and the request that runs in it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pages: list[Page] = []
        self.away: list[Page] = []
        self.typed: list[str] = []
        self.runs: list[Run] = []
        self.done_at: dict[str, float] = {}
        """What was done to its kernel, and when."""
        self.submitted_at = 0.0
        self.last_started: dict[str, str] = {}
        """By cell: the execution whose outputs it shows."""

    @property
    def done(self) -> set[str]:
        """What was done since it was submitted, or so shortly before that it strikes only now."""
        since = self.submitted_at - STRIKES_WITHIN_S
        # A restart that the server's death broke off is done only when the next one looks.
        return {
            d for d, at in self.done_at.items() if at > since - 30 * d.endswith(", server killed")
        }

    def note(self, done: str) -> None:
        self.done_at[done] = time.monotonic()


class World:
    """``live`` in it until its server was killed often enough."""

    def __init__(self, server: ForkingServer, seed: int, *, notebooks: int) -> None:
        self.server = server
        self.seed = seed
        self.rng = random.Random(seed)
        self.tally: Counter[str] = Counter()
        self.is_up = asyncio.Event()
        self.story: list[str] = []
        self._keeps_kernels = False
        self._troubles = 0
        self._sources = [f"pass  # {i}" for i in range(CELLS)]
        self.notebooks = [Notebook(self._write(f"{i}.ipynb")) for i in range(notebooks)]
        self._ran = server.folder / "ran.txt"
        self._ran.touch()

    def _write(self, name: str) -> str:
        path = self.server.notebook(name, *self._sources)
        notebook = nbformat.read(self.server.root / path, as_version=4)
        notebook.cells.append(nbformat.v4.new_markdown_cell("", id=TYPED))
        nbformat.write(notebook, self.server.root / path)
        return path

    async def live(self, kills: int) -> None:
        """Rounds of cells, with all that may happen to them, and a check after each."""
        await self._start()
        answering = asyncio.create_task(self._answer())
        try:
            for notebook in self.notebooks:
                await self._open_page(notebook)
            number = 0
            while self.tally["server killed"] < kills:
                await self._round(number)
                number += 1
        finally:
            answering.cancel()
            await asyncio.wait([answering])
            for notebook in self.notebooks:
                for page in notebook.pages:
                    await page.close()

    # --- a round ------------------------------------------------------------------------------

    async def _round(self, number: int) -> None:
        self.story = []
        for index, notebook in enumerate(self.notebooks):
            await self._submit(notebook, f"{number}.{index}")
        for _ in range(self.rng.randrange(4, 14)):
            await asyncio.sleep(self.rng.uniform(0.0, 1.0))
            if not any([await self._is_open(notebook) for notebook in self.notebooks]):
                break
            await self._strike()
        for notebook in self.notebooks:
            await self._until(lambda n=notebook: self._is_over(n), "all is over")
        for notebook in self.notebooks:
            await self._check(notebook)
        # A death that is noticed only in the next round would end cells that nobody struck.
        for notebook in self.notebooks:
            await self._until(lambda n=notebook: self._is_well(n), "kernels are well again")
        self.tally["rounds"] += 1

    async def _submit(self, notebook: Notebook, name: str) -> None:
        programs = [Program(SETUP), *(random_program(self.rng) for _ in range(CELLS - 1))]
        cells, tags = [], []
        for index, program in enumerate(programs):
            tag = f"{name}.{index}"
            note = f"with open({str(self._ran)!r}, 'a') as ran: ran.write('{tag}\\n')\n"
            cells.append({"cell_id": f"c{index}", "source": note + program.source})
            tags.append(tag)
        notebook.submitted_at = time.monotonic()
        for page in (*notebook.pages, *notebook.away):
            page.forgives = False
        executions = await asyncio.to_thread(self.server.submit, notebook.path, cells)
        notebook.runs = [
            Run(program, tag, execution["cell_id"], execution["id"], body=execution)
            for program, tag, execution in zip(programs, tags, executions, strict=True)
        ]
        self.tally["cells"] += len(cells)

    async def _get(self, execution_id: str) -> dict[str, Any]:
        answer = await asyncio.to_thread(self.server.ask, "GET", f"/api/executions/{execution_id}")
        assert answer.status == 200, answer.body
        body: dict[str, Any] = answer.json
        return body

    async def _is_open(self, notebook: Notebook) -> bool:
        return (await self._get(notebook.runs[-1].execution_id))["state"] in OPEN

    async def _is_over(self, notebook: Notebook) -> bool:
        for run in notebook.runs:
            run.body = await self._get(run.execution_id)
            if run.body["state"] in OPEN:
                return False
        return True

    async def _is_well(self, notebook: Notebook) -> bool:
        """Its kernel is gone, and known to be, or it answers."""
        kernel_id = await self._kernel_of(notebook)
        if kernel_id is None:
            return True
        url = f"/api/kernels/{kernel_id}/status"
        status = await asyncio.to_thread(self.server.raw, "GET", url)
        return status.status == 200 and status.json["state"] == "idle"

    async def _answer(self) -> None:
        """Whatever asks is answered, as soon as the server can be reached."""
        while True:
            await self.is_up.wait()
            await asyncio.sleep(0.05)
            try:
                await asyncio.to_thread(self._answer_all)
            except UNREACHABLE:
                continue

    def _answer_all(self) -> None:
        waiting = self.server.ask("GET", "/api/executions?state=waiting_input").json
        for execution in waiting["executions"]:
            url = f"/api/executions/{execution['id']}/input"
            answer = self.server.ask("POST", url, {"value": ANSWER})
            assert answer.status in (200, 409), answer.body  # 409: answered, or over, just now

    # --- what befalls -------------------------------------------------------------------------

    async def _strike(self) -> None:
        notebook = self.rng.choice(self.notebooks)
        strikes: list[tuple[int, str, Callable[[], Any]]] = [
            (60, "server killed", self._kill),
            (4, "server stopped, kernels kept", lambda: self._stop(keeps=True)),
            (3, "server stopped", lambda: self._stop(keeps=False)),
            (4, "kernel killed", lambda: self._kill_kernel(notebook)),
            (4, "nanny killed", lambda: self._kill_nanny(notebook)),
            (4, "kernel restarted", lambda: self._restart(notebook)),
            (6, "disk full", self._fill_disk),
            (6, "page comes or goes", lambda: self._page_moves(notebook)),
            (6, "typed", lambda: self._type(notebook)),
        ]
        weights = [weight for weight, _, _ in strikes]
        _, name, strike = self.rng.choices(strikes, weights)[0]
        if self.rng.random() < 0.3:
            await self._type(notebook)
        self.story.append(f"{name} ({notebook.path})")
        await strike()
        if name not in ("server killed", "kernel restarted"):
            self.tally[name] += 1

    async def _start(self) -> None:
        self._keeps_kernels = self.rng.random() < 0.5
        option = f"--NotebookExecApp.keep_kernels={self._keeps_kernels}"
        await asyncio.to_thread(self.server.start, option)
        self.is_up.set()

    async def _down(self, how: signal.Signals) -> None:
        self.is_up.clear()
        code = await asyncio.to_thread(self.server.stop, how)
        assert code == (-how if how == signal.SIGKILL else 0), "".join(self.server.log[-200:])
        troubles = [line for line in self.server.log if STORE_KEEPS in line or STORE_WRITES in line]
        if troubles and STORE_KEEPS in troubles[-1] and self._is_new_trouble(len(troubles)):
            self.story.append("it had changes in memory")
            self.tally["server killed while its disk was full"] += 1
            for notebook in self.notebooks:
                for page in (*notebook.pages, *notebook.away):
                    page.forgives = True

    def _is_new_trouble(self, number: int) -> bool:
        """Not one of a server before."""
        before, self._troubles = self._troubles, number
        return number > before

    async def _kill(self) -> None:
        await self._down(signal.SIGKILL)
        self.tally["server killed"] += 1
        if self.rng.random() < 0.3:
            await asyncio.sleep(self.rng.uniform(0.0, 1.5))
        if self.rng.random() < 0.08:
            notebook = self.rng.choice(self.notebooks)
            strike = self.rng.choice([self._kill_kernel, self._kill_nanny])
            self.story.append(f"while it was down, {strike.__name__} ({notebook.path})")
            await strike(notebook)
        await self._start()

    async def _stop(self, *, keeps: bool) -> None:
        if self._keeps_kernels != keeps:
            await self._kill()
            return
        if not keeps:
            for notebook in self.notebooks:
                notebook.note("server stopped")
        await self._down(signal.SIGTERM)
        await self._start()

    async def _kill_kernel(self, notebook: Notebook) -> None:
        for nanny in self._nannies(notebook):
            for pid in kernel_pids(nanny):
                notebook.note("kernel killed")
                os.kill(pid, signal.SIGKILL)

    async def _kill_nanny(self, notebook: Notebook) -> None:
        for nanny in self._nannies(notebook):
            kernels = kernel_pids(nanny)
            notebook.note("nanny killed")
            os.kill(nanny, signal.SIGKILL)
            await self._until(lambda k=kernels: _none_runs(k), "no kernel is orphaned (K6)")

    async def _restart(self, notebook: Notebook) -> None:
        kernel_id = await self._kernel_of(notebook)
        if kernel_id is None:
            return
        how = self.rng.choice(["restart", "hard-restart"])
        self.tally[how] += 1
        others = bool(notebook.done)
        kills = self.rng.random() < 0.3
        self.story.append(f"{how}, server killed" if kills else how)
        ed = how.replace("restart", "restarted")
        notebook.note(f"{ed}, server killed" if kills else "restarted")
        url = f"/api/kernels/{kernel_id}/{how}"
        asked = asyncio.create_task(asyncio.to_thread(self._post, url))
        if kills:
            await asyncio.sleep(self.rng.uniform(0.0, 0.3))
            await self._kill()
        status = await asked
        if not kills and not others:
            assert status in (200, 202), (how, status, self.story)

    def _post(self, url: str) -> int:
        try:
            return self.server.raw("POST", url).status
        except UNREACHABLE:
            return 0

    async def _fill_disk(self) -> None:
        """No file can be written by the server nor by nannies, for a while or until it dies."""
        for notebook in self.notebooks:
            if await self._kernel_of(notebook) is None:
                return  # without its files no kernel can start, and its cells say so
        limited = [self.server.pid, *self._nannies()]
        for pid in limited:
            _limit_files(pid, 0)
        try:
            await asyncio.sleep(self.rng.uniform(0.1, 1.5))
            if self.rng.random() < 0.2:
                self.story.append("killed while the disk is full")
                await self._down(signal.SIGKILL)
                self.tally["server killed"] += 1
        finally:
            # Who was started meanwhile came with the limit.
            come = self._nannies()
            for nanny in filter(is_running, tuple(come)):
                come += kernel_pids(nanny)
            for pid in filter(is_running, {*limited, *come}):
                _limit_files(pid, resource.RLIM_INFINITY)
        if not self.is_up.is_set():
            await self._start()

    async def _page_moves(self, notebook: Notebook) -> None:
        if notebook.away and self.rng.random() < 0.5:
            page = notebook.away.pop()
            page.open()
            notebook.pages.append(page)
        elif len(notebook.pages) < 3 and self.rng.random() < 0.6:
            await self._open_page(notebook)
        elif len(notebook.pages) > 1:
            page = notebook.pages.pop()  # never the first, which stays
            await page.close()
            notebook.away.append(page)

    async def _open_page(self, notebook: Notebook) -> None:
        page = Page(self.server, notebook.path, self.is_up)
        await asyncio.to_thread(page.find)
        page.open()
        notebook.pages.append(page)

    async def _type(self, notebook: Notebook) -> None:
        page = self.rng.choice(notebook.pages)
        text = f"<{len(notebook.typed)}>"
        if page.type(TYPED, text):
            notebook.typed.append(text)

    # --- looking ------------------------------------------------------------------------------

    def _nannies(self, notebook: Notebook | None = None) -> list[int]:
        """The processes, of all kernels or of one notebook's."""
        mark = f"JUPYTER_DATA_DIR={self.server.folder / 'data'}".encode()
        kernel_ids = None
        if notebook is not None:
            kernel_ids = {run.body.get("kernel_id") for run in notebook.runs}
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"notebook_exec.nanny" not in words:
                    continue
                if mark not in (entry / "environ").read_bytes().split(b"\0"):
                    continue
            except OSError:
                continue
            spool = Path(words[-2].decode()).parent.name
            if kernel_ids is None or any(k and spool.startswith(k) for k in kernel_ids):
                found.append(int(entry.name))
        return found

    async def _kernel_of(self, notebook: Notebook) -> str | None:
        for session in (await asyncio.to_thread(self.server.raw, "GET", "/api/sessions")).json:
            if session["path"] == notebook.path:
                return str(session["kernel"]["id"])
        return None

    async def _until(self, is_true: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not await is_true():
            await asyncio.sleep(0.02)
            if time.monotonic() < deadline:
                continue
            states = [[(r.tag, r.body.get("state")) for r in n.runs] for n in self.notebooks]
            log = "".join(self.server.log[-80:])
            raise AssertionError(f"{what}: {self._where()}: {states}\n{log}")

    def _troubles_told(self) -> list[str]:
        """What servers logged that is more than news, the last of it."""
        return [line for line in self.server.log if not line.startswith("[I ")][-100:]

    def _where(self) -> str:
        done = [f"{n.path}: {sorted(n.done)}" for n in self.notebooks]
        return f"seed {self.seed}, {dict(self.tally)}, story {self.story}, done {done}"

    # --- the check ----------------------------------------------------------------------------

    async def _check(self, notebook: Notebook) -> None:
        fresh = Page(self.server, notebook.path, self.is_up)
        await asyncio.to_thread(fresh.find)
        fresh.open()
        try:
            await fresh.until_synced()
            for page in notebook.pages:
                await page.until_synced()
            await self._until(lambda: _all_same([fresh, *notebook.pages]), "pages converge")
            wrong = self._wrong(notebook, fresh)
            wrong += await self._wrong_kernels(notebook)
            assert not wrong, "\n".join([*self._troubles_told(), self._where(), *wrong])
            await self._until(lambda: self._is_saved(notebook, fresh), "the file is saved")
        finally:
            await fresh.close()

    def _wrong(self, notebook: Notebook, fresh: Page) -> list[str]:
        times_run = Counter(self._ran.read_text().split())
        for page in (*notebook.pages, *notebook.away):
            page.look()
        for run in notebook.runs:
            pages = (*notebook.pages, *notebook.away)
            run.looks = [page.looks.pop(run.execution_id, []) for page in pages]
        wrong = judge(notebook.runs, notebook.done, times_run)
        entries, cells = fresh.entries(), fresh.cells()
        for run in notebook.runs:
            cell, entry, state = cells[run.cell_id], entries[run.cell_id], run.body["state"]
            if run.body.get("started_at") or state == "failed":
                notebook.last_started[run.cell_id] = run.execution_id
            if (entry["id"], entry["state"]) != (run.execution_id, state) or "prompt" in entry:
                wrong.append(f"{run.tag}: {state}, but its cell says {entry}")
            if cell["execution_state"] != "idle":
                wrong.append(f"{run.tag}: its cell is {cell['execution_state']}")
            is_shown = notebook.last_started.get(run.cell_id) == run.execution_id
            if is_shown and cell["outputs"] != run.body["outputs"]:
                wrong.append(f"{run.tag}: its cell shows {str(cell['outputs'])[-500:]}")
        found = typed_in(cells)
        # What a page has not got rid of before it went comes when the page comes back.
        away = {text for page in notebook.away for text in typed_in(page.cells())}
        expected = [text for text in notebook.typed if text in found or text not in away]
        if sorted(found) != sorted(expected):
            wrong.append(f"typed {notebook.typed}, and found {found}")
        if list(cells) != [*(f"c{i}" for i in range(CELLS)), TYPED]:
            wrong.append(f"cells are {list(cells)}")
        return wrong

    async def _wrong_kernels(self, notebook: Notebook) -> list[str]:
        listed = await asyncio.to_thread(
            self.server.ask, "GET", f"/api/executions?path={notebook.path}"
        )
        wrong = [
            f"{e['id']} is {e['state']}" for e in listed.json["executions"] if e["state"] in OPEN
        ]
        return wrong

    async def _is_saved(self, notebook: Notebook, fresh: Page) -> bool:
        saved = nbformat.read(self.server.root / notebook.path, as_version=4)
        nbformat.validate(saved)
        shown = fresh.cells()
        return all(
            cell.source == shown[cell.id]["source"]
            and _plain(cell.get("outputs")) == _plain(shown[cell.id].get("outputs"))
            for cell in saved.cells
        )


def _plain(outputs: Any) -> Any:
    return [dict(output) for output in outputs or ()]


async def _none_runs(pids: list[int]) -> bool:
    return not any(map(is_running, pids))


async def _all_same(pages: list[Page]) -> bool:
    first = pages[0]
    return all(
        page.cells() == first.cells() and page.entries() == first.entries() for page in pages
    )


def typed_in(cells: dict[str, Any]) -> list[str]:
    """What users typed, piece by piece."""
    text: str = cells[TYPED]["source"] if TYPED in cells else ""
    return text.replace("><", "> <").split()


def _limit_files(pid: int, size: int) -> None:
    try:
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size if size >= 0 else most, most))
    except ProcessLookupError:
        pass
