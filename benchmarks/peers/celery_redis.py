"""Celery on Redis, as it ships: a prefork worker, messages acknowledged before the job runs."""

from __future__ import annotations

from collections.abc import Callable

import redis
from celery import Celery  # type: ignore[import-untyped]

from benchmarks.peers.course import Course, Entrant, run
from benchmarks.peers.figures import Figures
from benchmarks.peers.stamps import NO_PEN, Pen
from benchmarks.servers import Servers

BROKER, RESULTS = 0, 1


def measure(servers: Servers, course: Course) -> Figures:
    servers.empty_redis()
    broker, results = (_url(servers, number) for number in (BROKER, RESULTS))
    app = _app(broker, results)
    with app, redis.Redis.from_url(servers.redis_db(RESULTS)) as stored:
        entrant = Entrant(
            system="celery",
            how=f"celery worker --concurrency {course.hands} (prefork), defaults",
            stored="jobs and results in Redis in memory; what a killed worker ran is lost",
            worker=("celery_redis", broker, results),
            enqueue=_noop(app, NO_PEN),
            results=lambda: int(str(stored.dbsize())),
        )
        return run(entrant, course)


def work(pen: Pen, hands: int, broker: str, results: str) -> None:
    app = _app(broker, results)
    _noop(app, pen)
    app.worker_main(["worker", "--concurrency", f"{hands}", "--loglevel", "WARNING"])


def _app(broker: str, results: str) -> Celery:
    return Celery("bench", broker=broker, backend=results, set_as_current=False)


def _noop(app: Celery, pen: Pen) -> Callable[[int], object]:
    """What enqueues one."""

    def noop(number: int) -> int:
        return pen(number)

    enqueue: Callable[[int], object] = app.task(name="noop")(noop).delay
    return enqueue


def _url(servers: Servers, number: int) -> str:
    """As Celery writes a socket."""
    return f"{servers.redis.replace('unix://', 'redis+socket://')}?virtual_host={number}"
