"""A long history: how looks at jobs bear a million that are over, and how prune keeps up.

`python -m benchmarks.history [--json] [--jobs N]`
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from sqlalchemy import text

from benchmarks.peers.figures import percentile
from benchmarks.rows import Row, show
from benchmarks.servers import Servers, database_of, servers
from hive.domain.job import JobId, JobState
from hive.domain.names import AgentName
from hive.queue.prune import Prune
from hive.store import jobs, migrate, steps
from hive.store.session import Database, open_database

AGENTS: Final = 50
LOOKS: Final = 200
NOW: Final = datetime(2031, 1, 1, tzinfo=UTC)
EVERY: Final = timedelta(seconds=60)  #: one job a minute: a million are two years
PRUNED: Final = 20_000  #: jobs of which the rate is taken

#: One statement each, in the words of both databases; `n` counts from 1.
COUNTED: Final = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :jobs)",
    "postgresql": "WITH c(n) AS (SELECT generate_series(1, :jobs))",
}
AT: Final = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', :first, '+' || (n * :every) || ' seconds')",
    "postgresql": "CAST(:first AS timestamptz) + n * :every * interval '1 second'",
}
JOBS: Final = """
INSERT INTO jobs (kind, node, agent, ask, state, attempt, failures, losses, restoring, lock,
  priority, requested_by, created_at, started_at, finished_at, queued_at, pruned)
{counted} SELECT CASE n % 5 WHEN 0 THEN 'spawn' WHEN 1 THEN 'rebuild' ELSE 'reconcile' END,
  'bench', 'a' || (n % {agents}), '{{}}', CASE n % 50 WHEN 0 THEN 'failed' ELSE 'succeeded' END,
  1, 0, 0, false, 'agent:bench/a' || (n % {agents}), 0, 'bench', {at}, {at}, {at}, {at}, false
FROM c
"""
STEPS: Final = """
INSERT INTO steps (job_id, position, attempt, name, state, because, seconds, started_at)
SELECT id, p.n, 1, 'Built', 'held', 'it was so', 0.1, finished_at
FROM jobs, (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2) AS p WHERE id > :after
"""
LINES: Final = """
INSERT INTO log_lines (job_id, attempt, step, stream, at, text)
SELECT id, 1, 'Built', 'out', finished_at, 'a line of a program, as long as such lines are'
FROM jobs, (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2) AS p WHERE id <= :upto
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    asked = parser.parse_args()
    with servers() as given:
        show(list(measured(given, asked.jobs)), as_json=asked.json)


def measured(given: Servers, count: int) -> Iterator[Row]:
    with opened(f"sqlite:///{given.folder}/history/hive.sqlite") as database:
        yield from _looked(database, count)
    with database_of(given.postgres) as url, opened(url) as database:
        yield from _looked(database, count)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = open_database(url)
    try:
        migrate.upgrade(database)
        yield database
    finally:
        database.dispose()


def _looked(database: Database, count: int) -> Iterator[Row]:
    _fill(database, count)
    of = f"{count:,} jobs {database.dialect}"
    draw = Random(7)
    for what, look in _looks(database, draw, count).items():
        taken = [_milliseconds(look) for _ in range(LOOKS)]
        yield Row(f"{of}: {what} p95", "hive", round(percentile(taken, 95), 2), "ms")
    yield Row(f"{of}: prune", "hive", round(_pruned(database, count)), "jobs/s")


def _fill(database: Database, count: int) -> None:
    """The newest jobs ended just now; steps of all, lines of the oldest, which prune will take."""
    first = NOW - count * EVERY
    words = {"counted": COUNTED[database.dialect], "at": AT[database.dialect], "agents": AGENTS}
    bound = {"jobs": count, "every": EVERY.total_seconds(), "first": _said(database, first)}
    with database.migrate() as connection:
        connection.execute(text(JOBS.format(**words)), bound)
        connection.execute(text(STEPS), {"after": max(0, count - 100_000)})
        connection.execute(text(LINES), {"upto": PRUNED})
    with database.migrate() as connection:  # as autovacuum would
        connection.execute(text("ANALYZE"))


def _said(database: Database, at: datetime) -> object:
    return at.strftime("%Y-%m-%d %H:%M:%S") if database.dialect == "sqlite" else at


def _looks(database: Database, draw: Random, count: int) -> dict[str, Callable[[], object]]:
    def listed(**asked: object) -> None:
        with database.read() as session:
            found = jobs.listed(session, **asked)  # type: ignore[arg-type]
            steps.of_all(session, [job.id for job in found])

    def shown() -> None:
        with database.read() as session:
            job = jobs.find(session, JobId(draw.randint(1, count)))
            steps.of(session, job.id)

    return {
        "hive jobs": listed,
        "hive jobs --agent": lambda: listed(agent=AgentName(f"a{draw.randrange(AGENTS)}")),
        "hive jobs --state failed": lambda: listed(state=JobState.FAILED),
        "hive jobs --agent --state --kind": lambda: listed(
            agent=AgentName(f"a{draw.randrange(AGENTS)}"), state=JobState.FAILED, kind="spawn"
        ),
        "hive jobs --agent --state succeeded": lambda: listed(
            agent=AgentName(f"a{draw.randrange(AGENTS)}"), state=JobState.SUCCEEDED
        ),
        "hive jobs --state waiting": lambda: listed(state=JobState.WAITING),
        "hive job show": shown,
    }


def _milliseconds(look: Callable[[], object]) -> float:
    begun = time.perf_counter()
    look()
    return (time.perf_counter() - begun) * 1e3


def _pruned(database: Database, count: int) -> float:
    """Of the oldest jobs, which have lines to lose."""
    when = NOW - (count - PRUNED) * EVERY + timedelta(days=30)
    begun = time.perf_counter()
    done = Prune(database).run_once(when)
    return done.pruned / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
