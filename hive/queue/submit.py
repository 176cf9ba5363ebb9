"""Accepted means durable: the job, and what it wants of its agent, in one transaction."""

from __future__ import annotations

from datetime import datetime

from hive.domain.agent import Agent
from hive.domain.job import Job, JobId, NewJob
from hive.store import agents, jobs
from hive.store.session import Database


def submit(database: Database, new: NewJob, agent: Agent, *, now: datetime) -> tuple[Job, bool]:
    """The job and whether it is new: equal work that is live already is that job.

    Raises `Refused`, code `port-taken`, when another agent has the port.
    """
    with database.write() as session:
        job, is_new = jobs.submit(session, new, now=now)
        if is_new:
            agents.put(session, agent, now=now)
    return job, is_new


def retry(database: Database, job_id: JobId, agent: Agent, *, now: datetime) -> Job:
    """The job, queued again; a row of its agent that went with it comes back."""
    with database.write() as session:
        job = jobs.retry(session, job_id, now=now)
        agents.put(session, agent, now=now)
    return job
