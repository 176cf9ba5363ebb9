"""Schedules at rest, and the fires that were made of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hive.domain.schedule import CatchUp, Cron, Schedule, ScheduleName, Verb
from hive.store import schedules
from hive.store.session import Database
from tests.contract.store_samples import NOW, at_once

DAILY = ScheduleName("daily")
SWEEP = ScheduleName("sweep")
LATER = NOW + timedelta(hours=1)


def a_schedule(**overrides: object) -> Schedule:
    schedule = Schedule(
        DAILY, Cron("0 4 * * *", "Europe/Berlin"), Verb.UPDATE_BASE, CatchUp.ALL,
        enabled=True, since=NOW,
    )  # fmt: skip
    return replace(schedule, **overrides)  # type: ignore[arg-type]  # a test knows its fields


def added(database: Database, **overrides: object) -> Schedule:
    schedule = a_schedule(**overrides)
    with database.write() as session:
        assert schedules.add(session, schedule, now=NOW)
    return schedule


def found(database: Database, name: ScheduleName = DAILY) -> Schedule | None:
    with database.read() as session:
        return schedules.find(session, name)


def fired(database: Database, fire_at: object = NOW) -> bool:
    with database.write() as session:
        return schedules.fire(session, DAILY, fire_at, now=NOW)  # type: ignore[arg-type]


def test_the_first_migration_brings_the_defaults(database: Database) -> None:
    with database.read() as session:
        listed = schedules.listed(session)
        assert schedules.last_fires(session) == {}
    said = [(one.name, one.cron.line, one.verb, one.enabled) for one in listed]
    assert said == [
        ("prune", "17 3 * * *", Verb.PRUNE, True),
        ("sweep", "*/5 * * * *", Verb.SWEEP, True),
        ("update-base", "0 4 * * 0", Verb.UPDATE_BASE, False),
    ]
    assert {(one.cron.zone, one.catch_up) for one in listed} == {("UTC", CatchUp.LAST)}
    assert [Cron.of(one.cron.line, one.cron.zone) for one in listed] == [one.cron for one in listed]


def test_what_was_added_is_found_as_it_was(database: Database) -> None:
    assert found(database, DAILY) is None
    assert added(database) == found(database)


def test_a_name_that_is_taken_stays_as_it_is(database: Database) -> None:
    first = added(database)
    with database.write() as session:
        assert not schedules.add(session, a_schedule(cron=Cron("1 1 * * *", "UTC")), now=NOW)
    assert found(database) == first


def test_a_schedule_is_removed_once_and_its_fires_with_it(database: Database) -> None:
    added(database)
    assert fired(database)
    with database.write() as session:
        assert schedules.remove(session, DAILY)
        assert not schedules.remove(session, DAILY)
        assert schedules.last_fires(session) == {}
    added(database)
    assert fired(database), "it is another one"


def test_enabled_it_begins_anew(database: Database) -> None:
    added(database)
    with database.write() as session:
        assert not schedules.set_enabled(session, DAILY, True, now=LATER), "it is already"
        assert schedules.set_enabled(session, DAILY, False, now=LATER)
    off = found(database)
    assert off is not None
    assert (off.enabled, off.since) == (False, NOW)
    with database.write() as session:
        assert schedules.set_enabled(session, DAILY, True, now=LATER)
    assert found(database) == a_schedule(since=LATER)


def test_what_nobody_added_is_not_enabled(database: Database) -> None:
    with database.write() as session:
        assert not schedules.set_enabled(session, DAILY, True, now=NOW)


def test_a_fire_is_made_once(database: Database) -> None:
    added(database)
    assert [fired(database), fired(database), fired(database, LATER)] == [True, False, True]
    with database.read() as session:
        assert schedules.last_fires(session) == {DAILY: LATER}


def test_of_many_that_fire_at_once_one_does(database: Database) -> None:
    added(database)
    assert sorted(at_once(6, lambda _: fired(database))) == [False] * 5 + [True]


def test_what_was_seen_to_only_goes_forward(database: Database) -> None:
    added(database)
    for upto in (LATER, NOW - timedelta(days=1)):
        with database.write() as session:
            schedules.seen_to(session, DAILY, upto)
    assert found(database) == a_schedule(since=LATER)


def test_the_latest_fires_are_kept(database: Database) -> None:
    added(database)
    hours = [NOW + timedelta(hours=hour) for hour in range(5)]
    assert all(fired(database, hour) for hour in hours)
    with database.write() as session:
        schedules.forget_fires(session, DAILY, keep=2)
        schedules.forget_fires(session, DAILY, keep=2)
        schedules.forget_fires(session, SWEEP, keep=2)
    assert [fired(database, hour) for hour in hours] == [True, True, True, False, False]
    with database.write() as session:
        schedules.forget_fires(session, DAILY, keep=9)
    assert not any(fired(database, hour) for hour in hours)
