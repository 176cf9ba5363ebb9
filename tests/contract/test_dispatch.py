"""The bell, who answers it, and the clock of a fleet: on a real Redis and PostgreSQL."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis

from hive.adapters.clock import SystemClock
from hive.domain.job import Job, JobId, JobState
from hive.domain.names import NodeName
from hive.domain.worker import Role
from hive.errors import Refused
from hive.queue.claim import next_claim
from hive.queue.clock import ASKED_EVERY, DatabaseClock
from hive.queue.dispatch import (
    SEND,
    WAIT,
    LocalBell,
    RedisBell,
    _Ear,
    message,
    queue_of,
    redis_broker,
)
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.store import session as store
from hive.store.session import Session, open_database
from hive.testing import FakeClock
from tests.contract.queue_samples import Bench, Moody, a_bench, until
from tests.services import a_redis
from workers.main import Choices, Supervisor

NODE = NodeName("here")
NOWHERE = "unix:///nonexistent/redis.sock"
QUICKLY = 0.5
QUEUES = 2  #: of each, Dramatiq has one for what is delayed
MESSAGES = f"dramatiq:hive.{NODE}"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """By the true clock."""
    with a_bench(tmp_path) as bench:
        bench.host = replace(bench.host, clock=SystemClock())
        with Heart(bench.host, Role.WORKER) as heart:
            bench.heart = heart
            yield bench


def seconds(act: Callable[[], object]) -> float:
    began = SystemClock().monotonic()
    act()
    return SystemClock().monotonic() - began


# What is said


def test_a_message_says_one_job_to_one_actor_in_the_queue_of_its_node() -> None:
    said = message(NodeName("some.host-1"), JobId(7))
    assert (said.queue_name, said.actor_name) == ("hive.some.host-1", "hive.ring")
    assert (said.args, said.kwargs, said.options) == ((7,), {}, {})
    assert queue_of(NODE) == "hive.here"


def test_a_name_that_a_node_may_have_is_one_that_a_queue_may_have() -> None:
    heard: list[object] = []
    for name in ("a", "a.b", "a-b_c.d", "Z9"):
        LocalBell(NodeName(name), heard.append)


# In this process


def rung(bell: LocalBell) -> list[Any]:
    """What waits to be answered, which is then taken off the queue."""
    found, queue = [], bell.broker.queues["hive.here"]
    while not queue.empty():
        found.append(dramatiq.Message.decode(queue.get_nowait()).args[0])
    return found


def test_who_was_rung_for_and_not_answered_is_not_rung_for_again() -> None:
    answered: list[object] = []
    bell = LocalBell(NODE, answered.append)
    for job in (1, 1, 2, 1):
        bell.ring(NODE, JobId(job))
    assert rung(bell) == [1, 2]
    bell._answered(1)
    assert answered == [1]
    bell.ring(NODE, JobId(1))
    bell.ring(NODE, JobId(2))
    assert rung(bell) == [1]


def test_a_ring_while_it_is_answered_is_heard() -> None:
    """Else what was submitted just as a worker looked would wait for a poll."""
    bell: LocalBell

    def answer(job: object) -> None:
        bell.ring(NODE, JobId(1))

    bell = LocalBell(NODE, answer)
    bell.ring(NODE, JobId(1))
    rung(bell)
    bell._answered(1)
    assert rung(bell) == [1]


# Through Redis


@contextmanager
def listening(url: str, answer: Callable[[object], None]) -> Iterator[None]:
    broker = redis_broker(url, NODE, answer)
    worker = dramatiq.Worker(broker, worker_timeout=25, worker_threads=2)
    worker.start()
    try:
        yield
    finally:
        worker.stop(timeout=2_000)
        broker.client.close()


@contextmanager
def a_bell(url: str) -> Iterator[RedisBell]:
    bell = RedisBell(url)
    try:
        yield bell
    finally:
        bell.close()


def test_a_ring_is_heard_by_who_listens_on_its_node(redis_url: str) -> None:
    heard: list[object] = []
    with a_bell(redis_url) as bell, listening(redis_url, heard.append):
        bell.ring(NodeName("there"), JobId(6))
        for job in (7, 8):
            bell.ring(NODE, JobId(job))
        until(lambda: len(heard) == 2)
    assert sorted(map(str, heard)) == ["7", "8"]
    assert bell.lost == 0


def test_who_waits_for_a_ring_waits_in_redis(redis_url: str) -> None:
    """Dramatiq would look every 25 ms; who waits there is told at once, and asks for nothing."""
    heard: list[object] = []
    with a_bell(redis_url) as bell, listening(redis_url, heard.append):
        until(lambda: looks(redis_url) > 0)
        before, began = looks(redis_url), SystemClock().monotonic()
        SystemClock().sleep(timedelta(seconds=1))
        asked, waited = looks(redis_url) - before, SystemClock().monotonic() - began
        assert asked <= 2 * QUEUES * (waited / WAIT + 1)
        bell.ring(NODE, JobId(7))
        until(lambda: heard == [7])


def looks(url: str) -> int:
    """How often a queue was looked into."""
    with redis.Redis.from_url(url) as client:
        stats: dict[str, dict[str, int]] = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))


def test_a_ring_that_was_waited_for_stays_until_it_is_fetched(redis_url: str) -> None:
    """Killed between its wait and its fetch, an ear takes no ring with it."""
    broker = redis_broker(redis_url, NODE, lambda _: None)
    broker.enqueue(message(NODE, JobId(7)))
    ear = broker.consume(queue_of(NODE), prefetch=1)
    assert isinstance(ear, _Ear)
    assert ear._has_waited()
    assert messages(redis_url) == 1
    heard = next(ear)
    assert heard is not None
    assert heard.args == (7,)
    assert not ear._has_waited(), "as many have rung as may be answered"
    broker.client.close()


def test_what_was_rung_before_the_process_ends_goes_out(redis_url: str) -> None:
    bell = RedisBell(redis_url)
    bell.ring(NODE, JobId(7))
    bell.close()
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(MESSAGES) == 1


def test_without_a_ring_nothing_is_started_or_connected() -> None:
    bell = RedisBell(NOWHERE)
    assert seconds(bell.close) < QUICKLY
    assert bell._thread is None


def test_a_dead_redis_neither_fails_nor_delays_a_submit(bench: Bench) -> None:
    with a_bell(NOWHERE) as bell:
        host = replace(bench.host, bell=bell)
        bench.host = host

        def many() -> None:
            for name in ("ann", "ben", "cid", "dot"):
                bench.submit(name)

        assert seconds(many) < 2.0
        until(lambda: bell.lost == 4)


def test_a_paused_redis_delays_nobody_and_what_is_lost_is_counted() -> None:
    with a_redis() as server:
        server.start()
        with a_bell(server.url) as bell:
            bell.ring(NODE, JobId(1))
            until(lambda: messages(server.url) == 1)
            server.pause()

            def many() -> None:
                for job in range(1_000):
                    bell.ring(NODE, JobId(job))

            assert seconds(many) < SEND, "who rings waits for no answer"
            until(lambda: bell.lost == 1_000)
            server.go_on()
            SystemClock().sleep(timedelta(seconds=1.1))
            bell.ring(NODE, JobId(2))
            until(lambda: messages(server.url) >= 2)


def messages(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.llen(MESSAGES))


def test_a_process_ends_at_once_though_redis_is_paused() -> None:
    with a_redis() as server:
        server.start()
        with a_bell(server.url) as bell:
            server.pause()
            bell.ring(NODE, JobId(1))
            assert seconds(bell.close) < QUICKLY
            server.go_on()


def test_what_is_no_url_of_a_redis_is_refused_before_anything_is_accepted() -> None:
    with pytest.raises(Refused) as refused:
        RedisBell("nonsense://of:secret@it")
    assert refused.value.code == "bad-redis-url"
    assert "secret" not in refused.value.message


# Who answers


def serve(
    host: Host,
    act: Callable[[Supervisor], object],
    **choices: Any,  # noqa: ANN401 - those of Choices
) -> Supervisor:
    """A worker in this thread, until `act` beside it has ended."""
    given = {"role": Role.WORKER, "concurrency": 1, "drain": timedelta(0), "redis_url": None}
    supervisor = Supervisor(host, Choices(**{**given, **choices}))

    def beside() -> None:
        try:
            act(supervisor)
        finally:
            supervisor.stop()

    with ThreadPoolExecutor(1) as threads:
        acted = threads.submit(beside)
        supervisor.run()
        acted.result()
    return supervisor


def ended(bench: Bench, job: Job) -> bool:
    return bench.job(job).state is JobState.SUCCEEDED


def test_a_worker_runs_what_is_due_and_is_registered_while_it_lives(bench: Bench) -> None:
    job = bench.submit()

    def act(supervisor: Supervisor) -> None:
        until(lambda: ended(bench, job))
        (worker,) = bench.workers()
        assert (worker.role, worker.concurrency, worker.draining) == (Role.WORKER, 1, False)

    serve(bench.host, act)
    assert bench.workers() == []


def test_messages_that_say_no_job_of_this_node_are_dropped_and_counted(
    bench: Bench, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And none keeps a worker from the next one."""
    caplog.set_level(logging.INFO)
    over = bench.submit("bob")
    bench.attempt("bob")
    there = bench.submit("cid", node=NodeName("there"), lock="agent:there/cid")
    queue = queue_of(NODE)
    heard: list[object] = []

    def send(*args: object, actor: str = "hive.ring", **kwargs: object) -> None:
        broker.enqueue(dramatiq.Message(queue, actor, args, kwargs, {}))

    broker = redis_broker(redis_url, NODE, heard.append)

    def act(supervisor: Supervisor) -> None:
        for said in ("x", None, [1], {"a": 1}, 1.5, True):
            send(said)
        send()
        for number in (4711, 0, -1, 10**30):
            send(number)
        send(over.id)
        send(there.id)
        send(1, actor="hive.unknown")
        send(1, 2, 3, a=4)
        with redis.Redis.from_url(redis_url) as client:
            client.hset(f"dramatiq:{queue}.msgs", "garbage", b"\xff{")
            client.rpush(f"dramatiq:{queue}", "garbage", "of-no-message")
        job = bench.submit()
        send(job.id)
        until(lambda: ended(bench, job))
        until(lambda: supervisor.dropped["not-a-job"] >= 7)
        until(lambda: supervisor.dropped["unknown"] >= 4)
        until(lambda: supervisor.dropped["elsewhere"] and supervisor.dropped["not-queued"])

    supervisor = serve(bench.host, act, redis_url=redis_url, concurrency=2)
    broker.client.close()
    assert supervisor.dropped["elsewhere"] == 1
    assert supervisor.dropped["not-queued"] >= 1
    assert "Traceback" not in caplog.text


