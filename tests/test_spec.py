"""docs/spec.md says what the tests say."""

from __future__ import annotations

from spec_rules import listed, proofs


def test_every_rule_is_listed_once() -> None:
    holds, is_open = listed()
    every = holds + is_open
    assert sorted(every) == sorted(set(every))


def test_what_is_promised_is_what_tests_prove() -> None:
    holds, is_open = listed()
    proved = proofs()
    assert set(holds) == set(proved)
    assert not set(is_open) & set(proved)
