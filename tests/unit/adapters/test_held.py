"""What commits hold is read once a process, and kept within bounds."""

from __future__ import annotations

from hive.adapters.held import Held
from hive.domain.names import Rev
from tests.unit.domain.samples import REV

ONE, TWO, THREE = (REV, "one"), (REV, "two"), (Rev("3" * 40), "one")


def test_what_was_asked_for_longest_ago_goes() -> None:
    held = Held(most=10)
    held.learn({ONE: "12345", TWO: "12345"})
    assert held.known(ONE) == {ONE: "12345"}
    held.learn({THREE: "1"})
    assert held.known(ONE, TWO, THREE) == {ONE: "12345", THREE: "1"}


def test_what_is_not_there_is_known_too_and_what_was_not_asked_is_not() -> None:
    held = Held()
    held.learn({ONE: None})
    assert held.known(ONE, TWO) == {ONE: None}


def test_what_is_larger_than_all_may_be_is_not_kept() -> None:
    held = Held(most=3)
    held.learn({ONE: "1", TWO: "12345"})
    assert held.known(ONE, TWO) == {}


def test_learned_twice_it_counts_once() -> None:
    held = Held(most=6)
    for _ in range(5):
        held.learn({ONE: "123"})
    held.learn({TWO: "123"})
    assert len(held.known(ONE, TWO)) == 2
