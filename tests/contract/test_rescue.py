"""Chores: jobs and rows of workers that are gone, traces of verdicts, bells; and their loop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hive.domain.job import LOSS_LIMIT, Job, JobState
from hive.domain.names import AgentName, NodeName
from hive.domain.tally import Tally
from hive.domain.worker import LEASE, Process, Role
from hive.errors import HiveError, Refused, Transient
from hive.queue.claim import locked
from hive.queue.dispatch import LocalBell
from hive.queue.prune import Prune
from hive.queue.rescue import PATIENCE, Rescue, forget_dead
from hive.queue.ring import RingAgain
from hive.queue.traces import Traces
from hive.store import claims, workers
from tests.contract.queue_samples import Bench, Moody, a_bench, raising, until
from tests.contract.store_samples import at_once
from workers.maintenance import Chore, Maintenance, chores_of, rescue_of
from workers.watch import Watch

QUEUED, RUNNING, FAILED = JobState.QUEUED, JobState.RUNNING, JobState.FAILED
NODE = NodeName("here")
MOMENT = timedelta(seconds=1)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def stored(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    """On SQLite, and on PostgreSQL."""
    with a_bench(tmp_path, HIVE_DATABASE_URL=database_url) as bench:
        yield bench


def dead(bench: Bench) -> Process:
    """Of this host: its pid is another process's now."""
    return replace(bench.host.process, started="1")


def alive(bench: Bench) -> Process:
    """Of this host: another worker than this bench's, in a process that lives."""
    parent = os.getppid()
    stat = Path(f"/proc/{parent}/stat").read_text()
    return replace(bench.host.process, pid=parent, started=stat.rpartition(")")[2].split()[19])


def far(bench: Bench) -> Process:
    return replace(bench.host.process, node=NodeName("there"), boot="another-boot")


def inside(bench: Bench) -> Process:
    """In a container of this host: the same boot, and other pids."""
    return replace(bench.host.process, namespace="pid:[1]")


def rescued(bench: Bench, rescue: Rescue | None = None) -> int:
    return (rescue or Rescue(bench.host)).run_once(bench.host.clock.now()).rescued


# Whose worker is gone


def test_a_dead_pid_of_this_host_frees_its_job_at_once(stored: Bench) -> None:
    bench = stored
    bench.submit()
    job = bench.claimed_by(dead(bench))
    bench.bell.heard.clear()
    assert rescued(bench) == 1
    found = bench.job(job)
    assert (found.state, found.losses, found.failures, found.worker) == (QUEUED, 1, 0, None)
    assert bench.bell.heard == [(NODE, job.id)]
    assert rescued(bench) == 0
    bench.attempt()
    assert bench.job(job).state is JobState.SUCCEEDED


@pytest.mark.parametrize("whose", [far, inside])
def test_where_nobody_can_look_the_lease_decides(
    stored: Bench, whose: Callable[[Bench], Process]
) -> None:
    bench = stored
    bench.submit()
    job = bench.claimed_by(whose(bench))
    assert rescued(bench) == 0
    bench.clock.advance(LEASE)
    assert rescued(bench) == 0
    bench.clock.advance(MOMENT)
    assert rescued(bench) == 1
    assert bench.job(job).losses == 1


def test_a_worker_that_nobody_knows_has_its_lease(bench: Bench) -> None:
    bench.submit()
    job = bench.claimed_by(dead(bench))
    with bench.database.write() as session:
        workers.leave(session, dead(bench).id)
    assert rescued(bench) == 0
    bench.clock.advance(LEASE + MOMENT)
    assert rescued(bench) == 1
    assert bench.job(job).state is QUEUED


def test_a_worker_that_lives_and_holds_its_lock_keeps_its_job_for_three_leases(
    bench: Bench,
) -> None:
    """It may be stopped, or its clock stepped: by the monotonic clock, since it was first seen."""
    bench.submit()
    job = bench.claimed_by(alive(bench))
    rescue = Rescue(bench.host)
    with locked(bench.host, job.lock) as locks:
        assert locks is not None
        bench.clock.advance(timedelta(hours=1))
        assert rescued(bench, rescue) == 0
        bench.clock.advance(PATIENCE - MOMENT)
        assert rescued(bench, rescue) == 0
        bench.clock.advance(MOMENT)
        assert rescued(bench, rescue) == 1
    assert bench.job(job).state is QUEUED


