"""Workers as processes: killed, stopped, drained, paused, told to cancel: what becomes of jobs."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import dramatiq
import pytest
import redis
from dramatiq import Message

from hive.adapters.locks import Locks
from hive.adapters.processes import of_session
from hive.domain.job import LOSS_LIMIT, URGENT, JobId, JobState
from hive.domain.names import NodeName
from hive.queue import submit
from hive.queue.dispatch import message, queue_of
from hive.store import events, logs, verdicts, workers
from tests.acceptance.test_spawn import Person, refused
from tests.fleet import Fleet, Running, a_fleet

LONG: Final = 100  #: seconds: nobody waits for it to end by itself
QUICK: Final = ("--quick", "20")  #: a lease of 1.5 s, a beat each 250 ms
QUEUED, RUNNING, WAITING = JobState.QUEUED, JobState.RUNNING, JobState.WAITING
CANCELLED, FAILED = JobState.CANCELLED, JobState.FAILED


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Embedded: SQLite, and no broker."""
    with a_fleet(tmp_path) as fleet:
        yield fleet


@pytest.fixture(params=["embedded", "served"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    """Embedded, and on PostgreSQL with Redis."""
    more = {}
    if request.param == "served":
        more["HIVE_DATABASE_URL"] = request.getfixturevalue("migrated_postgres_url")
        more["HIVE_REDIS_URL"] = request.getfixturevalue("redis_url")
    with a_fleet(tmp_path, **more) as fleet:
        yield fleet


def person(fleet: Fleet) -> Person:
    """With a shell on the same host."""
    more = {key: value for key, value in fleet.env.items() if key.startswith("HIVE_")}
    return Person(fleet.folder, more)


def starts(fleet: Fleet, job: JobId, what: str = "before") -> int:
    words = ("start", str(job), what)
    return sum((s, j, w) == words for s, _, j, _, w in map(str.split, fleet.record()))


# kill -9


def test_a_killed_workers_job_runs_again_on_a_restarted_one(either: Fleet) -> None:
    worker = either.ready()
    job = either.submit("alice", first=LONG, seconds=0.1)
    either.begins(job)
    worker.kill()
    either.ready()
    (ended,) = either.ends(job)
    assert (ended.attempt, ended.losses, ended.failures) == (2, 1, 0)
    assert starts(either, job) == 2
    either.checks_out(job)


def test_a_killed_workers_job_runs_again_on_another_one(either: Fleet) -> None:
    first = either.ready("worker")
    job = either.submit("alice", first=LONG, seconds=0.1)
    either.begins(job)
    either.ready("worker")
    first.kill()
    (ended,) = either.ends(job)
    assert (ended.attempt, ended.losses, ended.failures) == (2, 1, 0)
    either.checks_out(job)


def test_a_job_that_its_workers_die_of_fails_and_says_so(fleet: Fleet) -> None:
    job = fleet.submit("alice", seconds=LONG)
    for attempt in range(1, LOSS_LIMIT + 1):
        worker = fleet.ready()
        fleet.begins(job, attempt=attempt)
        worker.kill()
    fleet.ready()
    (ended,) = fleet.ends(job, state=FAILED)
    assert ended.error is not None
    assert (ended.error.code, ended.losses) == ("worker-lost", LOSS_LIMIT)
    fleet.checks_out()


def test_a_killed_program_runs_again_and_costs_a_failure(fleet: Fleet) -> None:
    fleet.ready("up", *QUICK)
    job = fleet.submit("alice", first=LONG, seconds=0)
    fleet.begins(job)
    fleet.kill_program(job)
    (ended,) = fleet.ends(job)
    assert (ended.attempt, ended.losses, ended.failures) == (2, 0, 1)
    fleet.checks_out(job)


def test_a_program_that_is_killed_too_often_fails_its_job(tmp_path: Path) -> None:
    with a_fleet(tmp_path, HIVE_FAILURE_LIMIT="2") as fleet:
        fleet.ready("up", *QUICK)
        job = fleet.submit("alice", seconds=LONG)
        for attempt in (1, 2):
            fleet.begins(job, attempt=attempt)
            fleet.kill_program(job)
        (ended,) = fleet.ends(job, state=FAILED)
        assert ended.error is not None
        assert (ended.error.code, ended.attempt) == ("command-failed", 2)
        fleet.checks_out()


def test_a_killed_commands_job_is_rescued_by_a_living_worker(fleet: Fleet) -> None:
    job = fleet.submit("alice", first=LONG, seconds=0)
    command = fleet.drill("command", str(job))
    fleet.begins(job)
    fleet.ready()
    command.kill()
    (ended,) = fleet.ends(job)
    assert (ended.attempt, ended.losses) == (2, 1)
    fleet.checks_out(job)


# A worker that is held up past its lease


def test_a_zombie_writes_nothing_and_runs_nothing_more(either: Fleet) -> None:
    zombie = either.ready("worker", *QUICK)
    job = either.submit("alice", first=LONG, seconds=0.1)
    either.begins(job)
    either.until(lambda: lines_of(either, job, attempt=1), "what it has said is written")
    either.freeze(zombie)
    either.ready("worker", *QUICK)
    either.until(lambda: either.is_in(job, QUEUED), "the job is taken from the zombie")
    written = lines_of(either, job, attempt=1)

    zombie.signal(signal.SIGCONT)
    (ended,) = either.ends(job)

    assert (ended.attempt, ended.losses, ended.failures) == (2, 1, 0)
    assert lines_of(either, job, attempt=1) == written
    assert [line for line in either.record() if line.startswith("stop")] == [
        f"stop alice {job} 2 before"
    ]
    zombie.signal(signal.SIGTERM)
    assert zombie.ended() == 0
    assert "Traceback" not in zombie.err
    either.checks_out(job)


def lines_of(fleet: Fleet, job: JobId, *, attempt: int) -> list[str]:
    with fleet.host.database.read() as session:
        return [line.text for line in logs.of(session, job) if line.attempt == attempt]


# Drain


def test_what_ends_within_the_drain_ends_and_the_rest_is_given_back(either: Fleet) -> None:
    worker = either.ready("worker", "--drain", "2")
    short = either.submit("alice", seconds=0.7)
    long = either.submit("bob", first=LONG, seconds=0)
    behind = either.submit("alice", seconds=0)
    either.begins(short)
    either.begins(long)

    worker.signal(signal.SIGTERM)
    assert worker.ended() == 0

    either.ends(short)
    given_back = either.job(long)
    assert (given_back.state, given_back.attempt) == (QUEUED, 1)
    assert (given_back.failures, given_back.losses, given_back.worker) == (0, 0, None)
    assert (either.job(behind).state, either.job(behind).attempt) == (QUEUED, 0)
    with either.host.database.read() as session:
        assert workers.listed(session) == []
    either.ready()
    (ended, _) = either.ends(long, behind)
    assert (ended.attempt, ended.failures, ended.losses) == (2, 0, 0)
    either.checks_out(short, long, behind)


def test_a_second_signal_hurries(fleet: Fleet) -> None:
    worker = fleet.ready("up", "--drain", "3600")
    job = fleet.submit("alice", seconds=LONG)
    fleet.begins(job)
    worker.signal(signal.SIGTERM)
    fleet.said(worker, "worker.draining")
    assert fleet.is_in(job, RUNNING)
    worker.signal(signal.SIGTERM)
    assert worker.ended() == 0
    assert fleet.job(job).state is QUEUED
    assert (fleet.job(job).failures, fleet.job(job).losses) == (0, 0)


# Cancel


def cancel(fleet: Fleet, job: JobId) -> JobState:
    return submit.cancel(fleet.host, job).state


def test_a_job_that_has_never_run_is_cancelled_at_once_without_any_worker(fleet: Fleet) -> None:
    job = fleet.submit("alice")
    assert cancel(fleet, job) is CANCELLED
    fleet.ready()
    later = fleet.submit("alice")
    fleet.ends(later)
    assert starts(fleet, job) == 0


def test_a_program_that_ignores_the_cancel_is_gone_soon(fleet: Fleet) -> None:
    fleet.ready()
    job = fleet.submit("alice", seconds=LONG, manner="stubborn")
    fleet.begins(job)
    program = fleet.session_of(job)
    assert cancel(fleet, job) is RUNNING
    fleet.until(
        lambda: fleet.is_in(job, CANCELLED), "the job is cancelled", within=timedelta(seconds=15)
    )
    assert not Path(f"/proc/{program}").exists()
    assert fleet.effects(job) == set()
    fleet.checks_out()


def test_a_job_at_its_gate_is_cancelled_at_once(fleet: Fleet) -> None:
    fleet.ready()
    job = fleet.submit("alice", gate=True)
    fleet.until(lambda: fleet.is_in(job, WAITING), "the job waits")
    assert cancel(fleet, job) is CANCELLED


def test_a_queued_job_that_has_switched_is_restored_before_it_is_cancelled(fleet: Fleet) -> None:
    job = fleet.submit("alice", seconds=0, behind=LONG, switch=True)
    worker = fleet.ready("up", "--drain", "0")
    fleet.begins(job, what="behind")
    worker.signal(signal.SIGTERM)
    assert worker.ended() == 0
    assert cancel(fleet, job) is QUEUED

    fleet.ready()
    (ended,) = fleet.ends(job, state=CANCELLED)
    assert ended.attempt == 2
    assert fleet.effects(job) == {"before", "back"}
    assert not list((fleet.state / "drill").glob("switched-*"))
    fleet.checks_out(job)


# Pause, gate, priority, retry


def test_a_paused_node_claims_nothing_new(fleet: Fleet) -> None:
    fleet.ready("up", *QUICK)
    runs = fleet.submit("alice", seconds=0.5)
    fleet.begins(runs)
    shell = person(fleet)
    shell.does("pause")
    behind, beside = fleet.submit("alice"), fleet.submit("bob")

    fleet.ends(runs)
    has_beaten = heard_after(fleet)
    fleet.until(has_beaten, "the worker is there, and has looked")
    for job in (behind, beside):
        assert (fleet.job(job).state, fleet.job(job).attempt) == (QUEUED, 0)
        assert "paused" in shell.sees("job", "show", str(job))["note"]

    shell.does("resume")
    fleet.ends(behind, beside)
    fleet.checks_out(runs, behind, beside)


def heard_after(fleet: Fleet, *, beats: int = 4) -> Callable[[], bool]:
    """Whether the workers have been heard so many times since."""
    seen: set[datetime] = set()

    def is_heard() -> bool:
        with fleet.host.database.read() as session:
            seen.update(worker.beat_at for worker in workers.listed(session))
        return len(seen) > beats

    return is_heard


def test_a_parked_job_holds_no_worker_no_lease_and_no_lock(fleet: Fleet) -> None:
    fleet.ready("up", "--concurrency", "1")
    parked = fleet.submit("alice", gate=True)
    fleet.until(lambda: fleet.is_in(parked, WAITING), "the job waits")
    assert fleet.job(parked).worker is None

    def is_free() -> bool:
        lock = Locks().take(fleet.host.layout.lock(fleet.job(parked).lock), note_children=False)
        if lock is not None:
            lock.release()
        return lock is not None

    fleet.until(is_free, "its lock is free")
    other, beside = fleet.submit("alice", seconds=0.1), fleet.submit("bob")
    fleet.ends(other, beside)
    assert fleet.job(parked).state is WAITING

    with fleet.host.database.write() as session:
        verdicts.approve(session, parked, by="me", seen={}, now=fleet.host.clock.now())
    (ended,) = fleet.ends(parked)
    assert (ended.attempt, ended.failures, ended.losses) == (2, 0, 0)
    assert starts(fleet, parked) == 1
    fleet.checks_out(parked, other, beside)


def test_an_urgent_job_makes_one_that_is_not_firm_give_way(fleet: Fleet) -> None:
    fleet.ready()
    build = fleet.submit("alice", first=LONG, seconds=0)
    fleet.begins(build)
    stop = fleet.submit("alice", priority=URGENT)
    ended, _ = fleet.ends(build, stop)
    assert (ended.attempt, ended.failures, ended.losses) == (2, 0, 0)
    assert [line for line in fleet.record() if line.startswith("stop")] == [
        f"stop alice {stop} 1 before",
        f"stop alice {build} 2 before",
    ]
    fleet.checks_out(build, stop)


def test_an_urgent_job_waits_for_one_that_is_firm(fleet: Fleet) -> None:
    fleet.ready()
    build = fleet.submit("alice", seconds=0, behind=2.5, switch=True)
    fleet.begins(build, what="behind")
    stop = fleet.submit("alice", priority=URGENT)
    ended, _ = fleet.ends(build, stop)
    assert ended.attempt == 1
    assert fleet.record()[-2:] == [f"start alice {stop} 1 before", f"stop alice {stop} 1 before"]
    fleet.checks_out(build, stop)


def test_retries_wait_longer_each_time(fleet: Fleet) -> None:
    fleet.ready("up", *QUICK)
    first = timedelta(seconds=15) / 20
    job = fleet.submit("alice", fails=2)
    waits = []
    for failures in (1, 2):
        seen = fleet.until(
            lambda: j if (j := fleet.job(job)).run_at and j.failures == failures else None,  # noqa: B023 - asked at once
            f"it has failed {failures} times",
        )
        assert seen.error is not None
        assert seen.error.code == "drilled"
        with fleet.host.database.read() as session:
            (*_, again) = events.behind(session, kind="job.again", job=job)
        assert seen.run_at is not None
        waits.append(seen.run_at - again.at)
    (ended,) = fleet.ends(job)
    assert (ended.failures, ended.attempt, ended.error) == (2, 3, None)
    assert first <= waits[0] <= first * 1.25
    assert 2 * first <= waits[1] <= first * 2.5


# The command line, while others work


@contextmanager
def hive_up(fleet: Fleet) -> Iterator[Running]:
    """The real one, on the pretend host, with the recipes that ship."""
    up = fleet.hive("up")
    fleet.said(up, "worker.ready")
    yield up
    up.signal(signal.SIGTERM)
    assert up.ended() == 0, up.err
    assert "Traceback" not in up.err


def test_a_spawn_follows_the_worker_that_runs_it(fleet: Fleet) -> None:
    shell = person(fleet)
    with hive_up(fleet) as up:
        (worker,) = shell.sees("workers")["workers"]
        assert (worker["pid"], worker["role"], worker["alive"]) == (up.pid, "up", True)
        told = fleet.hive("events", "-f", "--json")
        job = shell.sees("spawn", "alice", "--key", "mine")
        assert (job["state"], job["attempt"], job["worker"]) == ("succeeded", 1, None)
        assert f"job.moved job={job['id']} state=succeeded" in up.err

        fleet.until(lambda: "job.finish" in told.out, "events -f tells the end")
        happened = [json.loads(line)["kind"] for line in told.out.splitlines()]
        assert [kind for kind in happened if kind.startswith("job.")] == [
            "job.submit", "job.claim", "job.finish",
        ]  # fmt: skip
        assert shell.sees("spawn", "alice", "--key", "mine")["id"] == job["id"]
        refused(shell.hive("spawn", "bob", "--key", "mine"), 2, "key-reused")
        assert len(shell.sees("jobs")) == 1
        assert shell.sees("wait", str(job["id"])) == job
        shell.does("maintenance", "--once")
    assert shell.sees("workers")["workers"] == []


def test_a_log_is_followed_to_the_end_of_its_job(fleet: Fleet) -> None:
    fleet.ready()
    job = fleet.submit("alice", seconds=0.5)
    log, waiting = fleet.hive("logs", str(job), "-f"), fleet.hive("wait", str(job), "--json")
    fleet.begins(job)
    fleet.until(lambda: "drill" in log.out, "the first line is there while it runs")
    assert (log.ended(), waiting.ended()) == (0, 0)
    assert json.loads(waiting.out)["state"] == "succeeded"


def test_what_is_followed_and_cancelled_says_so_everywhere(fleet: Fleet) -> None:
    worker = fleet.ready()
    shell = person(fleet)
    job = fleet.submit("alice", seconds=LONG)
    queued = fleet.submit("alice")
    fleet.begins(job)
    (seen,) = shell.sees("workers")["workers"]
    assert [one["id"] for one in seen["jobs"]] == [job]
    log, waiting = fleet.hive("logs", str(job), "-f"), fleet.hive("wait", str(job))
    assert shell.sees("cancel", str(queued))["state"] == "cancelled"
    assert shell.sees("cancel", str(job))["state"] == "cancelled"
    assert (log.ended(), waiting.ended()) == (0, 1)
    assert "[illegal-move]" in shell.hive("cancel", str(job)).tail
    assert "Traceback" not in worker.err
    fleet.checks_out()


def test_a_command_takes_over_when_the_worker_that_it_follows_is_killed(fleet: Fleet) -> None:
    up = fleet.hive("up")
    fleet.said(up, "worker.ready")
    command = fleet.hive("spawn", "alice")
    fleet.until(lambda: "CandidatePinned" in command.err, "the spawn is under way")
    up.kill()
    assert command.ended() == 0, command.err
    assert command.out.startswith("http://127.")
    job = person(fleet).sees("job", "show", "1")
    assert (job["state"], job["attempt"], job["losses"]) == ("succeeded", 2, 1)
    assert "Traceback" not in command.err


def test_an_interrupted_command_gives_its_job_back_and_says_so(fleet: Fleet) -> None:
    fleet.takes_to_boot(5)
    command = fleet.hive("spawn", "alice")
    fleet.until(lambda: "ProposedSeeded" in command.err, "the spawn is under way")
    command.signal(signal.SIGINT)
    assert command.ended() == 130
    assert "job 1 is queued again" in command.err
    job = person(fleet).sees("job", "show", "1")
    assert (job["state"], job["failures"], job["losses"]) == ("queued", 0, 0)
    with hive_up(fleet):
        assert person(fleet).sees("wait", "1")["state"] == "succeeded"


# Messages that say nothing


def raw(node: str, args: Any, actor: str = "hive.ring") -> Message[Any]:  # noqa: ANN401 - whatever
    return Message(queue_name=queue_of(NodeName(node)), actor_name=actor, args=args, kwargs={},
                   options={})  # fmt: skip


IDLE: Final = raw("here", (1,)).encode()  #: without what Dramatiq adds when it is sent


def test_messages_about_no_job_of_this_node_are_dropped(tmp_path: Path, redis_url: str) -> None:
    with a_fleet(tmp_path, HIVE_REDIS_URL=redis_url) as fleet:
        worker = fleet.ready("worker")
        done = fleet.submit("alice")
        elsewhere = fleet.submit("bob", node=NodeName("there"))
        fleet.ends(done)
        from dramatiq.brokers.redis import RedisBroker

        broker = RedisBroker(url=redis_url, middleware=[])  # type: ignore[no-untyped-call]
        broker.declare_queue(queue_of(fleet.host.node))
        for job in (done, elsewhere, JobId(987_654)):
            broker.enqueue(message(fleet.host.node, job))
        for args in ((), ("7",), (None,), ({"a": 1},), ([1, 2],), (1.5,), (-1,), (2**80,), (1, 2)):
            broker.enqueue(raw("here", args))
        queue = f"dramatiq:{queue_of(fleet.host.node)}"
        with redis.Redis.from_url(redis_url) as client:
            for at, garbage in enumerate((b"", b"\xff\x00", b"{}", b"[1]", b'{"args": "x"}', IDLE)):
                client.hset(f"{queue}.msgs", f"garbage-{at}", garbage)
                client.rpush(queue, f"garbage-{at}")
            client.rpush(queue, "of-no-message")
            fleet.until(lambda: client.llen(queue) == 0, "the queue is empty")

        job = fleet.submit("alice")
        fleet.ends(job)
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0
        assert "Traceback" not in worker.err, worker.err
        stopped = next(line for line in worker.err.splitlines() if "worker.stopped" in line)
        for why in ("'unknown': ", "'elsewhere': 1", "'not-queued': ", "'not-a-job': 12"):
            assert why in stopped
        assert fleet.job(elsewhere).state is QUEUED


def test_a_message_of_an_unknown_actor_is_dropped(tmp_path: Path, redis_url: str) -> None:
    with a_fleet(tmp_path, HIVE_REDIS_URL=redis_url) as fleet:
        worker = fleet.ready("worker")
        from dramatiq.brokers.redis import RedisBroker

        broker: dramatiq.Broker = RedisBroker(url=redis_url, middleware=[])  # type: ignore[no-untyped-call]
        broker.declare_queue(queue_of(fleet.host.node))
        broker.enqueue(raw("here", (1,), actor="somebody.else"))
        job = fleet.submit("alice")
        fleet.ends(job)
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0
        assert "Traceback" not in worker.err, worker.err


def test_nothing_of_a_test_is_left(tmp_path: Path) -> None:
    with a_fleet(tmp_path) as fleet:
        worker = fleet.ready()
        job = fleet.submit("alice", seconds=LONG)
        fleet.begins(job)
        program = fleet.session_of(job)
    assert not worker.is_there
    assert list(of_session(program)) == []
