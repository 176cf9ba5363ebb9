"""The queues that somebody would take instead, one after the other on one course.

`python -m benchmarks.peers.everyone [--json] [--jobs N] [--samples N]
[--hands N]… [PEER…]`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence

from benchmarks.peers import (
    celery_redis,
    dramatiq_redis,
    hive_queue,
    huey_redis,
    huey_sqlite,
    procrastinate_postgres,
)
from benchmarks.peers.course import Course
from benchmarks.peers.figures import Figures
from benchmarks.rows import show
from benchmarks.servers import Servers, servers

Measure = Callable[[Servers, Course], Figures]
HANDS = (2, 8)
"""A worker's default on this machine, and more than it has cores: some do better, some worse."""

PEERS: dict[str, Measure] = {
    "hive": hive_queue.on_postgres,
    "hive-sqlite": hive_queue.embedded,
    "celery": celery_redis.measure,
    "dramatiq": dramatiq_redis.measure,
    "huey-sqlite": huey_sqlite.measure,
    "huey-redis": huey_redis.measure,
    "procrastinate": procrastinate_postgres.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--hands", type=int, action="append", help="several: each in turn")
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    asked = parser.parse_args()
    if unknown := set(asked.peers) - PEERS.keys():
        parser.error(f"no peer is called {', '.join(sorted(unknown))}")
    with servers() as given:
        courses = courses_of(asked.jobs, asked.samples, asked.hands or HANDS)
        seen = list(measured(given, courses, asked.peers or list(PEERS)))
    show([row for figures in seen for row in figures.rows()], as_json=asked.json)
    for figures in seen:
        print(f"{figures.system}: {figures.how}; {figures.stored}", file=sys.stderr)


def courses_of(jobs: int, samples: int, hands: Sequence[int]) -> list[Course]:
    """Pickups are measured with the first number of hands only: an idle worker needs one."""
    first, *others = hands
    return [Course(jobs, samples, first), *(Course(jobs, 0, count) for count in others)]


def measured(given: Servers, courses: Sequence[Course], names: Sequence[str]) -> Iterator[Figures]:
    for name in names:
        for course in courses:
            yield PEERS[name](given, course)


if __name__ == "__main__":
    main()
