"""The job that prunes, from its fire to its result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from hive.domain.job import Job, JobState
from hive.errors import StepDidNotHold
from hive.queue import of_node
from hive.queue.submit import submit
from hive.queue.work import work
from hive.steps.pruned import Pruned
from hive.steps.step import Differs, Holds
from tests.contract.queue_samples import Bench, a_bench

LONG = timedelta(days=40)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def stored(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    """On SQLite, and on PostgreSQL."""
    with a_bench(tmp_path, HIVE_DATABASE_URL=database_url) as bench:
        yield bench


def pruned(bench: Bench) -> Job:
    """A prune, worked on by its real recipe."""
    host = replace(bench.host, recipe=bench.pretend.host.recipe)
    job = submit(host, of_node.prune(host.node, by="test")).job
    assert work(host, bench.heart, job.lock)
    return bench.job(job)


def test_where_nothing_is_old_nothing_changes(stored: Bench) -> None:
    bench = stored
    bench.submit()
    bench.work_off()
    job = pruned(bench)
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"changed": 0})


def test_it_takes_away_what_was_old_and_says_how_much(stored: Bench) -> None:
    bench = stored
    for _ in range(25):
        bench.submit()
    bench.work_off()
    bench.clock.advance(LONG)
    job = pruned(bench)
    assert job.state is JobState.SUCCEEDED
    assert job.result is not None
    assert job.result["changed"] > 5
    assert pruned(bench).result == {"changed": 0}


def test_prunes_that_changed_nothing_go_a_week_later(bench: Bench) -> None:
    idle = pruned(bench)
    bench.clock.advance(timedelta(days=8))
    assert pruned(bench).result == {"changed": 1}
    assert idle.result == {"changed": 0}


@dataclass
class Pile:
    """Of things that are old; more may fall on it."""

    left: int
    falls: int = 0
    taken: int = 0

    def due(self, now: object) -> int:
        return self.left

    def take_away(self, now: object, *, between: object) -> None:
        self.taken, self.left = self.left, self.falls


def test_the_sentence_is_so_when_nothing_is_due(bench: Bench) -> None:
    now = bench.clock.now()
    world = bench.pretend.world()
    assert Pruned(Pile(0), now).check(world) == Holds("nothing is due")
    pile = Pile(3)
    step = Pruned(pile, now)
    assert step.check(world) == Differs("3 or more are due")
    step.apply(world)
    assert isinstance(step.check(world), Holds)
    step.apply(world)
    assert pile.left == 0


def test_what_does_not_go_is_no_success(bench: Bench) -> None:
    with pytest.raises(StepDidNotHold):
        bench.pretend.run(Pruned(Pile(3, falls=1), bench.clock.now()))
