"""What a face may ask about jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hive.domain.instant import instant
from hive.domain.job import ENDED, Job, JobId, JobState, LogLine, StepRecord
from hive.domain.names import AgentName
from hive.queue import drive, submit
from hive.queue.drive import find
from hive.queue.host import Host
from hive.queue.submit import Submitted
from hive.queue.traces import Traces
from hive.service.fleet import hindrances, hindrances_of
from hive.service.ground import written_to
from hive.service.views import JobView
from hive.store import jobs, logs, steps
from hive.store.session import Session


def show(host: Host, job_id: JobId) -> JobView:
    with host.database.read() as session:
        job, done = jobs.find(session, job_id), tuple(steps.of(session, job_id))
    return JobView(job, done, hindrances(host).of(job))


def accepted(host: Host, asked: Submitted) -> JobView:
    """As `show`, of what was just asked for: of a new one there is nothing more to read."""
    if not asked.is_new:
        return show(host, asked.job.id)
    hinder = hindrances_of(host, [] if asked.node is None else [asked.node])
    return JobView(asked.job, (), hinder.of(asked.job))


def listed(
    host: Host,
    *,
    state: JobState | None = None,
    agent: AgentName | None = None,
    kind: str | None = None,
    before: JobId | None = None,
    limit: int = 50,
) -> list[JobView]:
    """Newest first; only those before a number, where one is given."""
    with host.database.read() as session:
        found = jobs.listed(
            session, state=state, agent=agent, kind=kind, before=before, limit=limit
        )
        done = steps.of_all(session, [job.id for job in found])
    return _views(host, found, done)


def children(host: Host, job_id: JobId) -> list[JobView]:
    """The jobs that it left behind, oldest first."""
    with host.database.read() as session:
        jobs.find(session, job_id)
        ids = jobs.children(session, job_id)
    return shown(host, ids)


def shown(host: Host, ids: Sequence[JobId]) -> list[JobView]:
    """Those of these that there are, oldest first."""
    with host.database.read() as session:
        found, done = jobs.some(session, ids), steps.of_all(session, ids)
    return _views(host, found, done)


def run(host: Host, job_id: JobId, *, until: Callable[[], bool] = lambda: False) -> Job:
    """See a job to its end or its gate: worked on in this process, unless others are at it."""
    if find(host, job_id).node == host.node:
        written_to(host)
    ended = drive.drive(host, job_id, until=until)
    return _traced(host, ended) if ended.state in ENDED else ended


def refuse_elsewhere(host: Host, job: Job) -> None:
    drive.refuse_elsewhere(host, job.node, f"job {job.id} is worked on where its agent lives")


def cancel(host: Host, job_id: JobId) -> Job:
    """The job: cancelled, or about to be by its worker. Raises `IllegalMove` for what has ended."""
    job = submit.cancel(host, job_id)
    return _traced(host, job) if job.state is JobState.CANCELLED else job


def lines(host: Host, job_id: JobId, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
    """The lines behind `after`, oldest first."""
    with host.database.read() as session:
        jobs.find(session, job_id)
        return logs.of(session, job_id, after=after, limit=limit)


def log_of(
    session: Session, job: JobId, *, after: int, limit: int
) -> tuple[JobState, list[LogLine]]:
    """Its state, and the lines behind `after`: of one view, so that an ended job's are all."""
    return jobs.find(session, job).state, logs.of(session, job, after=after, limit=limit)


def line_as_json(line: LogLine) -> dict[str, Any]:
    return {
        "seq": line.seq,
        "attempt": line.attempt,
        "step": line.step,
        "stream": line.stream,
        "at": instant(line.at),
        "text": line.text,
    }


def _views(
    host: Host, found: Sequence[Job], done: Mapping[JobId, tuple[StepRecord, ...]]
) -> list[JobView]:
    hinder = hindrances(host)
    return [JobView(job, done.get(job.id, ()), hinder.of(job)) for job in found]


def _traced(host: Host, job: Job) -> Job:
    """What its end leaves to do on its node is done at once, where this is it."""
    if job.node == host.node and job.state is not JobState.SUCCEEDED:
        Traces(host).run_once(host.clock.now())
    return job
