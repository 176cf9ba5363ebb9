"""What the store's tests put into a database, and how they race for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TypeVar

from sqlalchemy.orm import Session

from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.job import Job, JobId, NewJob
from hive.domain.names import AgentName, NodeName
from hive.store import jobs

Result = TypeVar("Result")

NODE = NodeName("here")
ALICE = AgentName("alice")
BOB = AgentName("bob")
NOW = datetime(2031, 4, 5, 6, 7, 8, 90, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
ALICES_LOCK = "agent:here/alice"

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


def claimed(session: Session, job: JobId, worker: str = "w1") -> Job | None:
    return jobs.claim(session, job, worker=worker, now=NOW, leased_until=LATER)


def a_running_job(session: Session, **overrides: object) -> Job:
    job = claimed(session, a_job(session, **overrides).id)
    assert job is not None
    return job


def an_agent(**overrides: object) -> Agent:
    agent = Agent(NODE, ALICE, 8879, Desired.RUNNING, AgentSettings())
    return replace(agent, **overrides)  # type: ignore[arg-type]  # a test knows its fields


def at_once(count: int, act: Callable[[int], Result]) -> list[Result]:
    """What `act` gave in each of `count` threads that began together."""
    ready = Barrier(count)

    def begin(number: int) -> Result:
        ready.wait()
        return act(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(begin, range(count)))
