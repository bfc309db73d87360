"""Text as a terminal would leave it: ``\\r``, ``\\b`` and colours over the last line (SPEC O3).

Everything before the last line is settled and only grows. The last line is two texts: ``under``,
what was there when the cursor last went back, and ``over``, what was written since, from the
line's start up to the cursor. They are laid over each other only when somebody looks or the
cursor moves again, so that a redraw costs a few string operations however it was chunked.

One code point is one column. Escape sequences take none and are kept where they are written;
those that erase or move the cursor (``\\x1b[K``, ``\\x1b[A``) do nothing else, as in JupyterLab.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

WINDOW_CHARS = 1 << 14
"""A line longer than twice this is settled from its start on: ``\\r`` no longer goes back to it."""

# CSI; OSC (hyperlinks, titles); two-byte escapes; a lone ESC. Bounded, so that a broken one ends.
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\x08\r\n]{0,2048}(?:\x07|\x1b\\)|[@-Z\\^_])?"
)
_COLOUR = re.compile(r"\x1b\[([0-9;:]*)m")
_CONTROL = re.compile(r"(\r|\n|\x08+)")


class Tail(NamedTuple):
    """A change of a text's end: of its ``expected_bytes``, those after ``start_bytes`` go."""

    expected_bytes: int
    start_bytes: int
    insert: str


