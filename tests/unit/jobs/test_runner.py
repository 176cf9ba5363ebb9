"""The runner checks, applies and checks again, and tells the journal as it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest
from typing_extensions import override

from hive.adapters.world import World
from hive.errors import Refused, StepDidNotHold
from hive.jobs.runner import preview, run
from hive.steps.step import Differs, Finding, Holds, Step, name_of

NOWHERE = cast(World, None)  # these steps are about themselves


@dataclass
class Lit:
    """The lamp is on, once it was switched on as often as it takes."""

    needs: int = 1
    switched: int = 0
    seen: list[str] = field(default_factory=list)

    def check(self, world: World) -> Finding:
        self.seen.append("check")
        return Holds("it is on") if self.switched >= self.needs else Differs("it is off")

    def apply(self, world: World) -> None:
        self.seen.append("apply")
        self.switched += 1


class Dark(Lit):
    """A lamp that blows its fuse."""

    @override
    def apply(self, world: World) -> None:
        raise Refused("the fuse is blown")


@dataclass
class Diary:
    told: list[tuple[str, int, str, str]] = field(default_factory=list)

    def looking(self, at: int, step: Step) -> None:
        self.told.append(("looking", at, name_of(step), ""))

    def held(self, at: int, step: Step, finding: Holds) -> None:
        self.told.append(("held", at, name_of(step), finding.because))

    def applying(self, at: int, step: Step, finding: Differs) -> None:
        self.told.append(("applying", at, name_of(step), finding.because))

    def applied(self, at: int, step: Step, finding: Holds) -> None:
        self.told.append(("applied", at, name_of(step), finding.because))


def test_what_holds_is_only_looked_at() -> None:
    lamp, diary = Lit(needs=0), Diary()
    run([lamp], NOWHERE, diary)
    assert lamp.seen == ["check"]
    assert diary.told == [("looking", 0, "Lit", ""), ("held", 0, "Lit", "it is on")]


def test_what_differs_is_applied_and_checked_again() -> None:
    lamp, diary = Lit(), Diary()
    run([lamp], NOWHERE, diary)
    assert lamp.seen == ["check", "apply", "check"]
    assert diary.told == [
        ("looking", 0, "Lit", ""),
        ("applying", 0, "Lit", "it is off"),
        ("applied", 0, "Lit", "it is on"),
    ]


def test_steps_go_in_order_and_are_counted_from_where_the_caller_says() -> None:
    diary = Diary()
    run([Lit(needs=0), Lit()], NOWHERE, diary, first=5)
    assert [(what, at) for what, at, _, _ in diary.told] == [
        ("looking", 5), ("held", 5), ("looking", 6), ("applying", 6), ("applied", 6),
    ]  # fmt: skip


def test_a_step_that_does_not_hold_once_applied_says_why() -> None:
    with pytest.raises(StepDidNotHold, match="Lit was applied, and still: it is off") as caught:
        run([Lit(needs=2)], NOWHERE, Diary())
    assert caught.value.code == "step-did-not-hold"
    assert caught.value.hint


def test_an_error_goes_through_and_the_journal_knows_which_step_it_was() -> None:
    diary, after = Diary(), Lit()
    with pytest.raises(Refused, match="the fuse is blown"):
        run([Lit(), Dark(), after], NOWHERE, diary)
    assert diary.told[-1] == ("applying", 1, "Dark", "it is off")
    assert after.seen == []


def test_a_second_run_finds_that_everything_holds() -> None:
    lamps, diary = [Lit(), Lit()], Diary()
    run(lamps, NOWHERE, Diary())
    run(lamps, NOWHERE, diary)
    assert [what for what, *_ in diary.told] == ["looking", "held", "looking", "held"]


def test_a_preview_looks_at_every_step_and_touches_none() -> None:
    lamps = [Lit(), Lit(needs=0), Lit()]
    found = [finding for _, finding in preview(lamps, NOWHERE)]
    assert found == [Differs("it is off"), Holds("it is on"), Differs("it is off")]
    assert [lamp.seen for lamp in lamps] == [["check"]] * 3
