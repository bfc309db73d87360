"""What is left of a runaway cell: its head, a notice and its moving tail (SPEC O15)."""

from __future__ import annotations

from collections.abc import Sequence

from notebook_exec.core.entries import Entry, Rich, Stream
from notebook_exec.core.model import ExecutionId, Json, Output
from notebook_exec.core.terminal import start_of


class Bounds:
    """Cuts a cell's outputs down. Half of the limit is for the head, the rest for the tail.

    A cut leaves half of what the tail may have, so that cuts, each of which writes the tail anew,
    stay rare: no more is written to the document than twice what the kernel printed.
    """

    __slots__ = ("_logged_as", "limit_bytes", "notice", "omitted_bytes")

    def __init__(self, limit_bytes: int, logged_as: ExecutionId | None = None) -> None:
        """``logged_as``: whose log has the whole; named in the notice, so that pages link to it."""
        self._logged_as = logged_as
        self.limit_bytes = limit_bytes
        self.notice: Rich | None = None
        self.omitted_bytes = 0

    def reset(self) -> None:
        """The outputs were cleared."""
        self.notice = None
        self.omitted_bytes = 0

    def resume(self, notice: Rich, omitted_bytes: int) -> None:
        """Go on with outputs that were cut before."""
        self.notice = notice
        self.omitted_bytes = omitted_bytes

    def cut(self, entries: Sequence[Entry]) -> tuple[int, list[Entry]]:
        """How many entries stay as they are, and those that take the place of the others."""
        half_bytes = self.limit_bytes // 2
        head: list[Entry] = []
        stay = None if self.notice is None else self.notice.index
        if stay is not None and sum(entry.size_bytes for entry in entries[:stay]) <= half_bytes:
            tail = list(entries[stay + 1 :])
        else:  # the first cut, or a display in the head has grown
            entries = [entry for entry in entries if entry is not self.notice]
            stay, head, tail = _split(entries, half_bytes)
        tail, dropped = _trimmed(tail, self.limit_bytes // 4)
        self.omitted_bytes += dropped
        self.notice = _notice(self.omitted_bytes, self._logged_as)
        return stay, [*head, self.notice, *tail]


class Spill:
    """The whole output of a cell that passed its limit, on its way to the disk."""

    __slots__ = ("_outputs", "_texts", "started")

    def __init__(self, *, started: bool = False) -> None:
        self.started = started
        self._outputs: list[Output] = []
        self._texts: list[str] = []  # of the last output, if that is a stream

    def start(self, entries: Sequence[Entry]) -> None:
        """From here on all is spilled, beginning with what is there."""
        self.started = True
        for entry in entries:
            if isinstance(entry, Stream):
                self.write(entry.name, entry.text.text + entry.text.cursor)
            else:
                self.add(entry.output())

    def write(self, name: str, text: str) -> None:
        """One more stream chunk, as it was printed."""
        last = self._outputs[-1] if self._outputs else None
        if last is None or not self._texts or last["name"] != name:
            self._close()
            self._outputs.append({"output_type": "stream", "name": name, "text": ""})
        self._texts.append(text)

    def add(self, output: Output) -> None:
        """One more output."""
        self._close()
        self._outputs.append(output)

    def take(self) -> list[Output]:
        """What came since the last take."""
        self._close()
        outputs, self._outputs = self._outputs, []
        return outputs

    def _close(self) -> None:
        if self._texts:
            self._outputs[-1]["text"] = "".join(self._texts)
            self._texts = []


def _split(entries: Sequence[Entry], limit_bytes: int) -> tuple[int, list[Entry], list[Entry]]:
    """How many entries fit the limit, what of the next one does, as a new one, and the rest."""
    room = limit_bytes
    for index, entry in enumerate(entries):
        if entry.size_bytes <= room:
            room -= entry.size_bytes
            continue
        rest = list(entries[index:])
        if isinstance(entry, Stream):
            start = start_of(entry.text.text, room)
            if start:
                entry.text.drop_start(start)
                return index, [Stream(entry.name, start)], rest
        return index, [], rest
    return len(entries), [], []


def _trimmed(tail: list[Entry], limit_bytes: int) -> tuple[list[Entry], int]:
    """The last entries that fit the limit, and how many bytes were dropped."""
    room, dropped = limit_bytes, 0
    kept: list[Entry] = []
    for entry in reversed(tail):
        size = entry.size_bytes
        if room <= 0 or (size > room and isinstance(entry, Rich)):
            # The tail is without gaps: what is before something dropped is dropped as well.
            dropped += size
            room = 0
            continue
        if size > room and isinstance(entry, Stream):
            dropped += entry.text.drop_head(room)
            room = 0
        room -= size
        if entry.size_bytes:
            kept.append(entry)
    return kept[::-1], dropped


def _notice(omitted_bytes: int, logged_as: ExecutionId | None) -> Rich:
    amount = (
        f"{omitted_bytes / 2**20:,.1f} MiB"
        if omitted_bytes >= 2**20
        else f"{omitted_bytes:,} bytes"
    )
    text = f"[… {amount} of output left out here; all of it is in the log of this execution …]"
    about: dict[str, Json] = {"omitted_bytes": omitted_bytes}
    if logged_as is not None:
        about["execution_id"] = logged_as
    metadata: dict[str, Json] = {"notebook_exec": about}
    # Not a stream: JupyterLab would join it with the tail's text if that has the same name.
    return Rich({"output_type": "display_data", "data": {"text/plain": text}, "metadata": metadata})