def test_one_that_beats_again_has_all_its_time_again(bench: Bench) -> None:
    bench.submit()
    job = bench.claimed_by(alive(bench))
    rescue = Rescue(bench.host)
    with locked(bench.host, job.lock) as locks:
        assert locks is not None
        for _ in range(4):
            assert rescued(bench, rescue) == 0
            bench.clock.advance(PATIENCE - MOMENT)
            with bench.database.write() as session:
                workers.beat(
                    session, [job.id], alive(bench).id, leased_until=bench.host.clock.now()
                )
            bench.clock.advance(timedelta(milliseconds=1))
        assert bench.job(job).state is RUNNING


def test_one_that_lives_and_let_its_job_go_loses_it_with_its_lease(bench: Bench) -> None:
    """It could not write to the database any more: then its host lock is free."""
    bench.submit()
    job = bench.claimed_by(alive(bench))
    assert rescued(bench) == 0
    bench.clock.advance(LEASE + MOMENT)
    assert rescued(bench) == 1
    with locked(bench.host, job.lock) as locks:
        assert locks is not None, "the look was only a look"


def test_what_another_node_on_this_host_holds_is_not_looked_for_among_our_locks(
    bench: Bench,
) -> None:
    """Two nodes of one machine share its pids, and not their run folders."""
    there = NodeName("there")
    job = bench.submit("bob", node=there, lock="agent:there/bob")
    process = replace(alive(bench), node=there)
    with bench.database.write() as session:
        now = bench.host.clock.now()

        workers.register(
            session, replace(bench.heart.worker, process=process, role=Role.WORKER, beat_at=now)
        )
        assert claims.claim(session, job.lock, worker=process.id, now=now, leased_until=now + LEASE)
    bench.clock.advance(LEASE + MOMENT)
    assert rescued(bench) == 0


def test_a_stepped_clock_lapses_nothing_of_this_host(bench: Bench) -> None:
    bench.submit()
    bench.claimed_by(alive(bench))
    with locked(bench.host, bench.lock()) as locks:
        assert locks is not None
        bench.clock._now += timedelta(hours=1)
        assert rescued(bench) == 0


def test_several_that_rescue_at_once_harm_nothing(stored: Bench) -> None:
    bench = stored
    jobs = []
    for name in ("ann", "ben", "cid"):
        bench.submit(name)
        jobs.append(bench.claimed_by(dead(bench), name))
    counts = at_once(4, lambda _: rescued(bench))
    assert sum(counts) == len(jobs)
    for job in jobs:
        found = bench.job(job)
        assert (found.state, found.losses, found.attempt) == (QUEUED, 1, 1)
        assert bench.events(job) == ["submit", "claim", "rescue"]


def test_a_rescue_and_an_end_at_once_are_one_of_both(stored: Bench) -> None:
    bench = stored
    job = bench.submit()
    began, goes = threading.Event(), threading.Event()

    def act() -> None:
        began.set()
        assert goes.wait(30)

    bench.does(behind=act)
    thread = threading.Thread(target=bench.attempt)
    thread.start()
    assert began.wait(30)
    taken = replace(bench.host, process=far(bench))
    bench.clock.advance(LEASE + MOMENT)
    goes.set()
    count = Rescue(taken).run_once(bench.host.clock.now()).rescued
    thread.join()
    found = bench.job(job)
    # The bench's worker is on this host, and lives: its lock decides, which it holds until its end.
    assert (count, found.state) in ((0, JobState.SUCCEEDED), (1, QUEUED), (0, RUNNING))


# What it dies of


def lose(bench: Bench) -> Job:
    job = bench.claimed_by(dead(bench))
    rescued(bench)
    return bench.job(job)


def test_the_third_loss_leaves_only_the_way_back(stored: Bench) -> None:
    bench = stored
    bench.submit()
    for losses in range(1, LOSS_LIMIT):
        found = lose(bench)
        assert (found.losses, found.restoring) == (losses, False)
    found = lose(bench)
    assert (found.state, found.losses, found.restoring) == (QUEUED, LOSS_LIMIT, True)
    bench.does(before=raising(AssertionError("it went forward")))
    bench.attempt()
    ended = bench.job(found)
    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.code == "worker-lost"
    assert "back" in bench.made()


