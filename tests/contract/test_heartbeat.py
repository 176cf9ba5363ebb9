"""The heart of a worker: leases that are kept, cancels that are heard, and when it must stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.clock import SystemClock
from hive.domain.job import Job, JobState, StepState
from hive.domain.worker import BEAT, LEASE, Role
from hive.errors import Halted, Reason
from hive.queue import heartbeat
from hive.queue.attempt import STOP_BEFORE, Attempt
from hive.queue.claim import claim, locked
from hive.queue.execute import execute
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.store import jobs, workers
from hive.testing import FakeClock
from tests.contract.queue_samples import SOON, Bench, Moody, a_bench, until
from tests.forks import FORKS


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with a_bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def stored(tmp_path: Path, database_url: str) -> Iterator[Bench]:
    """On SQLite, and on PostgreSQL."""
    with a_bench(tmp_path, HIVE_DATABASE_URL=database_url) as bench:
        yield bench


def ran_on(bench: Bench, host: Host, heart: Heart, job: Job) -> None:
    with locked(host, job.lock) as locks:
        assert locks is not None
        mine = claim(host, heart, job.lock)
        assert mine is not None
        execute(host, heart, mine, locks)


# Leases


def test_a_lease_is_renewed_for_as_long_as_a_step_runs(stored: Bench) -> None:
    bench, job = stored, stored.submit()
    leases = []

    def long() -> None:
        for _ in range(20):
            bench.clock.advance(BEAT)
            bench.seen()
            leases.append(bench.lease(job))
            assert leases[-1] == bench.clock.now() + LEASE
        assert bench.running().has_lease

    bench.does(before=long)
    bench.attempt()
    assert len(set(leases)) == len(leases)
    ended = bench.job(job)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)


def test_between_two_beats_the_rows_are_read_and_nothing_is_written(bench: Bench) -> None:
    job = bench.submit()

    def look() -> None:
        bench.seen()
        before = bench.lease(job), bench.workers()
        bench.clock.advance(BEAT / 4)
        turned = bench.heart.turned_at
        until(lambda: bench.heart.turned_at != turned)
        assert (bench.lease(job), bench.workers()) == before

    bench.does(before=look)
    bench.attempt()
    assert bench.job(job).state is JobState.SUCCEEDED


def test_a_worker_beats_without_a_job_too_and_a_command_does_not(bench: Bench) -> None:
    bench.heart.start()
    bench.clock.advance(BEAT)
    bench.seen()
    (worker,) = bench.workers()
    assert (worker.id, worker.beat_at) == (bench.host.worker, bench.clock.now())
    with bench.database.write() as session:
        workers.leave(session, worker.id)
    with Heart(bench.host, Role.COMMAND) as heart:
        heart.start()
        bench.clock.advance(BEAT)
        turned = heart.turned_at
        heart.wake()
        until(lambda: heart.turned_at != turned)
    assert [one.role for one in bench.workers()] in ([], [Role.WORKER])


def test_who_wakes_the_heart_is_answered_now_and_not_when_it_is_time(bench: Bench) -> None:
    bench.heart.start()
    clock = SystemClock()
    began = clock.monotonic()
    for _ in range(6):
        bench.seen()
    assert clock.monotonic() - began < 2 * heartbeat.LOOK.total_seconds()


# What the rows say


def test_a_cancel_on_the_row_halts_the_attempt(stored: Bench) -> None:
    bench, job = stored, stored.submit()

    def cancelled() -> None:
        bench.cancel_seen()
        assert bench.running().halt.reason is Reason.CANCELLED

    bench.does(before=cancelled)
    bench.attempt()
    assert bench.job(job).state is JobState.CANCELLED


def test_a_cancel_is_seen_within_a_look_without_anybody_waking_it(bench: Bench) -> None:
    job = bench.submit()

    def cancelled() -> None:
        bench.cancel(job)
        until(lambda: bench.running().halt.reason, within=3 * heartbeat.LOOK)

    bench.does(before=cancelled)
    bench.attempt()
    assert bench.job(job).state is JobState.CANCELLED


def test_an_attempt_that_was_fenced_out_is_halted_and_writes_nothing(stored: Bench) -> None:
    bench, job = stored, stored.submit()
    seen = []

    def stolen() -> None:
        bench.stolen(job)
        seen.append(bench.job(job))
        bench.seen()
        bench.running().halt.check()

    bench.does(before=stolen)
    bench.attempt()
    assert [bench.job(job)] == seen
    assert bench.lease(job) == bench.clock.now()  # the thief's
    assert bench.steps(job) == [StepState.APPLYING], "as it was before"


def test_a_beat_does_not_renew_the_lease_of_another_attempt(bench: Bench) -> None:
    job = bench.submit()

    def stolen() -> None:
        bench.stolen(job)
        bench.clock.advance(BEAT)
        bench.seen()

    bench.does(before=stolen)
    bench.attempt()
    assert bench.lease(job) == bench.clock.now() - BEAT


# A database that is away


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_who_cannot_beat_is_stopped_before_its_lease_ends(bench: Bench, how: str) -> None:
    moody = Moody.of(bench.database, only="hive-heart")
    host = replace(bench.host, database=moody)
    job = bench.submit()
    lease = []

    def away() -> None:
        lease.append(bench.lease(job))
        (moody.away if how == "fails" else moody.hangs).set()
        heart.wake()
        assert moody.met.wait(SOON.total_seconds())
        (attempt,) = heart.attempts()
        bench.clock.advance(LEASE - STOP_BEFORE - timedelta(seconds=1))
        SystemClock().sleep(2 * heartbeat.LOOK)
        assert attempt.halt.reason is None
        bench.clock.advance(timedelta(seconds=1))
        assert lease[0] is not None
        assert bench.clock.now() < lease[0]
        until(lambda: attempt.halt.reason, within=3 * heartbeat.LOOK)
        assert attempt.halt.reason is Reason.FENCED
        attempt.halt.check()

    bench.does(before=away)
    with Heart(host, Role.WORKER) as heart:
        try:
            ran_on(bench, host, heart, job)
        finally:
            moody.back.set()
    left = bench.job(job)
    assert (left.state, left.attempt, left.restoring) == (JobState.RUNNING, 1, False)
    assert bench.lease(job) == lease[0]
    assert bench.steps(job)[1:] == [], "nothing is written any more"


def test_a_lease_counts_from_before_the_database_was_asked(bench: Bench) -> None:
    """Its answer came late: so much less is left."""
    job = bench.submit()
    bench.does(before=lambda: late(bench.running()))

    def late(attempt: Attempt) -> None:
        asked = bench.clock.monotonic()
        bench.clock.advance(timedelta(seconds=20))
        attempt.renewed(asked)
        bench.clock.advance(timedelta(seconds=5))
        assert not attempt.has_lease
        attempt.renewed(bench.clock.monotonic())

    bench.attempt()
    assert bench.job(job).state is JobState.SUCCEEDED


def test_a_database_that_comes_back_in_time_costs_nothing(bench: Bench) -> None:
    moody = Moody.of(bench.database, only="hive-heart")
    host = replace(bench.host, database=moody)
    job = bench.submit()

    def away() -> None:
        (attempt,) = heart.attempts()
        moody.away.set()
        heart.wake()
        bench.clock.advance(timedelta(seconds=20))
        SystemClock().sleep(heartbeat.LOOK)
        moody.away.clear()
        until(lambda: bench.lease(job) == bench.clock.now() + LEASE)
        bench.clock.advance(timedelta(seconds=20))
        until(lambda: attempt.has_lease)

    bench.does(before=away)
    with Heart(host, Role.WORKER) as heart:
        ran_on(bench, host, heart, job)
    assert bench.job(job).state is JobState.SUCCEEDED


def test_an_attempt_whose_lease_has_ended_begins_no_step(bench: Bench) -> None:
    attempt = Attempt(bench.submit(), bench.clock)
    attempt.looking(firm=False)
    bench.clock.advance(LEASE - STOP_BEFORE)
    with pytest.raises(Halted) as halted:
        attempt.looking(firm=False)
    assert halted.value.reason is Reason.FENCED


# Who is there


def test_who_claims_has_registered_in_the_same_moment(stored: Bench) -> None:
    bench = stored
    assert bench.workers() == []
    bench.submit()
    bench.claimed()
    (worker,) = bench.workers()
    assert (worker.id, worker.role, worker.draining) == (bench.host.worker, Role.WORKER, False)
    assert worker.process == bench.host.process


def test_one_that_drains_says_so_now(bench: Bench) -> None:
    with bench.database.write() as session:
        bench.heart.register(session)
    bench.heart.start()
    bench.heart.drain()
    until(lambda: bench.workers()[0].draining, within=2 * heartbeat.LOOK)


def test_one_that_leaves_is_not_there_any_more(stored: Bench) -> None:
    stored.submit()
    stored.attempt()
    assert len(stored.workers()) == 1
    stored.heart.leave()
    assert stored.workers() == []


def test_one_that_leaves_a_job_behind_stays_known_so_that_its_pid_frees_it(bench: Bench) -> None:
    bench.submit()
    job = bench.claimed()
    bench.heart.leave()
    with bench.database.read() as session:
        ((running, worker, _),) = workers.running(session)
    assert running.id == job.id
    assert worker is not None
    assert worker.id == bench.host.worker


def test_one_that_cannot_say_that_it_leaves_leaves_all_the_same(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.submit()
    bench.attempt()
    moody = Moody.of(bench.database)
    moody.away.set()
    with Heart(replace(bench.host, database=moody), Role.WORKER) as heart:
        heart._is_registered = True
        heart.leave()
    assert "worker.not-unregistered" in caplog.text
    assert len(bench.workers()) == 1


def test_its_threads_end_with_it(bench: Bench) -> None:
    with Heart(bench.host, Role.WORKER) as heart:
        heart.start()
        heart.start()
        ours = list(heart._threads)
        assert sorted(thread.name for thread in ours) == ["hive-guard", "hive-heart"]
    assert not any(thread.is_alive() for thread in ours)


# What hangs before its exec


def hang(folder: Path, stuck: float, answer: Any) -> None:  # noqa: ANN401 - a queue of another process
    """A worker, one of whose programs is past its deadline and cannot be ended."""
    heartbeat.STUCK = timedelta(seconds=stuck)  # type: ignore[misc]  # in a process of its own
    heartbeat.LOOK = timedelta(milliseconds=20)  # type: ignore[misc]
    with a_bench(folder) as bench:
        job = bench.submit()
        with bench.database.read() as session:
            attempt = Attempt(jobs.find(session, job.id), FakeClock())
        with bench.heart.keeps(attempt), attempt.halt.program(timedelta(0)):
            threading.Event().wait(1.0)
    answer.put("survived")


@pytest.mark.parametrize("is_stuck", [True, False])
def test_a_worker_whose_program_hangs_past_its_deadline_is_killed(
    tmp_path: Path, is_stuck: bool
) -> None:
    answer = FORKS.Queue()
    process = FORKS.Process(target=hang, args=(tmp_path, 0.1 if is_stuck else 60.0, answer))
    process.start()
    process.join(SOON.total_seconds())
    assert process.exitcode == (-signal.SIGKILL if is_stuck else 0)
    answer.close()
