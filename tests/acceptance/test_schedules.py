"""`hive schedule`, as a person types it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hive.domain.schedule import CatchUp, Cron, Schedule, ScheduleName, Verb
from hive.store import jobs
from hive.store import schedules as schedules_at_rest
from tests.acceptance.test_spawn import Person, a_person, refused
from tests.fleet import CLOCK, Fleet, a_fleet

KEYS = ("name", "cron", "zone", "verb", "catch_up", "enabled", "last_fire", "next_fire", "note")


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    with a_person(tmp_path) as person:
        yield person


def events(person: Person) -> list[str]:
    return person.does("events", "--json").splitlines()


def schedules(person: Person) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in person.sees("schedule", "list")}


def test_the_defaults_are_there_and_a_default_that_was_removed_stays_so(person: Person) -> None:
    found = schedules(person)
    assert [tuple(each) for each in found.values()] == [KEYS] * 3
    assert {name: each["enabled"] for name, each in found.items()} == {
        "prune": True, "sweep": True, "update-base": False,
    }  # fmt: skip
    assert found["update-base"]["next_fire"] is None
    assert found["prune"]["next_fire"].endswith("T03:17:00.000Z")
    person.does("schedule", "remove", "sweep")
    person.does("db", "upgrade")
    assert set(schedules(person)) == {"prune", "update-base"}
    refused(person.hive("schedule", "remove", "sweep"), 2, "no-such-schedule", "see")


def test_a_schedule_is_added_once_and_another_of_its_name_is_refused(person: Person) -> None:
    words = ("schedule", "add", "nightly", "--cron", "0 4 * * *", "--zone", "Europe/Berlin")
    for said in ("is a schedule", "already"):
        ran = person.hive(*words, "--catch-up", "skip", "--", "update-base")
        assert (ran.exit_code, ran.out) == (0, "")
        assert said in ran.tail
    person.does("schedule", "disable", "nightly")
    ran = person.hive(*words, "--catch-up", "skip", "--", "update-base")
    assert "disabled: `hive schedule enable nightly`" in ran.tail
    person.does("schedule", "enable", "nightly")
    ran = person.hive(*words, "--", "sweep")
    refused(ran, 2, "schedule-exists", "`hive schedule remove nightly`")
    found = schedules(person)["nightly"]
    assert {key: found[key] for key in KEYS[:6]} == {
        "name": "nightly", "cron": "0 4 * * *", "zone": "Europe/Berlin", "verb": "update-base",
        "catch_up": "skip", "enabled": True,
    }  # fmt: skip
    head, *rows = person.does("schedule", "list").splitlines()
    assert head.split() == [
        "SCHEDULE", "CRON", "ZONE", "VERB", "CATCH-UP", "STATE", "LAST", "NEXT", "NOTE",
    ]  # fmt: skip
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("name", "cron", "zone", "code"),
    [
        ("Bad Name", "* * * * *", "UTC", "bad-schedule"),
        ("good", "every hour", "UTC", "bad-cron"),
        ("good", "* * * * *", "Middle/Earth", "bad-zone"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_trace(
    person: Person, name: str, cron: str, zone: str, code: str
) -> None:
    ran = person.hive("schedule", "add", name, "--cron", cron, "--zone", zone, "--", "sweep")
    refused(ran, 2, code)
    assert not person.state.exists()


@pytest.mark.parametrize("words", [("dance",), ("sweep", "prune"), ()])
def test_what_is_no_verb_is_a_wrong_use(person: Person, words: tuple[str, ...]) -> None:
    ran = person.hive("schedule", "add", "often", "--cron", "* * * * *", "--", *words)
    refused(ran, 2, "usage")


def test_a_schedule_is_disabled_and_enabled(person: Person) -> None:
    for verb, said in (("disable", "disabled"), ("disable", "already"), ("enable", "next at")):
        ran = person.hive("schedule", verb, "prune")
        assert ran.exit_code == 0
        assert said in ran.tail
    assert schedules(person)["prune"]["enabled"]
    for verb in ("enable", "disable", "run", "remove"):
        refused(person.hive("schedule", verb, "none"), 2, "no-such-schedule")


def test_run_does_what_it_asks_for_now(person: Person) -> None:
    person.does("schedule", "disable", "prune")
    before = schedules(person)["prune"]
    assert person.does("schedule", "run", "prune") == "job 1 succeeded\n"
    (job,) = person.sees("jobs")
    assert (job["kind"], job["state"], job["result"]) == ("prune", "succeeded", {"changed": 0})
    assert [step["name"] for step in job["steps"]] == ["Pruned"]
    assert schedules(person)["prune"] == before


def test_run_and_left_it_is_one_job_however_often(person: Person) -> None:
    for _ in range(2):
        assert person.does("schedule", "run", "sweep", "--detach") == "1\n"
    (job,) = person.sees("jobs")
    assert (job["kind"], job["state"], job["agent"]) == ("reconcile", "queued", None)


def test_maintenance_by_a_timer_fires_what_is_due(person: Person) -> None:
    """The host was off since the spring; somebody removed the sweep."""
    person.does("schedule", "remove", "sweep")
    with closing(sqlite3.connect(person.state / "hive.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE schedules SET since = '2026-03-01 00:00:00.000000'")
    for _ in range(2):
        person.does("maintenance", "--once")
    (job,) = person.sees("jobs")
    assert (job["kind"], job["requested_by"], job["state"]) == ("prune", "schedule:prune", "queued")
    found = schedules(person)["prune"]
    assert found["last_fire"] < found["next_fire"]
    (missed,) = [json.loads(line) for line in events(person) if "schedule.missed" in line]
    assert missed["data"]["first"] == "2026-03-01T03:17:00+00:00"


def test_several_that_do_maintenance_make_each_fire_once_and_one_that_is_killed_loses_none(
    tmp_path: Path,
) -> None:
    name, now = ScheduleName("often"), CLOCK.now()
    with a_fleet(tmp_path) as fleet:
        cron = Cron.of("* * * * *", "UTC")
        since = now - timedelta(hours=1)
        often = Schedule(name, cron, Verb.PRUNE, CatchUp.ALL, enabled=True, since=since)
        with fleet.host.database.write() as session:
            schedules_at_rest.add(session, often, now=since)
        several = [fleet.drill("maintenance") for _ in range(3)]
        several[0].kill()
        fleet.until(lambda: _seen_to(fleet, name) >= now - timedelta(minutes=1), "all is seen to")
        with fleet.host.database.read() as session:
            made = jobs.listed(session)
    assert [job.kind for job in made] == ["prune"]


def _seen_to(fleet: Fleet, name: ScheduleName) -> datetime:
    with fleet.host.database.read() as session:
        found = schedules_at_rest.find(session, name)
    assert found is not None
    return found.since
