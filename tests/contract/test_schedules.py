"""What the clock asks for: each fire once, whoever is there, and wherever it is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.job import Job, JobState
from hive.domain.names import AgentName, NodeName
from hive.domain.schedule import AT_MOST, CatchUp, Cron, Schedule, ScheduleName, Verb
from hive.queue.schedules import Schedules
from hive.service.schedules import listed, set_enabled
from hive.store import agents, events, jobs, schedules, workers
from hive.testing import FakeClock
from tests.contract.queue_samples import Bench, a_bench
from tests.contract.store_samples import at_once

NAME = ScheduleName("often")
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
THERE = NodeName("there")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def stored(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    """On SQLite, and on PostgreSQL."""
    with a_bench(tmp_path, HIVE_DATABASE_URL=database_url) as bench:
        yield bench


def scheduled(
    bench: Bench,
    line: str = "*/5 * * * *",
    verb: Verb = Verb.SWEEP,
    catch_up: CatchUp = CatchUp.LAST,
    **overrides: object,
) -> Schedule:
    schedule = Schedule(NAME, Cron.of(line, "UTC"), verb, catch_up, enabled=True, since=NOON)
    schedule = replace(schedule, **overrides)  # type: ignore[arg-type]  # a test knows its fields
    with bench.database.write() as session:
        assert schedules.add(session, schedule, now=NOON)
    return schedule


def fired(bench: Bench, now: datetime) -> int:
    return Schedules(bench.host).run_once(now).fired


def made(bench: Bench) -> list[Job]:
    with bench.database.read() as session:
        return jobs.listed(session)[::-1]


def row(bench: Bench, name: ScheduleName = NAME) -> Schedule:
    with bench.database.read() as session:
        found = schedules.find(session, name)
    assert found is not None
    return found


def ended(bench: Bench) -> None:
    """Whatever is live is over."""
    for job in made(bench):
        if job.state is JobState.QUEUED:
            bench.cancel(job)


def missed(bench: Bench) -> list[dict[str, object]]:
    with bench.database.read() as session:
        told = events.behind(session, kind="schedule.missed")
    return [dict(event.data) for event in told]


def put_back(bench: Bench) -> list[object]:
    """From when on it went, each time that it went by a clock that was put back."""
    with bench.database.read() as session:
        told = events.behind(session, kind="schedule.put-back")
    return [event.data["from"] for event in told]


# A fire


def test_a_fire_that_is_due_is_a_job_and_a_bell(stored: Bench) -> None:
    bench = stored
    scheduled(bench)
    assert fired(bench, NOON + 4 * MINUTE) == 0
    assert fired(bench, NOON + 5 * MINUTE) == 1
    (job,) = made(bench)
    assert (job.kind, job.node, job.agent, job.lock) == (
        "reconcile", bench.host.node, None, f"reconcile:{bench.host.node}",
    )  # fmt: skip
    assert job.requested_by == "schedule:often"
    assert bench.bell.jobs == [job.id]
    assert row(bench).since == NOON + 5 * MINUTE
    assert missed(bench) == []


def test_seen_to_again_it_is_not_made_again(bench: Bench) -> None:
    scheduled(bench)
    assert [fired(bench, NOON + 5 * MINUTE) for _ in range(3)] == [1, 0, 0]
    assert len(made(bench)) == 1


def test_a_fire_while_the_last_ones_job_is_live_is_that_job(bench: Bench) -> None:
    """As is the same work that a timer of systemd or a person asks for."""
    scheduled(bench)
    assert [fired(bench, NOON + after * MINUTE) for after in (5, 10)] == [1, 1]
    assert len(made(bench)) == 1
    ended(bench)
    assert fired(bench, NOON + 15 * MINUTE) == 1
    assert len(made(bench)) == 2


def test_there_is_one_job_for_each_node_that_is_known(stored: Bench) -> None:
    bench = stored
    with bench.database.write() as session:
        workers.pause(session, NodeName("paused"), by="test", now=NOON)
        alice = Agent(THERE, AgentName("alice"), 8879, Desired.RUNNING, AgentSettings())
        agents.put(session, alice, now=NOON)
    scheduled(bench)
    assert fired(bench, NOON + 5 * MINUTE) == 1
    assert sorted(job.node for job in made(bench)) == sorted([bench.host.node, "paused", THERE])
    assert sorted(bench.bell.jobs) == [job.id for job in made(bench)]


def test_a_look_at_the_base_is_asked_for_too(bench: Bench) -> None:
    scheduled(bench, verb=Verb.UPDATE_BASE)
    assert fired(bench, NOON + 5 * MINUTE) == 1
    assert [(job.kind, job.lock) for job in made(bench)] == [("update-base", "base:here")]


def test_a_prune_is_done_where_it_fired_as_there_is_one_database(bench: Bench) -> None:
    with bench.database.write() as session:
        workers.pause(session, THERE, by="test", now=NOON)
    scheduled(bench, verb=Verb.PRUNE)
    assert fired(bench, NOON + 5 * MINUTE) == 1
    assert [(job.kind, job.lock) for job in made(bench)] == [("prune", "prune:here")]


def test_a_disabled_schedule_does_not_fire(bench: Bench) -> None:
    scheduled(bench, enabled=False)
    assert fired(bench, NOON + WEEK) == 0


def test_in_a_new_database_its_jobs_are_numbered_above_every_tag(bench: Bench) -> None:
    """A child of a sweep would else want a tag that is there already."""
    repo = bench.pretend.applied()
    repo.mkdir(parents=True)
    bench.pretend.git(repo, "init", "--quiet")
    bench.pretend.git(repo, "commit", "--quiet", "--allow-empty", "-m", "deployed")
    bench.pretend.git(repo, "tag", "deployed/41")
    scheduled(bench)
    assert fired(bench, NOON + 5 * MINUTE) == 1
    assert [job.id for job in made(bench)] == [42]


# Many at once, and kills


def by_one_of_many(bench: Bench, now: datetime, _: int) -> int:
    return fired(bench, now)


def test_of_many_that_do_maintenance_at_once_one_fires(stored: Bench) -> None:
    bench = stored
    scheduled(bench)
    for fire in range(1, 6):
        now = NOON + 5 * fire * MINUTE
        assert sum(at_once(4, partial(by_one_of_many, bench, now))) == 1
        assert len(made(bench)) == fire
        ended(bench)


def test_that_have_each_its_own_clock_too(stored: Bench) -> None:
    """They see different fires as missed: each fire is made by one of them."""
    bench = stored
    scheduled(bench, catch_up=CatchUp.ALL)
    clocks = [NOON + 5 * number * MINUTE for number in (3, 4, 5, 6)]
    assert sum(at_once(4, lambda number: fired(bench, clocks[number]))) == 6
    assert len(made(bench)) == 1


def test_killed_in_the_middle_nothing_of_it_was_done(
    stored: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = stored
    with bench.database.write() as session:
        workers.pause(session, THERE, by="test", now=NOON)
    begun = scheduled(bench)
    for name in ("fire", "seen_to", "forget_fires"):
        with monkeypatch.context() as patched:
            real: Callable[..., object] = getattr(schedules, name)

            def killed(*words: object, real: Callable[..., object] = real, **more: object) -> None:
                real(*words, **more)
                raise KeyboardInterrupt

            patched.setattr(schedules, name, killed)
            with pytest.raises(KeyboardInterrupt):
                fired(bench, NOON + 5 * MINUTE)
        assert made(bench) == []
        assert row(bench) == begun
        assert bench.bell.jobs == []
    assert fired(bench, NOON + 5 * MINUTE) == 1
    assert len(made(bench)) == 2


def test_removed_or_disabled_meanwhile_it_does_not_fire(bench: Bench) -> None:
    """What maintenance has read is looked at again where it is written."""
    chore = Schedules(bench.host)
    stale = scheduled(bench)
    with bench.database.write() as session:
        schedules.set_enabled(session, NAME, False, now=NOON)
    assert chore._seen_to(stale, NOON + 5 * MINUTE) == 0
    with bench.database.write() as session:
        schedules.remove(session, NAME)
    assert chore._seen_to(stale, NOON + 5 * MINUTE) == 0
    assert made(bench) == []


def test_trouble_with_one_schedule_keeps_no_other_from_firing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    scheduled(bench)
    for line, zone in (("not a cron line", "UTC"), ("* * * * *", "Middle/Earth")):
        scheduled(bench, name=ScheduleName(f"a-{len(zone)}"), cron=Cron(line, zone))
    assert fired(bench, NOON + 5 * MINUTE) == 1
    assert caplog.text.count("schedule.not-fired") == 2


# Clocks that jump, and hosts that were off


def test_a_host_that_was_off_for_a_week_makes_up_for_the_last_one(bench: Bench) -> None:
    scheduled(bench, "0 4 * * *")
    assert fired(bench, NOON + WEEK) == 1
    assert row(bench).since == datetime(2030, 1, 8, 4, tzinfo=UTC)
    (said,) = missed(bench)
    assert said == {
        "schedule": "often", "made_up": 1,
        "first": "2030-01-02T04:00:00+00:00", "last": "2030-01-08T04:00:00+00:00",
    }  # fmt: skip


def test_or_for_none(bench: Bench) -> None:
    scheduled(bench, "0 4 * * *", catch_up=CatchUp.SKIP)
    assert fired(bench, NOON + WEEK) == 0
    assert made(bench) == []
    assert row(bench).since == datetime(2030, 1, 8, 4, tzinfo=UTC)
    assert [said["made_up"] for said in missed(bench)] == [0]
    assert fired(bench, datetime(2030, 1, 9, 4, tzinfo=UTC)) == 1


def test_or_for_all_which_is_no_storm(bench: Bench) -> None:
    scheduled(bench, catch_up=CatchUp.ALL)
    assert fired(bench, NOON + WEEK) == AT_MOST
    assert len(made(bench)) == 1, "equal work that is live is one job"
    assert [said["made_up"] for said in missed(bench)] == [AT_MOST]
    assert fired(bench, NOON + WEEK) == 0


def test_a_clock_that_was_put_back_is_told_of_in_the_list(bench: Bench) -> None:
    """Of a line of fixed hours, where the clock shows an hour again."""
    host = replace(bench.host, clock=FakeClock(NOON))
    scheduled(bench, "30 12 * * *")
    (view,) = listed(host)
    assert (view.next_fire, view.last_fire, view.note) == (NOON + 30 * MINUTE, None, None)
    made = NOON + 30 * MINUTE
    fired(bench, made)
    (view,) = listed(host)
    assert (view.next_fire, view.last_fire) == (made + DAY, made)
    assert "ahead of the clock" in (view.note or "")
    set_enabled(host, NAME, False)
    assert listed(host)[0].next_fire is None
    set_enabled(host, NAME, True)
    (view,) = listed(host)
    assert (view.next_fire, view.last_fire, view.note) == (made, made, None)


def test_a_zone_that_this_host_does_not_know_is_told_of_in_the_list(bench: Bench) -> None:
    scheduled(bench, cron=Cron("* * * * *", "Middle/Earth"))
    (view,) = listed(bench.host)
    assert (view.next_fire, "Middle/Earth" in (view.note or "")) == (None, True)


@pytest.mark.parametrize("catch_up", CatchUp)
@pytest.mark.parametrize("ahead", [HOUR, 3 * WEEK, 52 * WEEK])
def test_a_clock_that_was_ahead_and_is_put_back_is_gone_by_at_once(
    stored: Bench, catch_up: CatchUp, ahead: timedelta
) -> None:
    """Also for the time that it shows again."""
    bench = stored
    scheduled(bench, catch_up=catch_up)
    for after in range(5, 65, 5):
        fired(bench, NOON + ahead + after * MINUTE)
    ended(bench)
    assert fired(bench, NOON + 2 * MINUTE) == 0, "what is behind this moment is not made up for"
    assert row(bench).next_fire == NOON + 5 * MINUTE
    assert [fired(bench, NOON + after * MINUTE) for after in (5, 10, 15)] == [1, 1, 1]
    assert fired(bench, NOON + 15 * MINUTE) == 0
    assert put_back(bench) == [(NOON + 2 * MINUTE).isoformat()]


def test_a_line_of_fixed_hours_does_not_fire_again_for_an_hour_that_is_shown_twice(
    bench: Bench,
) -> None:
    scheduled(bench, "30 12 * * *")
    assert fired(bench, NOON + 45 * MINUTE) == 1
    ended(bench)
    assert [fired(bench, NOON + after * MINUTE) for after in (0, 30, 45)] == [0, 0, 0]
    assert fired(bench, NOON + 30 * MINUTE + DAY) == 1
    assert put_back(bench) == []


def test_but_it_goes_by_a_clock_that_was_days_ahead(bench: Bench) -> None:
    scheduled(bench, "30 12 * * *")
    assert fired(bench, NOON + 9 * DAY) == 1
    ended(bench)
    assert [fired(bench, NOON + after * MINUTE) for after in (0, 30)] == [0, 1]


def test_hosts_whose_clocks_differ_a_little_do_not_begin_anew(bench: Bench) -> None:
    scheduled(bench)
    assert fired(bench, NOON + 5 * MINUTE) == 1
    assert fired(bench, NOON + 5 * MINUTE - timedelta(seconds=30)) == 0
    assert (row(bench).since, put_back(bench)) == (NOON + 5 * MINUTE, [])


def test_enabled_again_it_goes_on_from_the_clock_as_it_is_and_still_fires_nothing_twice(
    bench: Bench,
) -> None:
    scheduled(bench)
    assert fired(bench, NOON + 10 * MINUTE) == 1
    with bench.database.write() as session:
        schedules.set_enabled(session, NAME, False, now=NOON)
        schedules.set_enabled(session, NAME, True, now=NOON)
    assert fired(bench, NOON + 5 * MINUTE) == 1, "this one was made up for by another"
    assert fired(bench, NOON + 10 * MINUTE) == 0, "this one was made"
    assert fired(bench, NOON + 15 * MINUTE) == 1