def test_a_worker_whose_redis_is_away_finds_its_jobs_itself(bench: Bench) -> None:
    def act(supervisor: Supervisor) -> None:
        job = bench.submit()
        until(lambda: ended(bench, job))

    serve(bench.host, act, redis_url=NOWHERE)


def test_a_worker_that_is_stopped_gives_back_what_it_runs(bench: Bench) -> None:
    job = bench.submit()
    began = threading.Event()

    def act(supervisor: Supervisor) -> None:
        def long() -> None:
            began.set()
            supervisor.heart.attempts()[0].halt.wait(timedelta(seconds=30))

        bench.does(before=long)
        supervisor._local.ring(NODE, job.id)
        assert began.wait(30)

    bench.does(before=lambda: threading.Event().wait(0.2))
    serve(bench.host, act)
    left = bench.job(job)
    assert left.state in (JobState.QUEUED, JobState.SUCCEEDED)
    assert (left.failures, left.losses) == (0, 0)
    assert bench.workers() == []


def held_up(bench: Bench, supervisor: Supervisor, began: threading.Event) -> Callable[[], None]:
    """A step that ends when its worker stops."""

    def act() -> None:
        mine = threading.current_thread()
        began.set()
        (attempt,) = supervisor.heart.attempts()
        assert mine is threading.current_thread()
        attempt.halt.wait(timedelta(seconds=30))

    return act


