"""hive's queue beside those that somebody would take instead, and beside what no queue can beat.

One run on one machine, on a Redis and a PostgreSQL of its own: figures of two runs do not compare.
`python -m benchmarks.queue [--json] [--jobs N] [--samples N] [--history N] [--quick]`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

from benchmarks import alive, history
from benchmarks.floor import beside, ceiling, disk
from benchmarks.peers.everyone import HANDS, PEERS, courses_of, measured
from benchmarks.peers.figures import Figures
from benchmarks.rows import Row, show
from benchmarks.servers import Servers, database_of, servers
from hive.domain.job import FINISH, NewJob
from hive.domain.names import AgentName, NodeName
from hive.domain.worker import LEASE
from hive.jobs.catalog import lock_of
from hive.store import claims, jobs, migrate, moves
from hive.store.session import Database, open_database

NODE = NodeName("bench")
AGENTS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--history", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="without history, kills and idling")
    asked = parser.parse_args()
    with servers() as given:
        rows = [*disk(given.folder), *_claims(given, asked.jobs)]
        told = list(measured(given, courses_of(asked.jobs, asked.samples, HANDS), list(PEERS)))
        rows += [row for figures in told for row in figures.rows()]
        rows += _ratios(told)
        if not asked.quick:
            rows += alive.measured(given, 10, timedelta(seconds=20), True)
            rows += history.measured(given, asked.history)
    show(rows, as_json=asked.json)
    for figures in told:
        print(f"{figures.system}: {figures.how}; {figures.stored}", file=sys.stderr)


def _claims(given: Servers, count: int) -> Iterator[Row]:
    """Claim and complete, through the store, beside the same statements through the bare driver."""
    file = f"sqlite:///{given.folder}/claims/hive.sqlite"
    _fill(file, count)
    yield from beside(file, _cycle).rows("claim + complete sqlite")
    with database_of(given.postgres) as url:
        _fill(url, count)
        yield from beside(url, _cycle).rows("claim + complete postgres")
        both = ceiling(url, _cycle, HANDS[0])
        yield Row(
            f"claim + complete postgres, {HANDS[0]} connections", "bare", round(both, 1), "/s"
        )


def _fill(url: str, count: int) -> None:
    database = open_database(url)
    with closing(_Disposed(database)):
        migrate.upgrade(database)
        with database.write() as session:
            for number in range(count):
                agent = AgentName(f"a{number % AGENTS}")
                new = NewJob("noop", NODE, agent, {}, lock_of(NODE, agent), "bench")
                jobs.submit(session, new, now=datetime.now(UTC))


class _Disposed:
    def __init__(self, database: Database) -> None:
        self.close = database.dispose


def _cycle(database: Database) -> int:
    """Two transactions a job, each as durable as a worker's."""
    done = 0
    now = datetime.now(UTC)
    for number in range(AGENTS):
        lock = lock_of(NODE, AgentName(f"a{number}"))
        while _one(database, lock, now):
            done += 1
    return done


def _one(database: Database, lock: str, now: datetime) -> bool:
    with database.write() as session:
        job = claims.claim(session, lock, worker="w", now=now, leased_until=now + LEASE)
    if job is None:
        return False
    with database.write() as session:
        moves.make(session, job.id, FINISH, now=now, attempt=job.attempt, result={})
    return True


def _ratios(told: list[Figures]) -> Iterator[Row]:
    """With as many hands each, and each with the number with which it does most."""
    for peer in ("celery", "procrastinate"):
        done = {one: _done(told, one) for one in ("hive", peer)}
        for hands in HANDS:
            ratio = done["hive"][hands] / done[peer][hands]
            yield Row(f"jobs, {hands} hands, hive/{peer}", "hive", round(ratio, 2), "ratio")
        ratio = max(done["hive"].values()) / max(done[peer].values())
        yield Row(f"jobs, the best of each, hive/{peer}", "hive", round(ratio, 2), "ratio")


def _done(told: list[Figures], system: str) -> dict[int, float]:
    return {one.hands: one.jobs_per_second for one in told if one.system == system}


if __name__ == "__main__":
    main()
