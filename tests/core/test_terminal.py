"""Text as a terminal leaves it, against a terminal made of cells; chunks and takes cut anywhere."""

from __future__ import annotations

import random
import re
from itertools import product

import pytest

from notebook_exec.core import terminal
from notebook_exec.core.terminal import TerminalText, byte_length, end_of, start_of

Pen = frozenset[str]
Cell = tuple[str, Pen]

RESET: Pen = frozenset()
COLOURS = [
    "\x1b[31m",
    "\x1b[42m",
    "\x1b[1m",
    "\x1b[22m",
    "\x1b[39m",
    "\x1b[0m",
    "\x1b[m",
    "\x1b[1;32m",
]
OTHERS = ["\x1b[K", "\x1b[2K", "\x1b[A", "\x1b]8;;http://x\x1b\\"]
TOKENS = ["a", "b", "cd", "█", "é😀", "\r", "\r", "\b", "\n", "\r\n", *COLOURS]
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m|" + "|".join(map(re.escape, OTHERS)))


def _painted(pen: Pen, escape: str) -> Pen:
    kinds = {"31": "fg", "32": "fg", "42": "bg", "1": "bold"}
    ends = {"22": "bold", "39": "fg"}
    for code in escape[2:-1].split(";"):
        if code in ("0", ""):
            pen = RESET
        elif code in ends:
            pen = frozenset(part for part in pen if not part.startswith(ends[code]))
        else:
            kind = kinds[code]
            pen = frozenset(part for part in pen if not part.startswith(kind)) | {kind + code}
    return pen


class Reference:
    """A terminal whose lines are lists of cells; a newline keeps what is behind the cursor."""

    def __init__(self) -> None:
        self.lines: list[list[Cell]] = [[]]
        self.column = 0
        self.pen = RESET

    def token(self, token: str) -> None:
        if token in OTHERS:
            return
        if _ESCAPE.fullmatch(token):
            self.pen = _painted(self.pen, token)
            return
        for char in token:
            self._char(char)

    def _char(self, char: str) -> None:
        line = self.lines[-1]
        if char == "\r":
            self.column = 0
        elif char == "\b":
            self.column = max(0, self.column - 1)
        elif char == "\n":
            self.lines.append([])
            self.column = 0
        else:
            line[self.column : self.column + 1] = [(char, self.pen)]
            self.column += 1


def seen(text: str) -> list[list[Cell]]:
    """What a front end shows of a text."""
    reference = Reference()
    position = 0
    for escape in _ESCAPE.finditer(text):
        reference.token(text[position : escape.start()])
        reference.token(escape.group())
        position = escape.end()
    reference.token(text[position:])
    return reference.lines


def written(*chunks: str) -> TerminalText:
    made = TerminalText()
    for chunk in chunks:
        made.write(chunk)
    return made


def chunked(rng: random.Random, text: str) -> list[str]:
    cuts = sorted(rng.sample(range(len(text) + 1), k=min(len(text), rng.randrange(8))))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def applied(text: bytes, tail: terminal.Tail | None) -> bytes:
    if tail is None:
        return text
    assert len(text) == tail.expected_bytes
    return text[: tail.start_bytes] + tail.insert.encode()