def test_a_job_that_waited_for_a_free_slot_is_not_begun_when_the_worker_stops(
    bench: Bench,
) -> None:
    began = threading.Event()
    bob = []

    def act(supervisor: Supervisor) -> None:
        bench.does(before=held_up(bench, supervisor, began))
        bench.submit()
        assert began.wait(30)
        bob.append(bench.submit("bob"))
        threading.Thread(target=supervisor._answer, args=(bob[0].id,)).start()
        until(lambda: supervisor._slots._change._waiters)  # type: ignore[attr-defined]

    serve(bench.host, act)
    left = bench.job(bob[0])
    assert (left.state, left.attempt, left.losses) == (JobState.QUEUED, 0, 0)


def test_what_was_claimed_in_the_moment_of_the_stop_is_given_back_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the claim and the first beat for it nothing seems to run."""
    first = bench.submit()
    second = []

    def act(supervisor: Supervisor) -> None:
        def claim(session: Session, host: Host, heart: Heart, lock: str) -> Job | None:
            claimed = next_claim(session, host, heart, lock)
            if claimed is not None:
                supervisor.stop()
            return claimed

        monkeypatch.setattr("hive.queue.execute.next_claim", claim)

        def before() -> None:
            (attempt,) = supervisor.heart.attempts()
            if attempt.job.id != first.id:
                attempt.halt.wait(timedelta(seconds=10))

        bench.does(before=before)
        second.append(bench.submit(priority=5))
        go.set()
        until(lambda: ended(bench, first))

    go = threading.Event()
    bench.does(before=lambda: go.wait(30))
    bench.host.bell.ring(NODE, first.id)
    serve(bench.host, act)
    left = bench.job(second[0])
    assert left.state is JobState.QUEUED
    assert (left.failures, left.losses, left.worker) == (0, 0, None)


# The clock of a fleet


@pytest.fixture
def away(migrated_postgres_url: str) -> Iterator[Moody]:
    database = open_database(migrated_postgres_url)
    yield Moody.of(database)
    database.dispose()


def test_the_time_of_a_fleet_is_its_databases(away: Moody) -> None:
    here = FakeClock()
    clock = DatabaseClock(away, here)
    with away.read() as session:
        before = store.now(session)
    now = clock.now()
    with away.read() as session:
        after = store.now(session)
    assert before <= now <= after
    here.advance(timedelta(seconds=10))
    assert clock.now() == now + timedelta(seconds=10)
    assert clock.monotonic() == here.monotonic()
    clock.sleep(timedelta(seconds=5))
    assert here.slept == [timedelta(seconds=5)]


def test_a_step_of_this_hosts_clock_moves_nothing(away: Moody) -> None:
    here = FakeClock()
    clock = DatabaseClock(away, here)
    now = clock.now()
    here._now += timedelta(hours=1)
    assert clock.now() == now


def test_it_is_asked_again_now_and_then(away: Moody) -> None:
    here = FakeClock()
    clock = DatabaseClock(away, here)
    now = clock.now()
    here.advance(ASKED_EVERY + timedelta(seconds=1))
    assert clock.now() - now < timedelta(seconds=30), "this clock ran ahead, and is put right"


def test_while_its_database_is_away_it_counts_on_and_asks_seldom(away: Moody) -> None:
    """Each line of a log asks what time it is, and a server that hangs takes seconds to say so."""
    here = FakeClock()
    clock = DatabaseClock(away, here)
    now = clock.now()
    away.away.set()
    passed = ASKED_EVERY + timedelta(seconds=1)
    here.advance(passed)
    assert clock.now() == now + passed
    assert away.met.is_set()
    away.met.clear()
    for _ in range(100):
        here.advance(timedelta(milliseconds=10))
        clock.now()
    assert not away.met.is_set()
    away.away.clear()
    here.advance(ASKED_EVERY)
    assert clock.now() - now < timedelta(seconds=30)


def test_one_thread_asks_and_the_others_do_not_wait_for_it(away: Moody) -> None:
    here = FakeClock()
    clock = DatabaseClock(away, here)
    now = clock.now()
    here.advance(ASKED_EVERY + timedelta(seconds=1))
    away.hangs.set()
    asker = threading.Thread(target=clock.now)
    asker.start()
    assert away.met.wait(30)
    assert clock.now() > now
    away.back.set()
    asker.join(30)
    assert not asker.is_alive()


def test_a_database_that_was_never_there_leaves_this_hosts_clock() -> None:
    here = FakeClock()
    database = open_database("postgresql://nobody@/nothing?host=/nonexistent")
    assert DatabaseClock(database, here).now() == here.now()
    database.dispose()
