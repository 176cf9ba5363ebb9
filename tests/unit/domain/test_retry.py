"""Whether trouble is worth another attempt, and after how long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hive.domain.retry import Again, GiveUp, verdict
from hive.errors import (
    CommandFailed,
    CommandTimedOut,
    Fault,
    IllegalMove,
    NotFound,
    ProgramMissing,
    Refused,
    StepDidNotHold,
    Transient,
)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 15), (2, 30), (3, 60), (4, 120), (8, 1920), (9, 3600), (10, 3600), (10**9, 3600)],
)
def test_the_wait_doubles_up_to_an_hour(failures: int, seconds: int) -> None:
    said = verdict(Transient("so"), failures=failures, failure_limit=10**10)
    assert said == Again(timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "error",
    [
        Transient("so"),
        CommandFailed(["git"], 128, "no"),
        CommandTimedOut("late"),
        StepDidNotHold("still not"),
    ],
)
def test_trouble_of_the_world_is_tried_again(error: Transient) -> None:
    assert isinstance(verdict(error, failures=1, failure_limit=3), Again)


@pytest.mark.parametrize(
    "error",
    [
        Refused("no"),
        NotFound("nothing"),
        IllegalMove("no"),
        Fault("wrong"),
        ProgramMissing("no git"),
        ValueError("odd"),
        KeyboardInterrupt(),
    ],
)
def test_anything_else_is_given_up_at_once(error: BaseException) -> None:
    said = verdict(error, failures=0, failure_limit=3)
    assert said == GiveUp(f"{type(error).__name__} is not worth retrying")


@pytest.mark.parametrize(("failures", "again"), [(1, True), (2, True), (3, False), (4, False)])
def test_the_budget_is_spent_when_the_limit_is_reached(failures: int, again: bool) -> None:
    said = verdict(Transient("so"), failures=failures, failure_limit=3)
    assert isinstance(said, Again) is again


@pytest.mark.parametrize("error", [Transient("so"), Refused("no"), Fault("wrong")])
def test_nothing_is_tried_again_after_the_switch(error: Exception) -> None:
    said = verdict(error, failures=1, failure_limit=3, switched=True)
    assert said == GiveUp("it failed after the switch")
