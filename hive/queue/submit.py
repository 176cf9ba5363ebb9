"""Accepted means durable: the row first, with what it wants of its agent; the bell after that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hive.domain.agent import Agent, Desired
from hive.domain.job import LIVE, Job, JobId, NewJob
from hive.domain.names import AgentName, NodeName
from hive.domain.worker import Node
from hive.queue.host import Host
from hive.store import agents, crashes, jobs, moves, verdicts, workers
from hive.store.session import Session


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that was asked for, as it was in that moment."""

    job: Job
    is_new: bool
    """Else it is an equal one that was live already, or the one of the same key."""
    node: Node | None
    """Where it is worked on; None where no worker was ever heard of there."""


def submit(
    host: Host,
    asked: NewJob | Callable[[Session], NewJob],
    agent: Agent | None = None,
) -> Submitted:
    """A job; equal work that is live already is that job.

    What is `asked` may depend on what is there, and is then made in the same transaction. A newer
    one of a series takes the place of those that wait. Raises `Refused`, code `port-taken`, when
    another agent has the port.
    """
    now = host.clock.now()
    with host.database.write() as session:
        new = asked if isinstance(asked, NewJob) else asked(session)
        job, is_new = jobs.submit(session, new, now=now)
        if is_new and agent is not None:
            agents.put(session, agent, now=now)
        if is_new and new.series is not None:
            verdicts.supersede(session, job, now=now)
        node = workers.node(session, job.node)
    host.bell.ring(job.node, job.id)
    return Submitted(job, is_new, node)


def retry(
    host: Host, job_id: JobId, agent: Agent | None = None, *, desired: Desired | None = None
) -> Job:
    """The job, queued again; a row of its agent that went with it comes back.

    `desired` is what is wanted of its agent with it, as with its submit.
    """
    now = host.clock.now()
    with host.database.write() as session:
        job = moves.retry(session, job_id, now=now)
        if agent is not None:
            agents.put(session, agent, now=now)
        if job.agent is not None:
            agents.take_up(session, job.node, job.agent)
            _forgive(session, job.node, job.agent, now)
        if desired is not None and job.agent is not None:
            agents.set_desired(session, job.node, job.agent, desired, now=now)
    host.bell.ring(job.node, job.id)
    return job


def acts_on(session: Session, agent: Agent, desired: Desired | None, *, now: datetime) -> None:
    """Somebody asks for something of it: where it was given up, it has another chance.

    `desired` is what is wanted of it from now on, also where the job is not new: what was asked for
    last is what counts. Raises `Refused`, code `port-taken`, where it has lost its port.
    """
    if desired is not None:
        agents.set_desired(session, agent.node, agent.name, desired, now=now)
    if agent.failed_at is not None:
        agents.take_up(session, agent.node, agent.name)
    _forgive(session, agent.node, agent.name, now)


def _forgive(session: Session, node: NodeName, agent: AgentName, now: datetime) -> None:
    """Its crashes are over, too, or the next one would be the last."""
    crashes.forgive(session, node, agent, now=now)


def cancel(host: Host, job_id: JobId) -> Job:
    """The job: cancelled, or with the cancel on its row for its worker to see."""
    with host.database.write() as session:
        job = verdicts.cancel(session, job_id, now=host.clock.now())
    if job.state in LIVE:
        host.bell.ring(job.node, job.id)
    return job