@pytest.mark.parametrize(
    ("printed", "left"),
    [
        ("abc\rx", "xbc"),
        ("abc\r", "abc"),
        ("abc\b", "abc"),
        ("abc\bx", "abx"),
        ("abc\b\b\b\b\bx", "xbc"),
        ("a\nb\b\bc", "a\nc"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\r\r\nb", "a\nb"),
        ("abcdef\rxy\nz", "xycdef\nz"),
        ("10%|█  |\r20%|██ |", "20%|██ |"),
        ("\x1b[31mred\x1b[0m\r\x1b[32mgreen\x1b[0m", "\x1b[32mgreen\x1b[0m"),
        ("\x1b[31mabcd\rX", "\x1b[31mXbcd"),
        ("\x1b[31mabcd\x1b[0m\rX", "X\x1b[31mbcd\x1b[0m"),
        ("line\x1b[K\x1b[2K\x1b[A kept", "line\x1b[K\x1b[2K\x1b[A kept"),
    ],
)
def test_o3_what_is_left(printed: str, left: str) -> None:
    """O3: carriage return, backspace and colours."""
    assert written(printed).text == left
    assert written(*printed).text == left


def test_o3_all_short_texts() -> None:
    """O3: every text of up to six of these characters, whole and one character at a time."""
    for length in range(7):
        for chars in product("ab\r\b\n", repeat=length):
            text = "".join(chars)
            left = written(text).text
            assert left == written(*chars).text
            assert seen(left) == seen(text), repr(text)


@pytest.mark.parametrize("seed", range(300))
def test_o3_like_a_terminal(seed: int) -> None:
    """O3: characters and colours are those of a terminal, however the text was chunked."""
    rng = random.Random(seed)
    tokens = rng.choices(TOKENS + (OTHERS if seed % 2 else []), k=rng.randrange(40))
    text = "".join(tokens)
    left = written(text)
    assert seen(left.text) == seen(text), repr(text)
    assert not set("\r\b") & set(left.text)
    for _ in range(4):
        assert written(*chunked(rng, text)).text == left.text, repr(text)


@pytest.mark.parametrize("seed", range(200))
def test_o3_broken_escapes(seed: int) -> None:
    """O3: escape sequences cut off or broken make no difference between chunkings either."""
    rng = random.Random(seed)
    parts = [
        "\x1b",
        "\x1b[",
        "\x1b[3",
        "1m",
        "m",
        "\x1b]8;",
        "\x07",
        ";",
        "\r",
        "\b",
        "\n",
        "a",
        "é",
    ]
    text = "".join(rng.choices(parts, k=rng.randrange(30)))
    left = written(text).text
    for _ in range(4):
        assert written(*chunked(rng, text)).text == left, repr(text)


@pytest.mark.parametrize("seed", range(200))
def test_takes_anywhere(seed: int) -> None:
    """O1: whenever the changes are taken, applying them gives the same text."""
    rng = random.Random(seed)
    text = "".join(rng.choices(TOKENS, k=rng.randrange(60)))
    made, copy = TerminalText(), b""
    for chunk in chunked(rng, text):
        made.write(chunk)
        if rng.random() < 0.5:
            copy = applied(copy, made.take())
            assert copy.decode() == made.text
            assert made.shown_bytes == len(copy)
    assert applied(copy, made.take()).decode() == written(text).text
    assert made.take() is None


@pytest.mark.parametrize("seed", range(200))
def test_long_lines(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """O3: in a line that outgrows the window the chunks make no difference, and no text is lost."""
    monkeypatch.setattr(terminal, "WINDOW_CHARS", 8)
    rng = random.Random(seed)
    tokens = ["abcdefg", "hi", "█", "\r", "\b", "\n", "\x1b[31m", "\x1b[0m"]
    text = "".join(rng.choices(tokens, k=rng.randrange(50)))
    left = written(text).text
    for _ in range(4):
        assert written(*chunked(rng, text)).text == left, repr(text)
    plain = text.replace("\r", "").replace("\b", "")
    assert written(*chunked(rng, plain)).text == plain


@pytest.mark.parametrize("seed", range(100))
def test_cursor_goes_on(seed: int) -> None:
    """R2: a new terminal, given the text and the cursor, goes on as the old one would have."""
    rng = random.Random(seed)
    first, second = ("".join(rng.choices(TOKENS, k=rng.randrange(25))) for _ in range(2))
    old = written(first)
    new = written(old.text, old.cursor)
    assert seen(new.text) == seen(old.text)
    for made in (old, new):
        made.write(second)
    assert seen(new.text) == seen(old.text), (first, second)


def test_o19_nothing_else_is_changed() -> None:
    """O19: without cursor movements the text is what was printed, long lines and all."""
    text = "x" * 1_000_000 + "\n" + "\x1b[31m\x1b[31m  tab\t \x1b[0m\x1b[0m  \n\n\n \x00\x07é█😀"
    assert written(text).text == text
    assert written(*(text[i : i + 7777] for i in range(0, len(text), 7777))).text == text


def test_a_redraw_of_the_line_alone_is_taken() -> None:
    """O3: what is settled is not touched again."""
    made = written("one\ntwo\nbar 1%")
    made.take()
    made.write("\rbar 2%")
    assert made.take() == (14, 8, "bar 2%")


def test_cuts_on_line_borders() -> None:
    """O15: heads and tails are whole lines; a character is never cut."""
    assert start_of("ab\ncd\nef", 5) == "ab\n"
    assert start_of("abcdef", 3) == "abc"
    assert start_of("█████", 7) == "██"
    assert end_of("ab\ncd\nef", 5) == "cd\nef"
    assert end_of("ab\ncd\nef", 4) == "ef"
    assert end_of("abcdef", 3) == "def"
    assert end_of("█████", 7) == "██"
    assert end_of("abc\n", 2) == "c\n"


def test_o15_the_tail_goes_on_after_a_cut() -> None:
    """O15: after its head was dropped, a text still redraws its last line."""
    made = written("".join(f"line {i}\n" for i in range(100)) + "10%\r2")
    dropped = made.drop_head(100)
    assert byte_length(made.text) + dropped == sum(len(f"line {i}\n") for i in range(100)) + 3
    assert made.text.startswith("line ")
    assert made.text.endswith("line 99\n20%")
    made.write("5")
    assert made.text.endswith("line 99\n25%")