def byte_length(text: str) -> int:
    """Length in UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode())


class TerminalText:
    """The text of one stream. ``write`` feeds it; ``take`` tells what changed since the last."""

    __slots__ = (
        "_back",
        "_fresh",
        "_lead",
        "_line_pen",
        "_over",
        "_over_pen",
        "_parts",
        "_settled_bytes",
        "_shown_bytes",
        "_shown_row",
        "_under",
    )

    def __init__(self) -> None:
        self._parts: list[str] = []  # all settled text
        self._fresh: list[str] = []  # the part of it that was settled since the last take
        self._settled_bytes = 0
        self._under = ""
        self._over = ""
        self._lead = ""  # from the line's colour to the one that ``over`` begins in
        self._back = 0  # backspaces that came after ``over``; they act when something is written
        self._line_pen = ""  # the colour the line begins in, as the parameters of an SGR sequence
        self._over_pen = ""
        self._shown_row = ""
        self._shown_bytes = 0

    # --- in ---------------------------------------------------------------------------------

    def write(self, chunk: str) -> None:
        """Take in what was printed; where the chunks are cut makes no difference."""
        if "\r" not in chunk and "\b" not in chunk:
            self._write_lines(chunk)
            return
        pieces = _CONTROL.split(chunk.replace("\r\n", "\n"))
        for index, piece in enumerate(pieces):
            if index % 2 == 0:
                if piece:
                    self._write_text(piece)
            elif piece == "\r":
                self._return()
            elif piece == "\n":
                self._newline()
            else:
                self._back += len(piece)

    def _write_lines(self, chunk: str) -> None:
        if self._under or self._back:
            first, newline, chunk = chunk.partition("\n")
            if first:
                self._write_text(first)
            if not newline:
                return
            self._newline()
        lines, newline, rest = chunk.rpartition("\n")
        if newline:
            self._settle(self._over + lines + newline)
            self._over = ""
        if rest:
            self._write_text(rest)

    def _write_text(self, text: str) -> None:
        if self._back:
            self._step_back()
        self._over += text
        if len(self._over) >= 2 * WINDOW_CHARS:
            self._slide()

    def _return(self) -> None:
        if self._over:
            pen = self._pen()
            self._under = self.row
            self._over = ""
            self._start_over(pen)
        self._back = 0

    def _newline(self) -> None:
        row = self.row
        if "\x1b" in row or self._lead:
            row += _change(_after(self._line_pen, row), self._pen())
        self._over = self._under = ""
        self._back = 0
        self._settle(row + "\n")

    def _step_back(self) -> None:
        row, pen = self.row, self._pen()
        column = max(0, _width(self._over) - self._back)
        self._back = 0
        self._under = row
        if column == 0:
            self._over = ""
            self._start_over(pen)
            return
        self._start_over(self._line_pen)
        self._over = row[: len(row) - len(_from_column(row, column, "")[0])]
        self._over = _without_trailing_escapes(self._over)
        self._over += _change(_after(self._line_pen, self._over), pen)

    def _start_over(self, pen: str) -> None:
        self._over_pen = pen
        self._lead = _change(self._line_pen, pen)

    def _slide(self) -> None:
        # As if it came one character at a time, so that chunks make no difference.
        while self._under and len(self._over) >= 2 * WINDOW_CHARS:
            over, rest = self._over[: 2 * WINDOW_CHARS], self._over[2 * WINDOW_CHARS :]
            self._over = over
            self._settle_row()
            self._over = rest
        over, start = self._over, 0
        while len(over) - start >= 2 * WINDOW_CHARS:
            end = start + WINDOW_CHARS
            escape = _ESCAPE.match(over, max(start, over.rfind("\x1b", start, end)))
            if escape and start < escape.start() < end < escape.end():
                end = escape.start()
            self._settle(over[start:end])
            start = end
        self._over = over[start:]

    def _settle(self, text: str) -> None:
        self._parts.append(text)
        self._fresh.append(text)
        self._settled_bytes += byte_length(text)
        self._line_pen = self._over_pen = _after(self._line_pen, text)
        self._lead = ""

    # --- out --------------------------------------------------------------------------------

    @property
    def row(self) -> str:
        """The last line as it looks now."""
        under, over = self._under, self._over
        if not under:
            return over
        if not over:
            return under
        if "\x1b" not in under and "\x1b" not in over and not self._lead:
            return over + under[len(over) :]
        rest, pen = _from_column(under, _width(over), self._line_pen)
        written = self._lead + over
        return written + _change(self._pen(), pen) + rest if rest else written

    def _pen(self) -> str:
        return _after(self._over_pen, self._over)

    @property
    def text(self) -> str:
        """All of it."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return (self._parts[0] if self._parts else "") + self.row

    def exceeds(self, limit_bytes: int) -> bool:
        """Whether ``size_bytes`` is more; cheap while it is far from it."""
        most_bytes = self._settled_bytes + 4 * (len(self._over) + len(self._under))
        return most_bytes > limit_bytes and self.size_bytes > limit_bytes

    @property
    def size_bytes(self) -> int:
        """How long it is; too much where the last line is just being written over."""
        return self._settled_bytes + byte_length(self._over) + byte_length(self._under)

    @property
    def shown_bytes(self) -> int:
        """How long it was at the last take."""
        return self._shown_bytes

    def take(self) -> Tail | None:
        """What changed since the last take; None if nothing did.

        It reaches to the end of the text, as JupyterLab applies no other, and replaces the whole
        last line: to keep what the lines have in common would leave a larger Y document.
        """
        row, shown = self.row, self._shown_row
        tail = "".join(self._fresh) + row if self._fresh else row
        self._fresh.clear()
        if tail == shown:
            return None
        expected = self._shown_bytes
        self._shown_row = row
        self._shown_bytes = self._settled_bytes + byte_length(row)
        if tail.startswith(shown):
            return Tail(expected, expected, tail[len(shown) :])
        return Tail(expected, expected - byte_length(shown), tail)

    def show(self) -> str:
        """All of it, taken."""
        self._fresh.clear()
        self._shown_row = self.row
        self._shown_bytes = self._settled_bytes + byte_length(self._shown_row)
        return self.text

    @property
    def cursor(self) -> str:
        """What to write after ``text`` to a new terminal to bring its cursor to the same place."""
        back = "\b" * self._back
        if not self._under:
            return back
        pen_behind = _after(self._line_pen, self.row)
        return "\r" + _change(pen_behind, self._over_pen) + self._over + back

    def drop_head(self, keep_bytes: int) -> int:
        """Forget the beginning so that ``keep_bytes`` and whole lines are left; the bytes dropped.

        Where there is no line border, a line is cut.
        """
        row = self.row
        if byte_length(row) > keep_bytes:  # a line longer than all that may be kept
            self._settle_row()
            row = ""
        settled = "".join(self._parts)
        kept = end_of(settled, keep_bytes - byte_length(row), may_be_empty=bool(row))
        before = self._settled_bytes
        self._keep(kept)
        return before - self._settled_bytes

    def drop_start(self, start: str) -> None:
        """Forget ``start``, which it begins with."""
        if byte_length(start) > self._settled_bytes:
            self._settle_row()
        self._keep("".join(self._parts)[len(start) :])

    def _settle_row(self) -> None:
        row, pen = self.row, self._pen()
        self._under = self._over = ""
        self._back = 0
        self._settle(row + _change(_after(self._line_pen, row), pen))

    def _keep(self, settled: str) -> None:
        self._parts = [settled] if settled else []
        self._settled_bytes = byte_length(settled)


