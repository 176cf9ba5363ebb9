"""Disks: told when their fullness changes; while one is critical, builds wait and say why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from hive.adapters.machine import Disk
from hive.domain.fullness import CRITICAL, ROOM, WARNING, Fullness
from hive.domain.job import BUILDING, Job, JobState
from hive.domain.message import OPERATOR
from hive.domain.names import NodeName
from hive.queue.disks import Disks
from hive.queue.drive import drive
from hive.queue.submit import cancel
from hive.service.fleet import Hindrances, nodes
from hive.store import claims, events, messages, moves, workers
from hive.store.tables import JobRow
from tests.contract.queue_samples import Bench, a_bench
from tests.contract.store_samples import at_once

THERE = NodeName("there")


@pytest.fixture
def bench(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    """On SQLite, and on PostgreSQL."""
    with a_bench(tmp_path, HIVE_DATABASE_URL=database_url) as bench:
        yield bench


def looked(bench: Bench, percent: int) -> int:
    """A minute later."""
    bench.clock.advance(timedelta(minutes=1))
    return disks(bench, percent).run_once(bench.clock.now()).told


def disks(bench: Bench, percent: int) -> Disks:
    return Disks(bench.host, lambda _: Disk(percent, 1024**3))


def told(bench: Bench) -> list[str]:
    """The states that the operator was told of."""
    with bench.database.read() as session:
        said = events.behind(session, kind="node.disk")
        found = messages.listed(session, None, OPERATOR, limit=100)
    states = [event.data["state"] for event in said]
    assert [one.data and one.data["state"] for one in found if one.topic == "node.disk"] == states
    return states


def goes(bench: Bench, job: Job) -> bool:
    """It would be claimed right now."""
    with bench.database.read() as session:
        first = claims.next_of(session, job.lock, bench.clock.now())
        due = claims.due(session, job.node, bench.clock.now(), limit=10)
    assert (first is not None) == (job.id in due)
    return first is not None and first.id == job.id


def hindrance(bench: Bench, job: Job) -> str | None:
    found = {view.node.name: view for view in nodes(bench.host)}
    return Hindrances(bench.host, found, bench.clock.now()).of(bench.job(job))


def test_it_is_told_once_a_change(bench: Bench) -> None:
    for percent in (50, WARNING, WARNING + 1, CRITICAL, 100, CRITICAL, WARNING, 50, 50):
        looked(bench, percent)
    assert told(bench) == ["warning", "critical", "warning", "ok"]


@pytest.mark.parametrize("mark", [WARNING, CRITICAL])
def test_a_disk_that_flutters_around_a_mark_is_told_of_once(bench: Bench, mark: int) -> None:
    for percent in (mark, mark - 1, mark, mark - ROOM + 1, mark + 1, mark - 1, mark):
        looked(bench, percent)
    assert told(bench) == [Fullness.of(mark).value]
    looked(bench, mark - ROOM)
    assert told(bench)[1:] == [Fullness.of(mark - ROOM).value]


def test_that_there_is_room_is_no_news_at_first(bench: Bench) -> None:
    assert looked(bench, 50) == 0
    assert told(bench) == []


def test_of_many_that_find_it_out_one_tells(bench: Bench) -> None:
    assert sum(at_once(4, lambda _: looked(bench, CRITICAL))) == 1
    assert told(bench) == ["critical"]


@pytest.mark.parametrize("kind", sorted(BUILDING))
def test_a_build_waits_until_there_is_room_and_says_why(bench: Bench, kind: str) -> None:
    job = bench.submit(kind=kind)
    looked(bench, CRITICAL)
    assert not goes(bench, job)
    assert "nearly full" in (hindrance(bench, job) or "")
    looked(bench, CRITICAL - ROOM)
    assert goes(bench, job)
    assert hindrance(bench, job) is None


@pytest.mark.parametrize("kind", ["start", "stop", "restart", "destroy", "limit", "tidy"])
def test_what_builds_nothing_passes_the_builds_that_wait(bench: Bench, kind: str) -> None:
    bench.submit(kind="rebuild")
    job = bench.submit(kind=kind)
    looked(bench, CRITICAL)
    assert goes(bench, job)
    assert hindrance(bench, job) is None


def test_what_is_to_be_cancelled_passes(bench: Bench) -> None:
    job = bench.submit(kind="rebuild")
    bench.claimed()
    with bench.database.write() as session:
        moves.rescue(session, bench.job(job), now=bench.clock.now())
    looked(bench, CRITICAL)
    assert not goes(bench, job)
    cancel(bench.host, job.id)
    assert goes(bench, job)
    assert hindrance(bench, job) is None


def test_what_only_restores_passes_for_its_agent_is_down_meanwhile(bench: Bench) -> None:
    job = bench.submit(kind="apply")
    looked(bench, CRITICAL)
    with bench.database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job.id).values(restoring=True))
    assert goes(bench, job)
    assert hindrance(bench, job) is None


def test_the_disk_of_another_node_holds_up_nothing_here(bench: Bench) -> None:
    job = bench.submit(kind="rebuild")
    with bench.database.write() as session:
        workers.set_disk(session, THERE, Fullness.CRITICAL)
    assert goes(bench, job)


def test_a_command_that_works_alone_sees_that_there_is_room_again(bench: Bench) -> None:
    job = bench.submit(kind="rebuild")
    looked(bench, CRITICAL)  # by a maintenance that has ended since
    bench.heart.leave()
    host = replace(bench.host, disks=(bench.folder,))
    turns = iter(range(100))
    ended = drive(host, job.id, until=lambda: next(turns) == 99)
    assert ended.state is JobState.SUCCEEDED
