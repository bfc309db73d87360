"""Hashes by which a client names the source it expects to run (Q3)."""

from __future__ import annotations

import hashlib
import struct

_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


def sha256_hex(source: str) -> str:
    """The SHA-256 of the UTF-8 source, in lower-case hex (A1)."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def murmur2_decimal(source: str) -> str:
    """MurmurHash2 (32 bits, seed 0) of the UTF-8 source as a decimal number (A3).

    It is what the front end of jupyter-server-documents sends as ``source_hash``.
    """
    data = source.encode("utf-8", "surrogatepass")
    whole = len(data) // 4
    value = len(data) & _MASK
    for (word,) in struct.iter_unpack("<I", data[: whole * 4]):
        mixed = (word * _MULTIPLIER) & _MASK
        mixed = ((mixed ^ (mixed >> 24)) * _MULTIPLIER) & _MASK
        value = ((value * _MULTIPLIER) & _MASK) ^ mixed
    rest = data[whole * 4 :]
    if rest:
        value = ((value ^ int.from_bytes(rest, "little")) * _MULTIPLIER) & _MASK
    value = ((value ^ (value >> 13)) * _MULTIPLIER) & _MASK
    return str(value ^ (value >> 15))
