"""What the store's tests put into a database, and how they race for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import select, text

from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.job import Job, JobId, NewJob
from hive.domain.names import AgentName, NodeName
from hive.domain.worker import Process, Role, Worker
from hive.errors import Transient
from hive.store import claims, jobs
from hive.store.session import Database, Session

Result = TypeVar("Result")

ON_POSTGRES = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
"""For what cannot happen on SQLite, where writers take turns."""

NODE = NodeName("here")
ALICE = AgentName("alice")
BOB = AgentName("bob")
NOW = datetime(2031, 4, 5, 6, 7, 8, 90, tzinfo=UTC)
LEASE = timedelta(seconds=30)
LATER = NOW + LEASE
EVEN_LATER = LATER + timedelta(minutes=5)
ALICES_LOCK = "agent:here/alice"
BOBS_LOCK = "agent:here/bob"

_A_SPAWN = NewJob(
    kind="spawn",
    node=NODE,
    agent=ALICE,
    ask={"agent": "alice"},
    lock=ALICES_LOCK,
    requested_by="uid:0",
)


def new_job(**overrides: object) -> NewJob:
    return replace(_A_SPAWN, **overrides)  # type: ignore[arg-type]  # a test knows its fields


def a_job(session: Session, **overrides: object) -> Job:
    job, _ = jobs.submit(session, new_job(**overrides), now=NOW)
    return job


def claimed(
    session: Session, lock: str = ALICES_LOCK, worker: str = "w1", now: datetime = NOW
) -> Job | None:
    """What stands first in the lock, with a lease of thirty seconds."""
    return claims.claim(session, lock, worker=worker, now=now, leased_until=now + LEASE)


def a_running_job(session: Session, worker: str = "w1", **overrides: object) -> Job:
    """One that stood first in its lock."""
    job = a_job(session, **overrides)
    running = claimed(session, job.lock, worker)
    assert running is not None
    assert running.id == job.id
    return running


def found(database: Database, job: JobId) -> Job:
    with database.read() as session:
        return jobs.find(session, job)


def row(database: Database, job: JobId) -> dict[str, object]:
    """All of it: also what no `Job` carries."""
    with database.read() as session:
        result = session.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": job})
        return dict(result.mappings().one())


def instant(database: Database, job: JobId, column: str) -> datetime | None:
    """One that no `Job` carries."""
    with database.read() as session:
        found: datetime | None = session.scalar(select(jobs.C[column]).where(jobs.C.id == job))
        return found


def a_worker(**overrides: object) -> Worker:
    process = Process(NODE, 4711, "123456", "a-boot-id", "4026531836")
    worker = Worker(process, Role.WORKER, "0.1.0", 4, draining=False, since=NOW, beat_at=NOW)
    return replace(worker, **overrides)  # type: ignore[arg-type]  # a test knows its fields


def an_agent(**overrides: object) -> Agent:
    agent = Agent(NODE, ALICE, 8879, Desired.RUNNING, AgentSettings())
    return replace(agent, **overrides)  # type: ignore[arg-type]  # a test knows its fields


def claimed_at_once(database: Database, locks: Sequence[str]) -> list[Job]:
    """What was claimed by threads that began together, one a lock: who was raced claims nothing."""

    def claim(number: int) -> Job | None:
        try:
            with database.write() as session:
                return claimed(session, locks[number], f"w{number}")
        except Transient as error:
            assert error.code == claims.RACED
            return None

    return [job for job in at_once(len(locks), claim) if job is not None]


def at_once(count: int, act: Callable[[int], Result]) -> list[Result]:
    """What `act` gave in each of `count` threads that began together."""
    ready = Barrier(count)

    def begin(number: int) -> Result:
        ready.wait()
        return act(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(begin, range(count)))


def beside(
    database: Database, first: Callable[[Session], object], then: Callable[[Session], Result]
) -> Result:
    """What `then` gave, in a transaction that begins before the one of `first` is committed.

    The commit waits until `then` does: on PostgreSQL, for a row that `first` has.
    """

    def act() -> Result:
        with database.write() as session:
            return then(session)

    with ThreadPoolExecutor(1) as thread:
        with database.write() as session:
            first(session)
            later = thread.submit(act)
            while not (later.done() or is_one_blocked(database)):
                pass
        return later.result()


def is_one_blocked(database: Database) -> bool:
    """On PostgreSQL, by a lock."""
    asked = (
        "SELECT count(*), pg_sleep(0.01) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with database.read() as session:
        return bool(session.execute(text(asked)).one()[0])
