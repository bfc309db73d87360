"""What a file held, in digests: small enough to be stored at each save, enough to merge by (D5)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from notebook_exec.core.model import Json


@dataclass(frozen=True, slots=True)
class CellDigest:
    """What tells whether a cell changed, part by part."""

    source: str
    outputs: str
    metadata: str


@dataclass(slots=True)
class Digests:
    """A notebook at the last agreement of document and file: its cells in order, by id."""

    cells: dict[str, CellDigest] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> Json:
        return {
            "cells": [[key, d.source, d.outputs, d.metadata] for key, d in self.cells.items()],
            "metadata": self.metadata,
        }

    @classmethod
    def from_json(cls, value: Json) -> Digests:
        cells = {key: CellDigest(*parts) for key, *parts in value["cells"]}
        return cls(cells, dict(value["metadata"]))


Digest = Digests | str
"""Of a notebook its digests; of anything else that of its value."""


def digest_to_json(digest: Digest | None) -> Json:
    """For a store."""
    return digest.to_json() if isinstance(digest, Digests) else digest


def digest_from_json(value: Json) -> Digest | None:
    """What ``digest_to_json`` was given."""
    return Digests.from_json(value) if isinstance(value, dict) else value


def same_digests(one: Digest, other: Digest | None) -> bool:
    """Whether nothing differs, the order of the cells included."""
    if isinstance(one, Digests) and isinstance(other, Digests):
        return one == other and list(one.cells) == list(other.cells)
    return one == other


def digests_of(content: Json) -> Digest:
    """The digests of content as ``load.prepare`` makes it."""
    if not isinstance(content, dict):
        return digest_of(content)
    cells = {str(cell["id"]): digest_cell(cell) for cell in content["cells"]}
    return Digests(cells, {k: digest_of(v) for k, v in content["metadata"].items()})


def trust_of(content: Json) -> list[bool]:
    """Which cells are marked as trusted; the file has this in its signature only."""
    if not isinstance(content, dict):
        return []
    return [bool(cell["metadata"].get("trusted")) for cell in content["cells"]]


def digest_of(value: Json) -> str:
    """Equal for equal JSON values; ``1.0`` is ``1``."""
    encoded = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(encoded.encode("utf-8"), digest_size=12).hexdigest()


def digest_cell(cell: dict[str, Any]) -> CellDigest:
    """``trusted`` and empty attachments are not part of a file, so they do not count."""
    metadata = {k: v for k, v in cell.get("metadata", {}).items() if k != "trusted"}
    outputs = [cell.get("outputs") or [], cell.get("execution_count")]
    rest = [cell.get("cell_type"), metadata, cell.get("attachments") or {}]
    return CellDigest(digest_of(cell.get("source", "")), digest_of(outputs), digest_of(rest))
