"""Both clocks keep the same promises."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from hive.adapters.clock import Clock, SystemClock, wait_until
from hive.testing import FakeClock

TICK = timedelta(milliseconds=1)


@pytest.fixture(params=[SystemClock, FakeClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_now_is_aware_and_in_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC


def test_sleep_moves_both_readings_on_by_at_least_the_duration(clock: Clock) -> None:
    now, monotonic = clock.now(), clock.monotonic()
    clock.sleep(TICK)
    assert clock.monotonic() - monotonic >= TICK.total_seconds() * 0.99
    assert clock.now() > now


def test_a_negative_sleep_is_none(clock: Clock) -> None:
    before = clock.monotonic()
    clock.sleep(timedelta(seconds=-5))
    assert clock.monotonic() >= before


def test_what_is_so_already_is_returned_at_once(clock: Clock) -> None:
    assert wait_until(clock, lambda: "here", within=timedelta(0), every=TICK) == "here"


def test_the_condition_is_asked_again_until_it_holds(clock: Clock) -> None:
    answers = iter([None, False, 0, "here"])
    within = timedelta(seconds=60)
    assert wait_until(clock, lambda: next(answers) or None, within=within, every=TICK) == "here"


def test_at_the_deadline_the_answer_is_none(clock: Clock) -> None:
    asked: list[float] = []

    def never() -> bool:
        asked.append(clock.monotonic())
        return False

    started = clock.monotonic()
    assert wait_until(clock, never, within=5 * TICK, every=2 * TICK) is None
    assert asked[-1] >= started + 0.005


def test_the_last_wait_ends_at_the_deadline_and_not_after_it() -> None:
    clock = FakeClock()
    wait_until(clock, lambda: None, within=timedelta(seconds=5), every=timedelta(seconds=3))
    assert clock.slept == [timedelta(seconds=3), timedelta(seconds=2)]
