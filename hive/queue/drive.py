"""The command as the worker: with nobody else to run a job, this process does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hive.domain.job import Job, JobId, JobState
from hive.errors import Fault, Refused
from hive.jobs.catalog import lock_of
from hive.queue.claim import claim, locked
from hive.queue.execute import execute
from hive.queue.host import Host
from hive.store import jobs

EVERY = timedelta(milliseconds=100)
PENDING = frozenset({JobState.QUEUED, JobState.RUNNING})


def drive(host: Host, job_id: JobId, *, until: Callable[[], bool] = lambda: False) -> Job:
    """Run the job, and what stands before it in its lock, until it has ended or waits.

    While another process holds the lock, that one is at work: its job is followed, and the lock is
    tried again. Returns the job as it is then, or as it is when `until` says so.
    """
    while (job := find(host, job_id)).state in PENDING and not until():
        if not _work(host, job):
            host.clock.sleep(EVERY)
    return job


def find(host: Host, job_id: JobId) -> Job:
    with host.database.read() as session:
        return jobs.find(session, job_id)


def _work(host: Host, job: Job) -> bool:
    """Run what stands first in the job's lock; False when there was nothing to do."""
    if job.agent is None:
        raise Fault(f"job {job.id} has no agent")
    refuse_elsewhere(host, job)
    with locked(host, job.agent) as locks:
        mine = claim(host, lock_of(job.node, job.agent)) if locks else None
        if locks is None or mine is None:
            return False
        execute(host, mine, locks)
        return True


def refuse_elsewhere(host: Host, job: Job) -> None:
    """A job is worked on where its agent lives."""
    if job.node != host.node:
        raise Refused(
            f"job {job.id} is for the node {job.node}, and this is {host.node}",
            code="other-node",
            hint=f"run it on {job.node}; HIVE_NODE says which node this host is",
        )