def test_lost_on_the_way_back_too_it_has_failed(stored: Bench) -> None:
    bench = stored
    bench.submit()
    for _ in range(LOSS_LIMIT):
        lose(bench)
    ended = lose(bench)
    assert (ended.state, ended.restoring) == (FAILED, True)
    assert ended.error is not None
    assert ended.error.code == "worker-lost"
    assert ended.finished_at is not None
    assert bench.work_off() == 0


def test_lost_at_last_while_it_restored_it_tells_both_reasons(bench: Bench) -> None:
    job = bench.submit()
    bench.does(behind=raising(Refused("it fell", code="fell")), back=bench.drain)
    bench.attempt()
    for _ in range(LOSS_LIMIT + 1):
        lose(bench)
    ended = bench.job(job)
    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.code == "worker-lost"
    assert "it fell" in ended.error.message


# Workers that are gone


def test_rows_of_workers_that_are_gone_and_hold_nothing_are_forgotten(stored: Bench) -> None:
    bench = stored
    for process in (dead(bench), alive(bench), far(bench)):
        bench.submit(f"a{process.pid % 1000}-{process.node[0]}")
    _register(bench, dead(bench))
    _register(bench, alive(bench))
    _register(bench, far(bench))
    now = bench.host.clock.now
    assert forget_dead(bench.host, now()) == 0, "it may only have begun"
    bench.clock.advance(LEASE + MOMENT)
    assert forget_dead(bench.host, now()) == 2
    assert [one.id for one in bench.workers()] == [alive(bench).id]


def test_one_that_still_holds_a_job_stays_known(bench: Bench) -> None:
    bench.submit()
    bench.claimed_by(dead(bench))
    bench.clock.advance(LEASE + MOMENT)
    forget_dead(bench.host, bench.host.clock.now())
    assert [one.id for one in bench.workers()] == [dead(bench).id]


def _register(bench: Bench, process: Process) -> None:
    with bench.database.write() as session:
        now = bench.host.clock.now()
        workers.register(session, replace(bench.heart.worker, process=process, beat_at=now))


# Traces of verdicts


def traced(bench: Bench) -> int:
    return Traces(bench.host).run_once(bench.host.clock.now()).traced


def test_a_cancelled_job_that_never_ran_forgets_the_agent_that_was_to_be_new(
    stored: Bench,
) -> None:
    bench = stored
    bench.does({"left": True})
    job = bench.submit(with_row=True)
    bench.cancel(job)
    assert bench.has_agent()
    assert traced(bench) == 1
    assert not bench.has_agent()
    assert traced(bench) == 0


def test_an_agent_of_which_something_is_there_keeps_its_row(bench: Bench) -> None:
    job = bench.submit(with_row=True)
    bench.cancel(job)
    assert traced(bench) == 1
    assert bench.has_agent()


def test_the_row_is_a_newer_jobs_when_there_is_one(stored: Bench) -> None:
    bench = stored
    bench.does({"left": True})
    bench.cancel(bench.submit(with_row=True))
    bench.submit(with_row=True)
    assert traced(bench) == 1
    assert bench.has_agent()


def test_while_the_lock_is_someone_elses_it_is_left_for_later(bench: Bench) -> None:
    bench.does({"left": True})
    job = bench.submit(with_row=True)
    bench.cancel(job)
    with locked(bench.host, job.lock) as locks:
        assert locks is not None
        assert traced(bench) == 0
    assert bench.has_agent()
    assert traced(bench) == 1


