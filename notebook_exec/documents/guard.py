"""Refuses updates that would take down those who decode them (SPEC D8).

The decoder of Y updates recurses into nested values; a message of 50 kB that is nothing but nested
arrays ends the process. Only updates that could nest that deep are walked for it. What a writer's
update holds is walked in any case, for its authors: one that inserts nothing, which no Y library
writes, makes the decoder panic.
"""

from __future__ import annotations

from .protocol import BadMessage, Reader

MAX_DEPTH = 200  # Python's own readers of JSON give up at a thousand
_ANY_ARRAY = 0x75
_ANY_MAP = 0x76

_HAS_ORIGIN = 0x80
_HAS_RIGHT_ORIGIN = 0x40
_HAS_PARENT_KEY = 0x20
_CONTENT = 0x1F


def check_depth(update: bytes) -> None:
    """Raises ``BadMessage`` if a value in ``update`` (v1) is nested deeper than ``MAX_DEPTH``."""
    if update.count(_ANY_ARRAY) + update.count(_ANY_MAP) <= MAX_DEPTH:
        return  # each level takes one of these tags
    authors_of(update)


def authors_of(update: bytes) -> set[int]:
    """The Y clients in whose name ``update`` inserts something."""
    reader = Reader(update)
    authors: set[int] = set()
    for _ in range(reader.varuint()):
        structs = reader.varuint()
        authors.add(reader.varuint())
        reader.varuint()  # clock
        for _ in range(structs):
            _skip_struct(reader)
    return authors


def _skip_struct(reader: Reader) -> None:
    info = reader.byte()
    content = info & _CONTENT
    if content in (0, 10):  # GC, Skip
        _some(reader.varuint())
        return
    if info & _HAS_ORIGIN:
        _skip_id(reader)
    if info & _HAS_RIGHT_ORIGIN:
        _skip_id(reader)
    if not info & (_HAS_ORIGIN | _HAS_RIGHT_ORIGIN):
        if reader.varuint() == 1:
            reader.buffer()  # name of the root
        else:
            _skip_id(reader)
        if info & _HAS_PARENT_KEY:
            reader.buffer()
    _skip_content(reader, content)


def _some(length: int) -> int:
    """The length of a struct, which is never nothing."""
    if length == 0:
        raise BadMessage("it inserts nothing")
    return length


def _skip_id(reader: Reader) -> None:
    reader.varuint()
    reader.varuint()


def _skip_content(reader: Reader, content: int) -> None:
    if content == 1:  # Deleted
        _some(reader.varuint())
    elif content == 2:  # JSON
        for _ in range(_some(reader.varuint())):
            reader.buffer()
    elif content == 4:  # String
        _some(len(reader.buffer()))
    elif content in (3, 5):  # Binary, Embed
        reader.buffer()
    elif content == 6:  # Format
        reader.buffer()
        reader.buffer()
    elif content == 7:  # Type
        _skip_type(reader)
    elif content == 8:  # Any
        for _ in range(_some(reader.varuint())):
            _skip_any(reader)
    elif content == 9:  # Doc
        reader.buffer()
        _skip_any(reader)
    else:
        raise BadMessage("it holds a content that notebooks do not have")


def _skip_type(reader: Reader) -> None:
    kind = reader.varuint()
    if kind in (3, 5):  # XmlElement, XmlHook: with a name
        reader.buffer()
    elif kind not in (0, 1, 2, 4, 6):
        raise BadMessage("it holds a type that notebooks do not have")


def _skip_any(reader: Reader) -> None:
    """Skips one value; ``open_`` counts what is left at each level, so that nothing recurses."""
    open_ = [(1, False)]
    while open_:
        left, is_map = open_.pop()
        if left == 0:
            continue
        open_.append((left - 1, is_map))
        if is_map:
            reader.buffer()
        tag = reader.byte()
        if tag in (_ANY_ARRAY, _ANY_MAP):
            open_.append((reader.varuint(), tag == _ANY_MAP))
            if len(open_) > MAX_DEPTH:
                raise BadMessage("a value is nested too deeply")
        else:
            _skip_plain(reader, tag)


def _skip_plain(reader: Reader, tag: int) -> None:
    if tag in (0x74, 0x77):  # Buffer, String
        reader.buffer()
    elif tag in (0x7A, 0x7B):  # BigInt, double
        reader.skip(8)
    elif tag == 0x7C:  # float
        reader.skip(4)
    elif tag == 0x7D:  # integer: a signed number has as many bytes as an unsigned one
        reader.varuint()
    elif tag not in (0x78, 0x79, 0x7E, 0x7F):  # False, True, null, undefined
        raise BadMessage("a value is of an unknown kind")
