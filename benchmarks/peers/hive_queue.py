"""hive itself on the course: jobs that do nothing, by the store and the worker of real ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from benchmarks.peers.course import Course, Entrant, run
from benchmarks.peers.figures import Figures
from benchmarks.peers.stamps import NO_PEN, Pen
from benchmarks.servers import Servers, database_of
from hive import bootstrap
from hive.adapters.world import World
from hive.domain.job import Job, NewJob
from hive.domain.names import AgentName
from hive.domain.worker import Role
from hive.jobs.catalog import lock_of
from hive.jobs.recipe import Recipe
from hive.queue import submit
from hive.queue.host import Host
from hive.settings import Settings
from hive.steps.step import Step
from hive.store import migrate
from workers.main import Choices, Supervisor

NO_FILE = Path("/nonexistent/hive.toml")
AGENTS = 20
"""Jobs of one agent run one after the other; these are beside each other."""
ENDED = "SELECT count(*) FROM jobs WHERE state = 'succeeded'"


@dataclass(frozen=True, slots=True)
class Noop(Recipe):
    """A recipe of no steps: what is left is the queue."""

    kind: ClassVar[str] = "noop"
    of: AgentName
    number: int
    pen: Pen

    @property
    def agent(self) -> AgentName:
        return self.of

    def plan(self) -> tuple[Step, ...]:
        return ()

    def result(self, world: World) -> dict[str, object]:  # noqa: ARG002
        return {"number": self.pen(self.number)}


def on_postgres(servers: Servers, course: Course) -> Figures:
    with database_of(servers.postgres) as url:
        servers.empty_redis()
        more = {"HIVE_DATABASE_URL": url, "HIVE_REDIS_URL": servers.redis}
        how = f"hive worker, concurrency {course.hands}, {AGENTS} agents"
        return _measured(servers, course, "hive", how, more)


def embedded(servers: Servers, course: Course) -> Figures:
    how = f"hive up, concurrency {course.hands}, {AGENTS} agents"
    return _measured(servers, course, "hive sqlite", how, {})


def work(pen: Pen, hands: int, *given: str) -> None:
    env = dict(word.split("=", 1) for word in given)
    role = Role.WORKER if "HIVE_REDIS_URL" in env else Role.UP
    with opened(env, pen) as (host, settings):
        Supervisor(host, Choices(role, hands, timedelta(0), settings.redis_url)).run()


@contextmanager
def opened(env: Mapping[str, str], pen: Pen = NO_PEN) -> Iterator[tuple[Host, Settings]]:
    settings = Settings.from_env(env, config=NO_FILE)
    host = bootstrap.build(settings, env)

    def recipe(job: Job) -> Noop:
        assert job.agent is not None
        return Noop(job.agent, job.ask["number"], pen)

    try:
        yield replace(host, recipe=recipe), settings
    finally:
        host.bell.close()
        host.database.dispose()


def enqueue(host: Host, number: int) -> None:
    agent = AgentName(f"a{number % AGENTS}")
    lock = lock_of(host.node, agent)
    submit.submit(host, NewJob(Noop.kind, host.node, agent, {"number": number}, lock, "bench"))


def ended(host: Host) -> int:
    from sqlalchemy import text

    with host.database.read() as session:
        return int(session.execute(text(ENDED)).scalar_one())


def _measured(
    servers: Servers, course: Course, system: str, how: str, more: Mapping[str, str]
) -> Figures:
    state = servers.folder / system.replace(" ", "-")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "HIVE_BACKEND": "sim",
        "HIVE_NODE": "bench",
        "HIVE_STATE_DIR": str(state),
        **more,
    }
    if "HIVE_DATABASE_URL" in more:
        from hive.store.session import open_database

        database = open_database(more["HIVE_DATABASE_URL"])
        migrate.upgrade(database)
        database.dispose()
    with opened(env) as (host, _):
        entrant = Entrant(
            system=system,
            how=how,
            stored="job, attempt, result and events in one database, fsync; a killed worker's jobs"
            " run again",
            worker=("hive_queue", *(f"{key}={value}" for key, value in env.items())),
            enqueue=lambda number: enqueue(host, number),
            results=lambda: ended(host),
        )
        return run(entrant, course)
