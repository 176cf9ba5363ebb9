"""What an operator decides about a job that waits at its gate."""

from __future__ import annotations

from hive.domain.job import Job, JobId, JobState
from hive.errors import IllegalMove, Refused
from hive.queue.host import Host
from hive.queue.traces import Traces
from hive.service.views import JobView
from hive.store import jobs, verdicts

ALL = 10_000


def pending(host: Host) -> list[JobView]:
    """What waits for an operator, oldest first, of every node; nothing else."""
    with host.database.read() as session:
        found = jobs.listed(session, state=JobState.WAITING, limit=ALL)
    return [JobView(job, ()) for job in reversed(found)]


def approve(host: Host, job_id: JobId, *, by: str, expect: str | None = None) -> Job:
    """It goes on, over what it showed at its gate; `expect` is the closure that was looked at.

    Raises `IllegalMove` for what does not wait, `Refused`, code `other-closure`, where it has built
    another one.
    """
    with host.database.write() as session:
        job = _waiting(jobs.find(session, job_id), "approve")
        shown = job.result or {}
        if expect is not None and shown.get("closure") != expect:
            raise Refused(
                f"job {job_id} would deploy {shown.get('closure') or 'what is not built yet'}",
                code="other-closure",
                hint=f"look at it: hive diff {job_id}",
            )
        seen = {**shown, "expected": expect}
        approved = verdicts.approve(session, job_id, by=by, seen=seen, now=host.clock.now())
    host.bell.ring(approved.node, approved.id)
    return approved


def deny(host: Host, job_id: JobId, *, note: str = "") -> Job:
    with host.database.write() as session:
        _waiting(jobs.find(session, job_id), "deny")
        denied = verdicts.deny(session, job_id, note=note, now=host.clock.now())
    return _traced(host, denied)


def withdraw(host: Host, job_id: JobId) -> Job:
    """Its requester does not want it any more."""
    with host.database.write() as session:
        _waiting(jobs.find(session, job_id), "withdraw")
        withdrawn = verdicts.withdraw(session, job_id, now=host.clock.now())
    return _traced(host, withdrawn)


def _waiting(job: Job, what: str) -> Job:
    if job.state is not JobState.WAITING:
        raise IllegalMove(
            f"cannot {what} job {job.id}: it is {job.state}, and does not wait",
            hint="see `hive pending`",
        )
    return job


def _traced(host: Host, job: Job) -> Job:
    """On its node the verdict's tag is planted at once; elsewhere maintenance does it there."""
    if job.node == host.node:
        Traces(host).run_once(host.clock.now())
    return job
