"""What chores have done, added up."""

from __future__ import annotations

from hive.domain.tally import Tally


def test_nothing_is_nothing() -> None:
    assert Tally().is_nothing
    assert (Tally() + Tally()).is_nothing
    assert not Tally(pruned=1).is_nothing


def test_each_kind_is_added_for_itself() -> None:
    one = Tally(rescued=1, rung=2, traced=3, pruned=4, forgotten=5, fired=6)
    assert one + one == Tally(rescued=2, rung=4, traced=6, pruned=8, forgotten=10, fired=12)
    more = Tally(rescued=1, rung=3, traced=3, pruned=4, forgotten=5, fired=6)
    assert one + Tally(rung=1) == more


def test_it_is_told_by_keys_that_stay() -> None:
    assert Tally(rung=2).as_dict() == {
        "rescued": 0, "rung": 2, "traced": 0, "pruned": 0, "forgotten": 0,
        "told": 0, "crashed": 0, "fired": 0, "notified": 0,
    }  # fmt: skip