def start_of(text: str, limit_bytes: int) -> str:
    """The beginning of ``text``, whole lines if there are any, at most ``limit_bytes`` long."""
    if byte_length(text) <= limit_bytes:
        return text
    start = text[:limit_bytes] if text.isascii() else _decoded(text.encode()[:limit_bytes])
    border = start.rfind("\n") + 1
    return start[:border] if border else start


def end_of(text: str, limit_bytes: int, *, may_be_empty: bool = False) -> str:
    """The end of ``text``, from the start of a line if possible, at most ``limit_bytes`` long."""
    if limit_bytes <= 0:
        return ""
    if byte_length(text) <= limit_bytes:
        return text
    end = text[-limit_bytes:] if text.isascii() else _decoded(text.encode()[-limit_bytes:])
    if len(end) < len(text) and text[len(text) - len(end) - 1] == "\n":
        return end
    border = end.find("\n") + 1
    return end[border:] if border and (border < len(end) or may_be_empty) else end


def _decoded(piece: bytes) -> str:
    return piece.decode(errors="ignore")  # what the cut left of a character is left out


# --- columns and colours --------------------------------------------------------------------


def _width(text: str) -> int:
    return len(text) if "\x1b" not in text else len(_ESCAPE.sub("", text))


def _from_column(row: str, column: int, pen: str) -> tuple[str, str]:
    """What of ``row`` is visible from ``column`` on, and the colour there."""
    position = 0
    for escape in _ESCAPE.finditer(row):
        visible = escape.start() - position
        if visible > column:
            break
        column -= visible
        position = escape.end()
        pen = _after(pen, escape.group())
    return row[position + column :], pen


def _without_trailing_escapes(row: str) -> str:
    end = len(row)
    for escape in reversed(list(_ESCAPE.finditer(row))):
        if escape.end() != end:
            break
        end = escape.start()
    return row[:end]


def _change(before: str, after: str) -> str:
    """The sequence that leads from one colour to the other."""
    if before == after:
        return ""
    return ("\x1b[0m" if before else "") + (f"\x1b[{after}m" if after else "")


def _after(pen: str, text: str) -> str:
    """The colour after ``text``."""
    if "\x1b" not in text:
        return pen
    reset = max(text.rfind("\x1b[0m"), text.rfind("\x1b[m"))
    if reset >= 0:
        pen, text = "", text[reset:]
    for parameters in _COLOUR.findall(text):
        pen = _coloured(pen, parameters)
    return pen


_UNSET_BY = {
    "22": ("1", "2"),
    "23": ("3",),
    "24": ("4", "21"),
    "25": ("5", "6"),
    "27": ("7",),
    "28": ("8",),
    "29": ("9",),
    "39": ("38",),
    "49": ("48",),
    "55": ("53",),
    "59": ("58",),
}


@lru_cache(maxsize=4096)
def _coloured(pen: str, parameters: str) -> str:
    """The pen after one more SGR sequence; each attribute is in it once."""
    attributes: dict[str, str] = {}
    codes = f"{pen};{parameters or '0'}".split(";") if pen else (parameters or "0").split(";")
    while codes:
        code = codes.pop(0)
        kind = _attribute(code)
        if kind in ("38", "48", "58") and code == kind and codes:
            count = {"5": 2, "2": 4}.get(codes[0], 0)
            code, codes = ";".join([code, *codes[:count]]), codes[count:]
        attributes.pop(kind, None)
        if kind == "0":
            attributes.clear()
        elif kind in _UNSET_BY:
            for unset in _UNSET_BY[kind]:
                attributes.pop(unset, None)
        else:
            attributes[kind] = code
    return ";".join(attributes.values())


def _attribute(code: str) -> str:
    """What an SGR code sets: ``38`` stands for any foreground, ``48`` for any background."""
    code = code.partition(":")[0].lstrip("0") or "0"
    if not code.isdigit():
        return code
    number = int(code) if len(code) < 5 else 0
    if 30 <= number <= 38 or 90 <= number <= 97:
        return "38"
    if 40 <= number <= 48 or 100 <= number <= 107:
        return "48"
    return code
