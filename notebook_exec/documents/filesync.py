"""One document's agreement with its file: when to save, and what to take from the disk.

A task of its own looks at the file every ``poll_s`` and saves ``save_delay_s`` after the first
unsaved change. All that is done with the file is done by this task, one thing at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

from notebook_exec.core.model import (
    CellId,
    Json,
    NotebookExecError,
    NotFound,
)
from notebook_exec.documents.agreement import (
    FileAgreement,
    Notice,
    SyncHost,
    SyncSettings,
    name_beside,
    split_id,
)
from notebook_exec.documents.apply import Merge, plan_for
from notebook_exec.documents.digests import (
    Digest,
    digest_from_json,
    digest_to_json,
    digests_of,
    same_digests,
    trust_of,
)
from notebook_exec.documents.files import FileContent, Files, FileStat, SaveFailed, Written
from notebook_exec.documents.load import has_crlf, prepare
from notebook_exec.documents.merge import Version
from notebook_exec.documents.room import Room
from notebook_exec.documents.serialize import Snapshot, reader_of

__all__ = ["FileAgreement", "FileSync", "SyncHost", "SyncSettings"]

log = logging.getLogger(__name__)

_FAILURES = 4
"""How many saves are put off while the store cannot write (R7); then the file is worth more."""
_TRIES = 4
"""How often a merge is planned in a thread; a document that never rests is then planned at once."""


class FileSync:
    """Keeps one document and its file together."""

    def __init__(
        self,
        room: Room,
        files: Files,
        host: SyncHost,
        settings: SyncSettings,
        *,
        path: str,
        session: str,
        agreed: FileAgreement | None,
    ) -> None:
        self.path = path
        self.is_missing = False
        self._room = room
        self._files = files
        self._host = host
        self._settings = settings
        self._session = session
        self._format, self._type, self._file_id = split_id(room.document_id)
        # the agreement
        self._hash = agreed.hash if agreed else ""
        self._digests = digest_from_json(agreed.digests) if agreed else None
        self._saving = digest_from_json(agreed.saving) if agreed else None
        self._trust: list[bool] | None = None
        self._stat: FileStat | None = None
        self._has_crlf = False
        # what is unsaved, and since when
        self._changes = 0
        self._saved = 0
        self._first_change = 0.0
        self._not_before = 0.0
        self._failures = 0
        self._complaint = ""
        self._waiters: list[asyncio.Future[None]] = []
        # the task
        self._next_look = 0.0
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._reader = reader_of(room.ydocument, self._changed)
        room.on_unseen.append(self._reader.forget)

    @property
    def is_dirty(self) -> bool:
        """Whether the document holds something that the file does not."""
        return self._changes != self._saved

    # --- its life ---

    async def start(self, read: FileContent | None = None) -> None:
        """Takes over what the file has that the document has not, then watches and saves.

        ``read``: what the document was just made of. Raises NotFound or InvalidInput if the file
        cannot be read.
        """
        if read is not None:
            await self._agree_on(read)
        else:
            self._changed()  # the store may be ahead of the file (D7)
            await self._take_from_disk(self.path)
        self._show(
            {
                "path": self.path,
                "file_id": self._file_id,
                "document_id": self._room.document_id,
                "hash": self._hash,
                "dirty": False,
            },
            agreed=True,
        )
        self._next_look = self._now() + self._settings.poll_s
        self._task = asyncio.create_task(self._run())

    async def save(self) -> None:
        """Returns when all that is in the document by now is in the file. NotFound, SaveFailed."""
        if self._task is None or self._closing:
            raise SaveFailed(f"{self.path} is being closed.")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wake.set()
        await waiter

    async def close(self) -> None:
        """Saves what is unsaved, if the file can be written, and stops."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.shield(self._task)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(SaveFailed(f"{self.path} is being closed."))
        self._waiters = []
        self._reader.close()

    async def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._closing
            await self._sleep()
            try:
                if self._is_due():
                    await self._save_for_waiters()
                elif self._now() >= self._next_look:
                    await self._look()
            except Exception as error:  # root of the task: whatever happens, it goes on watching
                self._complain(error)

    async def _sleep(self) -> None:
        if self._closing or self._waiters:
            return
        due = self._next_look
        if self.is_dirty and not self.is_missing:
            due = min(due, self._save_at())
        self._wake.clear()
        delay = due - self._now()
        if delay > 0:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), delay)

    def _is_due(self) -> bool:
        if self._waiters or (self._closing and self.is_dirty):
            return True
        return self.is_dirty and not self.is_missing and self._now() >= self._save_at()

    def _save_at(self) -> float:
        return max(self._first_change + self._settings.save_delay_s, self._not_before)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _changed(self) -> None:
        """Called in the transaction of every change that a save must hold."""
        if not self.is_dirty:
            self._first_change = self._now()
            self._wake.set()
        self._changes += 1

    # --- saving ---

    async def _save_for_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        started = self._now()
        try:
            await self._save()
        except Exception as error:  # told to those who asked, and then to everyone
            self._failures += 1
            pause = self._settings.save_delay_s * 2**self._failures
            self._not_before = self._now() + min(pause, self._settings.retry_s)
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(error)
            raise
        # A save that takes long leaves as much time to everything else (D3 holds up to there).
        self._not_before = 2 * self._now() - started
        self._failures = 0
        self._all_well()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _save(self) -> None:
        path = self._locate()
        stat = await self._stat_or_missing(path)
        if not stat.same_as(self._stat):
            await self._take_from_disk(path)
        version, first_change = self._changes, self._now()
        snapshot = await self._reader.read()
        content, digests = await self._files.run(lambda: (snapshot.content(), snapshot.digests()))
        trust = trust_of(content)
        if same_digests(digests, self._digests) and trust == self._trust:
            self._saved, self._first_change = version, first_change
            self._tell_saved()
            return
        if self._has_crlf and isinstance(content, str):
            content = content.replace("\n", "\r\n")
        if not await self._announce(digests) and self._failures < _FAILURES and not self._closing:
            # A file that is ahead of the store is another program's to the next server.
            raise SaveFailed(
                f"{path} is not saved yet: the server cannot write to its state folder."
            )
        written = await self._files.save(
            path, format=self._format, type=self._type, content=content
        )
        await self._remove_stray(path, written)
        self._hash, self._digests, self._trust = written.hash or "", digests, trust
        self._saving = None
        self._stat = written.stat if written.hash is not None else None
        self._saved, self._first_change = version, first_change
        if written.message:
            log.warning("%s: %s", path, written.message)
        self._tell_saved()

    async def _announce(self, digests: Digest) -> bool:
        """Have it stored what is about to be written: the server may be killed right after.

        Whether that, and all that the document holds, is stored.
        """
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def resolve(durable: bool) -> None:
            if not stored.done():
                stored.set_result(durable)

        self._saving = digests
        with self._room.transact(self._agreement(), resolve):
            pass  # nothing changes in the document
        return await stored

    async def _remove_stray(self, path: str, written: Written) -> None:
        """Takes away what a save made at the old path while the file was moved (D6)."""
        now_at = self._files.path(self._file_id)
        if now_at is None or now_at == path:
            return
        moved, stray = now_at, path
        with contextlib.suppress(NotFound):
            await self._files.stat(moved)
            read = await self._files.get(stray, format=self._format, type=self._type)
            if read.hash == written.hash:
                await self._files.delete(stray)
        raise SaveFailed(f"{path} was moved to {now_at} during a save; it is saved there next.")

    def _tell_saved(self) -> None:
        values: dict[str, Json] = {"hash": self._hash}
        if not self.is_dirty:
            values["dirty"] = False
        self._show(values, agreed=True)
        if not self.is_dirty:
            self._host.settled()

    # --- looking at the file ---

    async def _look(self) -> None:
        self._next_look = self._now() + self._settings.poll_s
        try:
            path = self._locate()
            stat = await self._stat_or_missing(path)
        except NotFound:
            return
        if not stat.same_as(self._stat):
            await self._take_from_disk(path)
            self._all_well()

    def _locate(self) -> str:
        """Where the file is now; follows it if it was moved (D6). NotFound."""
        path = self._files.path(self._file_id)
        if path is None:
            raise self._lost()
        if path != self.path:
            self.path = path
            self._show({"path": path}, agreed=True)
        return path

    async def _stat_or_missing(self, path: str) -> FileStat:
        try:
            stat = await self._files.stat(path)
        except NotFound:
            raise self._lost() from None
        if self.is_missing:
            self.is_missing = False
            self._stat = None
            self._show({"file_missing": False})
            self._host.notice(Notice(f"{path} is back.", "missing", is_over=True))
        return stat

    def _lost(self) -> NotFound:
        """The file is gone: nothing makes it again but someone who wants it (D6)."""
        if not self.is_missing:
            self.is_missing = True
            self._show({"file_missing": True})
            text = (
                f"{self.path} was deleted or moved out of reach. The document is kept, not saved."
            )
            self._host.notice(Notice(text, "missing"))
            self._host.settled()
        return NotFound(f"There is no file {self.path!r}.", field="path")

    # --- taking over what others wrote into the file (D5) ---

    async def _take_from_disk(self, path: str) -> None:
        """Merges the file into the document, unless it is still what they agreed on."""
        read = await self._files.get(path, format=self._format, type=self._type)
        if read.hash != self._hash and not await self._is_own_save(read):
            await self._merge(path, read)
        elif self._trust is None:
            await self._agree_on(read)
        self._stat = read.stat

    async def _is_own_save(self, read: FileContent) -> bool:
        """Whether a save made the file, of which nobody came to note that it was done."""
        if self._saving is None:
            return False
        content = prepare(read.content, self._type, self.path)
        if not same_digests(await self._files.run(digests_of, content), self._saving):
            return False
        self._saving = None
        await self._agree_on(read)
        self._show({"hash": self._hash}, agreed=True)
        return True

    async def _agree_on(self, read: FileContent) -> None:
        """The document holds what was read."""
        content = prepare(read.content, self._type, self.path)
        self._digests = await self._files.run(digests_of, content)
        self._trust = trust_of(content)
        self._stat, self._hash = read.stat, read.hash
        self._has_crlf = has_crlf(read.content)

    async def _merge(self, path: str, read: FileContent) -> None:
        content = prepare(read.content, self._type, path)
        theirs = Version(content, await self._files.run(digests_of, content))
        beside = name_beside(path, time.time())
        for _ in range(_TRIES):
            changes = self._changes
            snapshot = await self._reader.read()
            running = self._running(snapshot)
            merge = await self._files.run(self._plan, snapshot, theirs, running)
            if merge.overruled:
                await self._keep(beside, merge)
            if changes == self._changes:
                self._apply(merge, path, read, theirs)
                break
        else:  # the document does not rest, so one turn of the loop has to do
            snapshot = self._reader.read_now()
            merge = self._plan(snapshot, theirs, self._running(snapshot))
            self._apply(merge, path, read, theirs)
            if merge.overruled:
                await self._keep(beside, merge)
        if merge.overruled:
            text = (
                f"{path} was changed by another program, and so was the document. The file's "
                f"version is shown; the document's is kept in {beside}."
            )
            self._host.notice(Notice(text))

    def _running(self, snapshot: Snapshot) -> set[str]:
        return {c for c in snapshot.cell_ids() if self._host.is_running(CellId(c))}

    def _plan(self, snapshot: Snapshot, theirs: Version, running: set[str]) -> Merge:
        ours = Version(snapshot.content(), snapshot.digests())
        return plan_for(self._room.ydocument, self._digests, ours, theirs, running)

    def _apply(self, merge: Merge, path: str, read: FileContent, theirs: Version) -> None:
        """Document and agreement change in one transaction."""
        self._hash, self._digests = read.hash, theirs.digests
        self._trust, self._has_crlf = trust_of(theirs.content), has_crlf(read.content)
        with self._room.transact(self._agreement()):
            merge.apply()
            self._room.ydocument.ystate["hash"] = self._hash

    async def _keep(self, beside: str, merge: Merge) -> None:
        """Writes the document's own version beside the file before it gives way."""
        await self._files.save(beside, format=self._format, type=self._type, content=merge.ours)

    # --- telling ---

    def _agreement(self) -> Sequence[object]:
        agreement = FileAgreement(
            self._room.document_id,
            self.path,
            self._hash,
            digest_to_json(self._digests),
            self._session,
            digest_to_json(self._saving),
        )
        return self._host.store(agreement)

    def _show(self, values: dict[str, Json], *, agreed: bool = False) -> None:
        """Writes into the document's state, which front ends read."""
        state = self._room.ydocument.ystate
        # "dirty" is written even if it is False already: pages set theirs by themselves.
        new = {k: v for k, v in values.items() if k == "dirty" or state.get(k) != v}
        if new:
            with self._room.transact(self._agreement() if agreed else ()):
                for key, value in new.items():
                    state[key] = value

    def _complain(self, error: Exception) -> None:
        """Says once what hinders; the next that it says is something else, or that it is over."""
        if isinstance(error, NotebookExecError):
            text = error.message
        else:
            log.error("%s: %s", self.path, error, exc_info=error)
            text = f"{self.path}: {error}"
        if self.is_missing or text == self._complaint:
            return
        self._complaint = text
        log.warning("%s", text)
        self._host.notice(Notice(f"{text} Nothing is lost: it is tried again.", "saving"))

    def _all_well(self) -> None:
        if self._complaint:
            self._complaint = ""
            text = f"{self.path} is in step with its file again."
            self._host.notice(Notice(text, "saving", is_over=True))
