"""What a face may ask about jobs."""

from __future__ import annotations

from collections.abc import Callable

from hive.domain.job import Job, JobId, JobState, LogLine
from hive.domain.names import AgentName
from hive.queue.drive import EVERY, PENDING, drive, find
from hive.queue.host import Host
from hive.service.ground import written_to
from hive.service.views import JobView
from hive.store import jobs, logs, steps


def show(host: Host, job_id: JobId) -> JobView:
    with host.database.read() as session:
        return JobView(jobs.find(session, job_id), tuple(steps.of(session, job_id)))


def listed(
    host: Host,
    *,
    state: JobState | None = None,
    agent: AgentName | None = None,
    kind: str | None = None,
    limit: int = 50,
) -> list[JobView]:
    """Newest first."""
    with host.database.read() as session:
        found = jobs.listed(session, state=state, agent=agent, kind=kind, limit=limit)
        return [JobView(job, tuple(steps.of(session, job.id))) for job in found]


def run(host: Host, job_id: JobId, *, until: Callable[[], bool] = lambda: False) -> Job:
    """Work on a job in this process, until it has ended or waits."""
    written_to(host)
    return drive(host, job_id, until=until)


def wait(host: Host, job_id: JobId) -> Job:
    """Look on until it has ended or waits; nothing is worked on here."""
    while (job := find(host, job_id)).state in PENDING:
        host.clock.sleep(EVERY)
    return job


def lines(host: Host, job_id: JobId, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
    """The lines behind `after`, oldest first."""
    with host.database.read() as session:
        jobs.find(session, job_id)
        return logs.of(session, job_id, after=after, limit=limit)
