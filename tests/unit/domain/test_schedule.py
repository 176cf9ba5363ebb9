"""When a schedule fires: pure, by clocks that jump and clocks that are turned."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive.domain.schedule import (
    AT_MOST,
    ON_TIME,
    CatchUp,
    Cron,
    Schedule,
    ScheduleName,
    Verb,
    due,
)
from hive.errors import Refused

BERLIN = "Europe/Berlin"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
MINUTE = timedelta(minutes=1)


def a_schedule(line: str = "*/5 * * * *", zone: str = "UTC", **overrides: object) -> Schedule:
    schedule = Schedule(
        ScheduleName("sweep"), Cron.of(line, zone), Verb.SWEEP, CatchUp.LAST,
        enabled=True, since=NOON,
    )  # fmt: skip
    return replace(schedule, **overrides)  # type: ignore[arg-type]  # a test knows its fields


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # year, month, day, hour…


def fires(line: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """As maintenance finds them, which looks once a minute."""
    schedule, found, now = a_schedule(line, zone, since=after), list[datetime](), after
    while now <= until:
        if wanted := due(schedule, now):
            found += wanted.fires
            schedule = replace(schedule, since=wanted.last)
        now += MINUTE
    return found


# What is due


def test_before_its_next_fire_nothing_is_due() -> None:
    assert due(a_schedule(), NOON + 4 * MINUTE) is None


def test_a_fire_is_due_from_its_very_moment() -> None:
    found = due(a_schedule(), NOON + 5 * MINUTE)
    assert found is not None
    assert (found.fires, found.is_more) == ((NOON + 5 * MINUTE,), False)


def test_what_was_seen_to_is_not_due_again() -> None:
    assert due(a_schedule(since=NOON + 5 * MINUTE), NOON + 5 * MINUTE) is None


def test_a_disabled_one_is_never_due() -> None:
    off = a_schedule(enabled=False)
    assert (due(off, NOON + WEEK), off.next_fire) == (None, None)


# A host that was off


def test_skip_makes_up_for_nothing() -> None:
    found = due(a_schedule("0 4 * * *", catch_up=CatchUp.SKIP), NOON + WEEK)
    assert found is not None
    assert (found.fires, found.is_more) == ((), True)
    assert (found.first, found.last) == (utc(2026, 3, 2, 4), utc(2026, 3, 8, 4))


def test_skip_still_fires_what_it_is_in_time_for() -> None:
    fire = utc(2026, 3, 8, 4)
    found = due(a_schedule("0 4 * * *", catch_up=CatchUp.SKIP), fire + ON_TIME)
    assert found is not None
    assert found.fires == (fire,)


def test_last_makes_up_for_the_last_one() -> None:
    found = due(a_schedule("0 4 * * *"), NOON + WEEK)
    assert found is not None
    assert (found.fires, found.is_more) == ((utc(2026, 3, 8, 4),), True)


def test_all_makes_up_for_each() -> None:
    found = due(a_schedule("0 4 * * *", catch_up=CatchUp.ALL), NOON + WEEK)
    assert found is not None
    assert found.fires == tuple(utc(2026, 3, day, 4) for day in range(2, 9))
    assert not found.is_more


def test_all_is_no_storm_and_says_that_there_was_more() -> None:
    found = due(a_schedule(catch_up=CatchUp.ALL), NOON + WEEK)
    assert found is not None
    assert (len(found.fires), found.is_more) == (AT_MOST, True)
    assert found.fires[-1] == found.last == NOON + WEEK


@pytest.mark.parametrize("catch_up", CatchUp)
def test_ten_years_of_every_minute_are_answered_at_once(catch_up: CatchUp) -> None:
    """Five million fires; only the last of them are looked at."""
    schedule = a_schedule("* * * * *", BERLIN, catch_up=catch_up)
    found = due(schedule, NOON + 520 * WEEK)
    assert found is not None
    assert found.last == NOON + 520 * WEEK


# Clocks that jump


def test_a_clock_that_was_put_back_fires_nothing_again() -> None:
    """Until it is said that it goes by that clock."""
    seen_to = a_schedule(since=NOON + WEEK)
    assert due(seen_to, NOON) is None
    assert seen_to.next_fire == NOON + WEEK + 5 * MINUTE
    assert seen_to.is_ahead(NOON)
    assert not replace(seen_to, enabled=False).is_ahead(NOON)


@pytest.mark.parametrize(
    ("line", "minutes", "is_ahead"),
    [
        ("*/5 * * * *", 1, False), ("*/5 * * * *", 2, True), ("7 * * * *", 2, True),
        ("* 3 * * *", 2, True), ("30 3 * * *", 120, False), ("30 3 * * *", 181, True),
        ("30 3,4 1 * *", 180, False),
    ],
)  # fmt: skip
def test_as_with_cron_a_line_of_fixed_hours_is_not_made_twice_for_a_small_step(
    line: str, minutes: int, is_ahead: bool
) -> None:
    assert a_schedule(line, since=NOON + minutes * MINUTE).is_ahead(NOON) is is_ahead


@given(st.lists(st.integers(-3000, 3000), max_size=20), st.sampled_from(CatchUp))
def test_however_the_clock_jumps_no_fire_comes_twice(jumps: list[int], catch_up: CatchUp) -> None:
    schedule, made, now = a_schedule("*/7 * * * *", catch_up=catch_up), list[datetime](), NOON
    for jump in jumps:
        now += jump * MINUTE
        if found := due(schedule, now):
            made += found.fires
            schedule = replace(schedule, since=found.last)
    assert made == sorted(set(made))


# Clocks that are turned


SPRING = utc(2026, 3, 28, 12), utc(2026, 3, 29, 12)
AUTUMN = utc(2026, 10, 24, 12), utc(2026, 10, 25, 12)


def test_a_fire_in_the_hour_that_is_left_out_comes_right_after_it() -> None:
    assert fires("30 2 * * *", BERLIN, *SPRING) == [utc(2026, 3, 29, 1)]


def test_a_fire_in_the_hour_that_comes_twice_comes_once() -> None:
    assert fires("30 2 * * *", BERLIN, *AUTUMN) == [utc(2026, 10, 25, 0, 30)]


@pytest.mark.parametrize("seen", [utc(2026, 10, 25, 0, 40), utc(2026, 10, 25, 1, 10)])
def test_found_late_in_the_second_of_the_two_hours_it_is_neither_lost_nor_doubled(
    seen: datetime,
) -> None:
    schedule = a_schedule("30 2 * * *", BERLIN, since=AUTUMN[0])
    found = due(schedule, seen)
    assert found is not None
    assert found.fires == (utc(2026, 10, 25, 0, 30),)
    after = replace(schedule, since=found.last)
    assert after.next_fire == utc(2026, 10, 26, 1, 30)


@pytest.mark.parametrize("since", [utc(2026, 10, 25, 0, 40), utc(2026, 10, 25, 1, 10)])
def test_one_that_was_added_between_the_two_hours_fires_the_day_after(since: datetime) -> None:
    assert a_schedule("30 2 * * *", BERLIN, since=since).next_fire == utc(2026, 10, 26, 1, 30)


@pytest.mark.parametrize("days", [SPRING, AUTUMN])
def test_one_with_stars_goes_by_the_time_that_passes(days: tuple[datetime, datetime]) -> None:
    after, until = days
    quarters = [after + 15 * MINUTE * n for n in range(1, 97)]
    assert fires("*/15 * * * *", BERLIN, after, until) == quarters
    hours = [after + 60 * MINUTE * n for n in range(1, 25)]
    assert fires("0 * * * *", BERLIN, after, until) == hours


def test_the_zone_says_what_time_is_meant() -> None:
    assert fires("0 4 * * *", BERLIN, *SPRING) == [utc(2026, 3, 29, 2)]
    assert fires("0 4 * * *", BERLIN, *AUTUMN) == [utc(2026, 10, 25, 3)]


@pytest.mark.parametrize("line", ["30 2 * * *", "0 0 * * *", "*/20 * * * *", "59 1,2,3 * * *"])
@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "Asia/Beirut", "Africa/Cairo"])
def test_looked_at_often_or_once_the_same_fires_are_found(line: str, zone: str) -> None:
    cron = Cron.of(line, zone)
    for begun in (utc(2026, 3, 6), utc(2026, 3, 28), utc(2026, 4, 23), utc(2026, 10, 24)):
        until = begun + timedelta(days=3)
        one_by_one, at = [], begun
        while (fire := cron.next(at)) and fire <= until:
            one_by_one.append(fire)
            at = fire
        assert cron.last(1000, after=begun, until=until) == one_by_one
        assert one_by_one == sorted(set(one_by_one))


# What is refused


@pytest.mark.parametrize(
    "line",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "@daily",
        "a b c d e",
        "0 0 31 2 *",
        "*/0 * * * *",
    ],
)
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(Refused) as refused:
        Cron.of(line, "UTC")
    assert refused.value.code == "bad-cron"


@pytest.mark.parametrize("zone", ["", "Europe", "Middle/Earth", "/etc/passwd", "../UTC", "a\0b"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(Refused) as refused:
        Cron.of("* * * * *", zone)
    assert refused.value.code == "bad-zone"


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a b", "a" * 33])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        ScheduleName(name)
    assert refused.value.code == "bad-schedule"


def test_blanks_between_the_fields_are_no_difference() -> None:
    assert Cron.of(" */5   * * *  * ", "UTC") == Cron.of("*/5 * * * *", "UTC")
