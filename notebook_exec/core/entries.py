"""The two kinds of outputs in a cell: text that goes on, and everything else."""

from __future__ import annotations

from notebook_exec.core import sanitize
from notebook_exec.core.model import Json, Output
from notebook_exec.core.terminal import TerminalText


class Stream:
    """Consecutive stream messages of one name (SPEC O1)."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str = "") -> None:
        self.name = name
        self.text = TerminalText()
        if text:
            self.text.write(text)

    @property
    def size_bytes(self) -> int:
        """About how much room it takes."""
        return self.text.size_bytes

    def output(self) -> Output:
        """It as nbformat has it."""
        return {"output_type": "stream", "name": self.name, "text": self.text.text}

    def shown(self) -> Output:
        """It as nbformat has it; the next take starts from there."""
        return {"output_type": "stream", "name": self.name, "text": self.text.show()}


class Rich:
    """A display, result or error."""

    __slots__ = ("_output", "display_id", "gone", "index", "size_bytes", "stale")

    def __init__(self, output: Output, display_id: str | None = None) -> None:
        self._output = output
        self.display_id = display_id
        self.index = 0  # its place in the list
        self.size_bytes = sanitize.size_bytes(output)
        self.stale = False  # it was updated since it was shown
        self.gone = False  # it is in no list any more

    @property
    def data(self) -> dict[str, Json]:
        """Its mime bundle; never changed in place."""
        data: dict[str, Json] = self._output.get("data", {})
        return data

    @property
    def metadata(self) -> dict[str, Json]:
        """Its metadata; never changed in place."""
        metadata: dict[str, Json] = self._output.get("metadata", {})
        return metadata

    def update(self, data: dict[str, Json], metadata: dict[str, Json]) -> None:
        """Give it new data (SPEC O5)."""
        self._output = {**self._output, "data": data, "metadata": metadata}
        self.size_bytes = sanitize.size_bytes(self._output)
        self.stale = True

    def output(self) -> Output:
        """It as nbformat has it."""
        return dict(self._output)

    def shown(self) -> Output:
        """It as nbformat has it; not stale any more."""
        self.stale = False
        return dict(self._output)


Entry = Stream | Rich