def test_trouble_with_one_verdict_keeps_nobody_from_the_next(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("alice", "bob"):
        bench.cancel(bench.submit(name, with_row=True))
    troubles = [raising(Transient("the disk is full"))]
    bench.does({"left": True}, left=lambda: troubles.pop()() if troubles else None)
    assert traced(bench) == 1
    assert "trace.not-made" in caplog.text
    assert bench.has_agent(AgentName("alice"))
    assert traced(bench) == 1
    assert not bench.has_agent(AgentName("alice"))


def test_of_two_cancelled_spawns_of_one_agent_the_second_has_nothing_left_to_trace(
    bench: Bench,
) -> None:
    """By the real recipes: without a row of its agent there is no recipe."""
    host = replace(bench.host, recipe=bench.pretend.host.recipe)
    for _ in range(2):
        job = bench.submit(with_row=True, kind="spawn")
        bench.cancel(job)
    assert Traces(host).run_once(host.clock.now()).traced == 2
    assert not bench.has_agent()
    assert Traces(host).run_once(host.clock.now()).is_nothing


# The bell


def ring_again(bench: Bench) -> list[int]:
    bench.bell.heard.clear()
    RingAgain(bench.database, NODE, bench.bell).run_once(bench.host.clock.now())
    return bench.bell.jobs


def test_once_for_each_lock_in_which_something_is_due_it_rings(stored: Bench) -> None:
    bench = stored
    first = bench.submit()
    bench.submit()
    bob = bench.submit("bob")
    bench.submit("cid", run_at=bench.clock.now() + timedelta(minutes=1))
    bench.submit("dot", node=NodeName("there"), lock="agent:there/dot")
    assert sorted(ring_again(bench)) == [first.id, bob.id]
    bench.claimed()
    assert ring_again(bench) == [bob.id]


def test_what_is_due_for_long_is_rung_for_once(bench: Bench) -> None:
    """Busy workers would else find a queue in the broker that only grows."""
    ring, job = RingAgain(bench.database, NODE, bench.bell), bench.submit()
    bench.bell.heard.clear()
    assert [ring.run_once(bench.clock.now()).rung for _ in range(3)] == [1, 0, 0]
    bench.does(before=raising(Transient("no")))
    bench.attempt()
    assert ring.run_once(bench.clock.now()).rung == 0
    bench.clock.advance(timedelta(seconds=19))
    assert ring.run_once(bench.clock.now()).rung == 1
    assert bench.bell.jobs == [job.id, job.id]


def test_a_wait_that_is_over_is_rung_for(bench: Bench) -> None:
    job = bench.submit()
    bench.does(before=raising(Transient("no")))
    bench.attempt()
    assert ring_again(bench) == []
    bench.clock.advance(timedelta(seconds=19))
    assert ring_again(bench) == [job.id]


def test_a_paused_node_is_not_rung_for(bench: Bench) -> None:
    bench.submit()
    with bench.database.write() as session:
        workers.pause(session, NODE, by="test", now=bench.host.clock.now())
    assert ring_again(bench) == []


# The loop


def chore(name: str, act: Callable[[], object], every: timedelta = MOMENT) -> Chore:
    def run_once(now: object) -> Tally:
        act()
        return Tally(rung=1)

    return Chore(name, run_once, every)


def test_each_chore_has_its_turn_and_then_the_trouble_is_raised(bench: Bench) -> None:
    done = []
    first, second = Transient("first"), Transient("second")
    chores = (
        chore("a", raising(first)),
        chore("b", lambda: done.append("b")),
        chore("c", raising(second)),
        chore("d", lambda: done.append("d")),
    )
    with pytest.raises(Transient, match="first"):
        Maintenance(bench.host, chores).once()
    assert done == ["b", "d"]


def test_a_bug_in_a_chore_is_raised_when_the_others_have_had_their_turn(bench: Bench) -> None:
    done = []
    chores = (chore("a", raising(ZeroDivisionError())), chore("b", lambda: done.append("b")))
    with pytest.raises(ZeroDivisionError):
        Maintenance(bench.host, chores).once()
    assert done == ["b"]


def test_once_tells_what_was_done(bench: Bench) -> None:
    bench.submit()
    bench.claimed_by(dead(bench))
    done = Maintenance(bench.host, chores_of(bench.host)).once()
    assert (done.rescued, done.rung) == (1, 1)
    bench.attempt()
    assert Maintenance(bench.host, chores_of(bench.host)).once().is_nothing


@pytest.mark.parametrize("error", [Transient("away"), ZeroDivisionError("by nothing")])
def test_the_loop_outlives_a_chore_that_raises(
    bench: Bench, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    over, turns = threading.Event(), []

    def act() -> None:
        turns.append(bench.clock.monotonic())
        raise error

    def last() -> None:
        bench.clock.advance(MOMENT)
        if len(turns) == 3:
            over.set()

    host = bench.host
    loop = Maintenance(host, (chore("a", act), chore("b", last, timedelta(0))))
    thread = threading.Thread(target=loop.run, args=(over,))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert len(turns) == 3
    said = "a.failed" if isinstance(error, HiveError) else "a.fault"
    assert said in caplog.text


def test_each_chore_comes_again_when_its_time_has_come(bench: Bench) -> None:
    over, turns = threading.Event(), {"often": 0, "seldom": 0}

    def often() -> None:
        turns["often"] += 1
        bench.clock.advance(MOMENT)
        if turns["often"] == 5:
            over.set()

    def seldom() -> None:
        turns["seldom"] += 1

    chores = (chore("often", often, timedelta(0)), chore("seldom", seldom, 2 * MOMENT))
    Maintenance(bench.host, chores).run(over)
    assert turns == {"often": 5, "seldom": 2}


def test_every_worker_rescues(bench: Bench) -> None:
    assert rescue_of(bench.host).name == "rescue"
    names = [one.name for one in chores_of(bench.host)]
    assert names == [
        "rescue", "ring", "crashes", "traces", "disks", "notify", "workers", "schedules",
    ]  # fmt: skip


def test_prune_goes_on_until_there_is_nothing_more(stored: Bench) -> None:
    bench = stored
    for _ in range(25):
        bench.submit()
    bench.work_off()
    bench.clock.advance(timedelta(days=31))
    done = Prune(bench.database).run_once(bench.host.clock.now())
    assert done.pruned == 5
    assert Prune(bench.database).run_once(bench.host.clock.now()).is_nothing


# The watch


class Watched:
    """A watch in a thread, and the jobs that it rang for."""

    def __init__(self, bench: Bench, free: int = 2, *, answers: bool = True) -> None:
        self.rung: list[object] = []
        self.free = free
        self.over = threading.Event()
        self.bell = LocalBell(NODE, self.rung.append)
        self._answers = answers
        watch = Watch(bench.host, self.bell, False, lambda: self.free)
        self._thread = threading.Thread(target=watch.run, args=(self.over,))

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def heard(self) -> list[object]:
        """What was rung for; a worker takes it off the queue, and could not work on it."""
        queue = self.bell.broker.queues[f"hive.{NODE}"]
        while not queue.empty():
            encoded = queue.get_nowait()
            from dramatiq import Message

            self.bell._answered(Message.decode(encoded).args[0])
        return self.rung


def test_the_watch_rings_for_what_nobody_rang_for(stored: Bench) -> None:
    bench = stored
    with Watched(bench) as watched:
        job = bench.submit()
        until(lambda: job.id in watched.heard())


def test_the_watch_rings_for_no_more_than_there_is_room_for(bench: Bench) -> None:
    ids = [bench.submit(name).id for name in ("ann", "ben", "cid")]
    with Watched(bench, free=0) as watched:
        threading.Event().wait(0.1)
        assert watched.heard() == []
        watched.free = 1
        until(watched.heard)
        assert set(watched.rung) <= set(ids)


def test_what_cannot_be_taken_keeps_nobody_behind_it_waiting(bench: Bench) -> None:
    """Its lock is held by a worker that was stopped, say; there is room for one job."""
    bench.submit("ann")
    ben = bench.submit("ben")
    with Watched(bench, free=1) as watched:

        def heard() -> bool:
            bench.clock.advance(MOMENT)
            return ben.id in watched.heard()

        until(heard)


def test_the_watch_outlives_a_database_that_is_away(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    moody = Moody.of(bench.database)
    moody.away.set()
    away = replace(bench, host=replace(bench.host, database=moody))
    job = bench.submit()
    with Watched(away) as watched:
        assert moody.met.wait(30)
        assert watched.heard() == []
        moody.away.clear()
        until(lambda: job.id in watched.heard())
    assert "watch.missed" in caplog.text


def test_a_wait_that_ends_is_seen_though_nobody_writes(bench: Bench) -> None:
    job = bench.submit(run_at=bench.clock.now() + timedelta(seconds=5))
    with Watched(bench) as watched:
        threading.Event().wait(0.1)
        assert watched.heard() == []
        bench.clock.advance(timedelta(seconds=6))
        until(lambda: job.id in watched.heard())
