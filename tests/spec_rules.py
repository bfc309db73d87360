"""Which tests prove which rules: ``python tests/spec_rules.py [ID …]`` lists them.

A test carries a rule's id at the beginning of its docstring or title ("O3: …", "P1, P3: …"), or in
its name (``test_o3_…``).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
_IDS = r"[A-Z]\d{1,2}(?:(?:, | and )[A-Z]\d{1,2})*"
_PYTHON = re.compile(
    r"def (test_\w+)\([^)]*\)(?: -> None)?:\n"  # the name
    rf'(?:\s+"""({_IDS})[:.])?'  # the docstring
)
_IN_NAME = re.compile(r"test_([a-z]\d{1,2})_")
_TITLE = re.compile(rf"(?:test|it|describe)\(\s*['\"`]({_IDS}):")
_RULE = re.compile(r"^- ([A-Z]\d{1,2}) ", re.MULTILINE)


def proofs() -> dict[str, set[str]]:
    """The files with tests of each rule, by its id."""
    found: dict[str, set[str]] = {}
    for path, ids in _marked():
        for id_ in ids:
            found.setdefault(id_, set()).add(path.relative_to(ROOT).as_posix())
    return found


def _marked() -> Iterator[tuple[Path, list[str]]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, in_docstring in _PYTHON.findall(path.read_text()):
            in_name = _IN_NAME.match(name)
            named = [in_name.group(1).upper()] if in_name else []
            yield path, named + re.findall(r"[A-Z]\d{1,2}", in_docstring)
    for folder in ("labextension", "ui-tests/tests"):
        for path in sorted((ROOT / folder).rglob("*.ts")):
            for title in _TITLE.findall(path.read_text()):
                yield path, re.findall(r"[A-Z]\d{1,2}", title)


def listed() -> tuple[list[str], list[str]]:
    """The ids in docs/spec.md: those that hold, and those that are not promised yet."""
    holds, _, open_ = (ROOT / "docs" / "spec.md").read_text().partition("# Not yet promised")
    return _RULE.findall(holds), _RULE.findall(open_)


if __name__ == "__main__":
    for id_, paths in sorted(proofs().items(), key=lambda item: (item[0][0], int(item[0][1:]))):
        if len(sys.argv) == 1 or id_ in sys.argv[1:]:
            print(f"{id_:4} {', '.join(sorted(paths))}")
