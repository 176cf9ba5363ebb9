"""procrastinate on PostgreSQL: a job is a row, and so is its end. It is deferred one at a time."""

from __future__ import annotations

from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.connector import BaseConnector
from procrastinate.tasks import Task

from benchmarks.peers.course import Course, Entrant, run
from benchmarks.peers.figures import Figures
from benchmarks.peers.stamps import NO_PEN, Pen
from benchmarks.servers import Servers, database_of, of_libpq

ENDED = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"


def measure(servers: Servers, course: Course) -> Figures:
    with database_of(servers.postgres) as url:
        conninfo = of_libpq(url)
        app, noop = _app(SyncPsycopgConnector(conninfo=conninfo), NO_PEN)
        with app.open(), psycopg.connect(conninfo, autocommit=True) as looking:
            app.schema_manager.apply_schema()
            entrant = Entrant(
                system="procrastinate",
                how=f"procrastinate worker, concurrency {course.hands}, an async job, defaults",
                stored="jobs in PostgreSQL, fsync; no result but the row's state; a killed worker's"
                " jobs are yours to find",
                worker=("procrastinate_postgres", conninfo),
                enqueue=lambda number: noop.defer(number=number),
                results=lambda: _count(looking),
            )
            return run(entrant, course)


def work(pen: Pen, hands: int, conninfo: str) -> None:
    app, _ = _app(PsycopgConnector(conninfo=conninfo), pen)
    app.run_worker(concurrency=hands)


def _app(connector: BaseConnector, pen: Pen) -> tuple[App, Task[..., Any, ...]]:
    app = App(connector=connector)

    @app.task(name="noop")
    async def noop(number: int) -> int:
        return pen(number)

    return app, noop


def _count(looking: psycopg.Connection) -> int:
    row = looking.execute(ENDED).fetchone()
    assert row is not None
    return int(row[0])
