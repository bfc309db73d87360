"""The outputs of one cell, or of one Output widget, and the edits that bring a document to them.

JupyterLab's view of a shared document follows only some changes: text that is replaced at the end
of the last output, outputs that are taken out, and outputs that come in at the end. So edits are
of these forms, and a change further up writes anew what is behind it. The exception is
``ReplaceData`` of a display that has much behind it, see ``_rewritten_from``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from notebook_exec.core import sanitize
from notebook_exec.core.bounds import Bounds, Spill
from notebook_exec.core.entries import Entry, Rich, Stream
from notebook_exec.core.model import (
    ClearOutputs,
    DeleteOutputs,
    ExecutionId,
    InsertOutputs,
    Json,
    Output,
    OutputEdit,
    ReplaceData,
    SpliceText,
)

REWRITE_BYTES = 4096
"""Streams up to this size behind a display that is updated are written anew with it."""


class OutputList:
    """What one cell shows. ``take`` gives the edits since the last take."""

    __slots__ = (
        "_animated",
        "_bounds",
        "_clear_next",
        "_entries",
        "_kept",
        "_settled_bytes",
        "_shown",
        "_spill",
        "_taken",
        "_taken_text",
        "_updated",
    )

    def __init__(self, *, limit_bytes: int, logged_as: ExecutionId | None = None) -> None:
        self._entries: list[Entry] = []
        self._settled_bytes = 0  # of all entries but the last
        self._clear_next = False  # the next output takes the place of all (SPEC O4)
        self._updated: list[Rich] = []
        self._bounds = Bounds(limit_bytes, logged_as)
        self._spill = Spill()
        self._shown = 0  # how many outputs the document has
        self._kept = 0  # how many of those, from the first on, are in the list as they were
        self._animated: tuple[str, int] | None = None  # name and bytes of a lone stream shown
        self._taken: list[Entry] = []  # what the last take brought
        self._taken_text: tuple[str, str] | None = None  # before it, to the stream that was there

    # --- in ---------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> None:
        """One more stream chunk (SPEC O1, O2)."""
        if self._clear_next:
            self.clear()
        last = self._entries[-1] if self._entries else None
        if isinstance(last, Stream) and last.name == name:
            last.text.write(text)
        else:
            last = Stream(name, text)
            self._append(last)
        if self._spill.started:
            self._spill.write(name, text)
        if last.text.exceeds(self._bounds.limit_bytes - self._settled_bytes):
            self._cut()

    def add(self, entry: Rich) -> None:
        """One more output that is not a stream (SPEC O6)."""
        if self._clear_next:
            self.clear()
        self._append(entry)
        if self._spill.started:
            self._spill.add(entry.output())
        if self._settled_bytes + entry.size_bytes > self._bounds.limit_bytes:
            self._cut()

    def clear(self, *, wait: bool = False) -> None:
        """Take all out, now or when the next output comes (SPEC O4)."""
        self._clear_next = wait
        if not wait:
            self._replace(0, [])
            self._bounds.reset()

    def keep(self) -> None:
        """What ``clear(wait=True)`` was to take out stays: no output of the kernel's comes."""
        self._clear_next = False

    def update(self, entry: Rich, data: dict[str, Json], metadata: dict[str, Json]) -> None:
        """Give a display that is in the list new data (SPEC O5)."""
        before = entry.size_bytes
        entry.update(data, metadata)
        if entry is not self._entries[-1]:
            self._settled_bytes += entry.size_bytes - before
        self._updated.append(entry)
        if self._spill.started:
            self._spill.add(entry.output())
        if self.size_bytes > self._bounds.limit_bytes:
            self._cut()

    def _append(self, entry: Entry) -> None:
        if self._entries:
            self._settled_bytes += self._entries[-1].size_bytes
        if isinstance(entry, Rich):
            entry.index = len(self._entries)
        self._entries.append(entry)

    def _cut(self) -> None:
        if not self._spill.started:
            self._spill.start(self._entries)
        self._replace(*self._bounds.cut(self._entries))

    def _replace(self, start: int, entries: Sequence[Entry]) -> None:
        """From ``start`` on, have ``entries`` instead."""
        for entry in self._entries[start:]:
            if isinstance(entry, Rich):
                entry.gone = True
        self._kept = min(self._kept, start)
        self._entries[start:] = entries
        for index, entry in enumerate(self._entries[start:], start):
            if isinstance(entry, Rich):
                entry.gone, entry.index = False, index
        self._settled_bytes = sum(entry.size_bytes for entry in self._entries[:-1])

    # --- out --------------------------------------------------------------------------------

    @property
    def size_bytes(self) -> int:
        """About how much room all of it takes."""
        return self._settled_bytes + (self._entries[-1].size_bytes if self._entries else 0)

    def outputs(self) -> list[Output]:
        """All of it as nbformat has it."""
        return [entry.output() for entry in self._entries]

    def displays(self) -> Iterable[Rich]:
        """Those that have a display id."""
        return (e for e in self._entries if isinstance(e, Rich) and e.display_id is not None)

    def take_spill(self) -> list[Output]:
        """The whole output since the last call, once the limit was passed (SPEC O15)."""
        return self._spill.take() if self._spill.started else []

    def take(self) -> tuple[int | None, list[OutputEdit]]:
        """How many outputs the edits start from (None: any), and the edits since the last take."""
        shown = self._shown
        edits: list[OutputEdit] = []
        replaced = self._take_updates()
        self._taken, self._taken_text = [], None
        if self._kept == shown:
            edits += self._take_text(shown - 1)
        elif not self._kept and (animation := self._take_animation()):
            edits.append(animation)
        elif self._kept:
            edits.append(DeleteOutputs(self._kept, shown - self._kept))
        else:
            edits.append(ClearOutputs())
        for entry in replaced:
            entry.stale = False
            edits.append(ReplaceData(entry.index, entry.data, entry.metadata))
        edits += self._insert(self._kept)
        return (None if not edits or isinstance(edits[0], ClearOutputs) else shown), edits

    def rewrite(self) -> list[OutputEdit]:
        """The edits that bring a document to all of it, whatever it has."""
        self._updated.clear()
        self._taken, self._taken_text = [], None
        return [ClearOutputs(), *self._insert(0)]

    def emptied(self) -> None:
        """Someone emptied the cell, and the edits last taken were not applied: go on with those."""
        entries: list[Entry] = []
        if self._taken_text is not None:
            entries.append(Stream(*self._taken_text))
        entries += self._taken
        self._taken, self._taken_text = [], None
        self._replace(0, entries)
        self._bounds.reset()
        self._updated.clear()
        self._shown = self._kept = 0
        self._animated = None

    def _insert(self, start: int) -> list[OutputEdit]:
        """Put in the entries from ``start`` on; with those, the document is up to date."""
        entries = self._entries
        self._shown = self._kept = len(entries)
        outputs: tuple[Output, ...] = ()
        if start < len(entries):
            outputs = tuple(entry.shown() for entry in entries[start:])
            self._taken += entries[start:]
        first = entries[0] if len(entries) == 1 else None
        self._animated = (first.name, first.text.shown_bytes) if isinstance(first, Stream) else None
        return [InsertOutputs(start, outputs)] if outputs else []

    def _take_text(self, index: int) -> list[OutputEdit]:
        """The change of the last stream shown: no other can have changed."""
        entry = self._entries[index] if index >= 0 else None
        if not isinstance(entry, Stream) or (tail := entry.text.take()) is None:
            return []
        self._taken_text = (entry.name, tail.insert + entry.text.cursor)
        return [
            SpliceText(
                index,
                tail.expected_bytes,
                tail.start_bytes,
                tail.expected_bytes - tail.start_bytes,
                tail.insert,
            )
        ]

    def _take_animation(self) -> OutputEdit | None:
        """One text takes the place of another, as in animations: the output itself stays."""
        entry = self._entries[0] if len(self._entries) == 1 else None
        if self._animated is None or not isinstance(entry, Stream):
            return None
        name, before_bytes = self._animated
        if entry.name != name:
            return None
        self._kept = 1
        self._taken.append(entry)
        text: str = entry.shown()["text"]
        return SpliceText(0, before_bytes, 0, before_bytes, text)

    # --- updates of displays ----------------------------------------------------------------

    def _take_updates(self) -> list[Rich]:
        """Displays to replace where they are; for the others what is kept is shortened."""
        # Once each, however often they were updated.
        updated = [entry for entry in dict.fromkeys(self._updated) if not entry.gone]
        self._updated.clear()
        for entry in updated:
            if entry.index < self._kept and self._is_cheap_behind(entry.index):
                self._kept = entry.index
        # JupyterLab forgets that a stream was taken out and joins the next of its name with
        # whatever is last by then: what is put in behind a deletion never begins with a stream.
        if self._kept < self._shown:
            while 0 < self._kept < len(self._entries) and isinstance(
                self._entries[self._kept], Stream
            ):
                self._kept -= 1
        return [entry for entry in updated if entry.index < self._kept]

    def _is_cheap_behind(self, index: int) -> bool:
        """Whether little, and nothing that acts when it is shown, is behind it.

        Otherwise the display is replaced where it is: scripts and widgets behind it stay as they
        are, but JupyterLab needs help to see the change.
        """
        room = REWRITE_BYTES
        for entry in self._entries[index + 1 :]:
            room -= entry.size_bytes
            if room < 0 or not isinstance(entry, Stream):
                return False
        return True

    # --- across a restart -------------------------------------------------------------------

    def memory(self) -> dict[str, Json]:
        """What ``resume`` must know beside the outputs themselves; empty most of the time."""
        memory: dict[str, Json] = {}
        if displays := {str(entry.index): entry.display_id for entry in self.displays()}:
            memory["displays"] = displays
        if self._clear_next:
            memory["clear_next"] = True
        last = self._entries[-1] if self._entries else None
        if isinstance(last, Stream) and (cursor := last.text.cursor):
            memory["cursor"] = cursor
        if self._bounds.notice is not None:
            memory["notice"] = self._bounds.notice.index
            memory["omitted_bytes"] = self._bounds.omitted_bytes
        if self._spill.started:
            memory["spilling"] = True
        return memory

    def resume(self, outputs: Sequence[Output], memory: Mapping[str, Json]) -> None:
        """Go on from what a document holds."""
        displays: Mapping[str, str] = memory.get("displays", {})
        for index, output in enumerate(outputs):
            valid = sanitize.stored_output(output)
            if valid["output_type"] == "stream":
                self._append(Stream(valid["name"], valid["text"]))
            else:
                self._append(Rich(valid, displays.get(str(index))))
        self._insert(0)
        self._taken = []
        last = self._entries[-1] if self._entries else None
        if isinstance(last, Stream):
            last.text.write(memory.get("cursor", ""))
        self._clear_next = bool(memory.get("clear_next"))
        notice = memory.get("notice")
        entry = None
        if notice is not None and notice < len(self._entries):  # else someone emptied the cell
            entry = self._entries[notice]
        if isinstance(entry, Rich):
            self._bounds.resume(entry, memory["omitted_bytes"])
        self._spill = Spill(started=bool(memory.get("spilling")))
