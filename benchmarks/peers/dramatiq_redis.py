"""Dramatiq on Redis, with stored results; its worker is set to look often, and to fetch enough.

With two threads it fetches four messages at a time and then sleeps: 500 jobs a second, whatever
the machine could do.
"""

from __future__ import annotations

import signal

import redis
from dramatiq import Actor, Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers.course import POLL_MS, Course, Entrant, run
from benchmarks.peers.figures import Figures
from benchmarks.peers.stamps import NO_PEN, Pen
from benchmarks.servers import Servers

BROKER, RESULTS = 0, 1
PREFETCH = 64


def measure(servers: Servers, course: Course) -> Figures:
    servers.empty_redis()
    urls = [servers.redis_db(number) for number in (BROKER, RESULTS)]
    broker = _broker(*urls)
    noop = _noop(broker, NO_PEN)
    with redis.Redis.from_url(servers.redis_db(RESULTS)) as stored:
        entrant = Entrant(
            system="dramatiq",
            how=f"one dramatiq.Worker, {course.hands} threads, worker_timeout {POLL_MS} ms (default"
            f" 1000), queue_prefetch {PREFETCH} (default {2 * course.hands})",
            stored="jobs and results in Redis in memory; a killed worker's come back in minutes",
            worker=("dramatiq_redis", *urls),
            enqueue=noop.send,
            results=lambda: int(str(stored.dbsize())),
        )
        try:
            return run(entrant, course)
        finally:
            broker.close()


def work(pen: Pen, hands: int, broker_url: str, results_url: str) -> None:
    broker = _broker(broker_url, results_url)
    _noop(broker, pen)
    worker = Worker(broker, worker_threads=hands, worker_timeout=POLL_MS)
    worker.queue_prefetch = PREFETCH  # what dramatiq_queue_prefetch in the environment does
    worker.start()
    signal.pause()


def _broker(url: str, results: str) -> RedisBroker:
    broker = RedisBroker(url=url)  # type: ignore[no-untyped-call]
    backend = RedisBackend(url=results)
    broker.add_middleware(Results(backend=backend, store_results=True))  # type: ignore[no-untyped-call]
    return broker


def _noop(broker: RedisBroker, pen: Pen) -> Actor[[int], int]:
    def noop(number: int) -> int:
        return pen(number)

    return Actor(
        noop, broker=broker, actor_name="noop", queue_name="default", priority=0, options={}
    )
