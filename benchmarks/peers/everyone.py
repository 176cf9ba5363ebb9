"""The queues that somebody would take instead, one after the other on one course.

`python -m benchmarks.peers.everyone [--json] [--jobs N] [--samples N] [PEER…]`
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
from benchmarks.peers.figures import Figures
from benchmarks.rows import show
from benchmarks.servers import Servers, servers

Measure = Callable[[Servers, int, int], Figures]

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
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    asked = parser.parse_args()
    if unknown := set(asked.peers) - PEERS.keys():
        parser.error(f"no peer is called {', '.join(sorted(unknown))}")
    with servers() as given:
        seen = list(measured(given, asked.jobs, asked.samples, asked.peers or list(PEERS)))
    show([row for figures in seen for row in figures.rows()], as_json=asked.json)
    for figures in seen:
        print(f"{figures.system}: {figures.how}; {figures.stored}", file=sys.stderr)


def measured(given: Servers, jobs: int, samples: int, names: Sequence[str]) -> Iterator[Figures]:
    for name in names:
        yield PEERS[name](given, jobs, samples)


if __name__ == "__main__":
    main()
