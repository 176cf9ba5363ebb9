"""Huey on Redis, whose worker waits in Redis for the next job."""

from __future__ import annotations

from huey import Huey, RedisHuey  # type: ignore[import-untyped]

from benchmarks.peers.course import Course, Entrant, run
from benchmarks.peers.figures import Figures
from benchmarks.peers.huey_sqlite import consume, noop_of
from benchmarks.peers.stamps import NO_PEN, Pen
from benchmarks.servers import Servers


def measure(servers: Servers, course: Course) -> Figures:
    servers.empty_redis()
    huey = _huey(servers.redis)
    entrant = Entrant(
        system="huey redis",
        how=f"huey consumer, {course.hands} threads, defaults",
        stored="jobs and results in Redis in memory; what a killed worker ran is lost",
        worker=("huey_redis", servers.redis),
        enqueue=noop_of(huey, NO_PEN),
        results=huey.result_count,
    )
    return run(entrant, course)


def work(pen: Pen, hands: int, url: str) -> None:
    huey = _huey(url)
    noop_of(huey, pen)
    consume(huey, hands)


def _huey(url: str) -> Huey:
    return RedisHuey("bench", url=url)
