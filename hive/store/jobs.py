"""Jobs at rest: every statement that reads or moves one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    Select,
    Table,
    TextClause,
    Update,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hive.domain.job import (
    CLAIM,
    RETRY,
    TAKE_OVER,
    Job,
    JobId,
    JobState,
    Move,
    NewJob,
    Trouble,
)
from hive.domain.names import AgentName, NodeName
from hive.errors import IllegalMove, NotFound, Refused, Transient
from hive.store.session import dialect_of, guarded, insert_into
from hive.store.tables import LIVE_ONLY, QUEUED_ONLY, RUNNING_ONLY, JobRow

JOBS: Final = cast(Table, JobRow.__table__)
C: Final = JOBS.c
READ: Final = tuple(C[field.name] for field in fields(Job))
LAST: Final = 2**31 - 1  #: no id is above
TRIES: Final = 10

_SEQUENCE: Final = "CAST(pg_get_serial_sequence('jobs', 'id') AS regclass)"
_HIGHEST: Final = {
    "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'",
    "postgresql": f"SELECT pg_sequence_last_value({_SEQUENCE})",
}
_START_ABOVE: Final = {
    "sqlite": (
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'jobs', 0"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'jobs')",
        "UPDATE sqlite_sequence SET seq = :number WHERE name = 'jobs' AND seq < :number",
    ),
    "postgresql": (
        "LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE",  # nobody takes a number meanwhile
        f"SELECT setval({_SEQUENCE}, :number)"
        f" WHERE :number > coalesce(pg_sequence_last_value({_SEQUENCE}), 0)",
    ),
}


def make(
    session: Session, job: JobId, move: Move, *, attempt: int | None = None, **also: object
) -> None:
    """Make `move`, unless someone moved the job first; `also` are columns that change with it.

    A worker passes the `attempt` it claimed, so one that lost its lease cannot finish a job that
    another has since taken up. What does not end `running` has neither lease nor worker.
    """
    if _moved(session, _guarded_update(job, move, attempt), move, also) is None:
        raise _illegal(find(session, job), move, attempt)


def retry(session: Session, job: JobId, *, now: datetime) -> Job:
    """A job that failed or was cancelled is queued again, as if it had never run but for `attempt`.

    Refused, code `already-live`, while equal work is live.
    """
    anew: dict[str, Any] = {"failures": 0, "losses": 0, "restoring": False, "queued_at": now}
    ends = ("error", "result", "cancel_requested_at", "finished_at", "run_at")
    try:
        with guarded(session):
            make(session, job, RETRY, attempt=None, **anew, **dict.fromkeys(ends))
    except IntegrityError:
        raise Refused(
            f"the same work as job {job} is under way already",
            code="already-live",
            hint="see `hive jobs`",
        ) from None
    return find(session, job)


def submit(session: Session, new: NewJob, *, now: datetime) -> tuple[Job, bool]:
    """The job for this request, and whether it is a new one.

    Equal work that is live is one job; one idempotency key is one request, for ever. The unique
    indexes decide, so that of two at once one gets the other's.
    """
    asked = {field.name: getattr(new, field.name) for field in fields(new)}
    row = {**asked, "ask": dict(new.ask), "created_at": now, "queued_at": now}
    for _ in range(TRIES):
        if (known := _of_key(session, new) or _equal_live(session, new)) is not None:
            return known, False
        added = insert_into(session, JOBS).values(**row).on_conflict_do_nothing()
        if (made := _first(session, added.returning(*READ))) is not None:
            return made, True
    raise Transient(
        f"equal work of lock '{new.lock}' begins and ends too fast", code="submit-raced"
    )


def find(session: Session, job: JobId) -> Job:
    found = _first(session, _select(C.id == job)) if 0 < job <= LAST else None
    if found is None:
        raise NotFound(f"there is no job {job}", code="no-such-job", hint="see `hive jobs`")
    return found


def listed(
    session: Session,
    *,
    state: JobState | None = None,
    agent: AgentName | None = None,
    kind: str | None = None,
    limit: int = 50,
) -> list[Job]:
    """Newest first."""
    # An agent's jobs are few, but SQLite, without statistics, may walk all jobs of a kind instead.
    of_kind = C.kind if agent is None else func.coalesce(C.kind, C.kind)
    asked = ((C.agent, agent), (C.state, state), (of_kind, kind))
    where = [column == value for column, value in asked if value is not None]
    return _all(session, _select(*where).order_by(C.id.desc()).limit(limit))


def claim(
    session: Session, job: JobId, *, worker: str, now: datetime, leased_until: datetime
) -> Job | None:
    """The job, now this worker's; or None: it is not queued, or its lock is a running job's.

    Whether it is due is not asked: that is `next_of`.
    """
    other = JOBS.alias("other")
    taken = select(other.c.id).where(other.c.lock == C.lock, text(f"other.{RUNNING_ONLY}"))
    guard = _guarded_update(job, CLAIM).where(~taken.correlate(JOBS).exists())
    also = _lease(worker, now, leased_until)
    with suppress(IntegrityError), guarded(session):  # another job of the lock was quicker
        return _moved(session, guard, CLAIM, also)
    return None


def take_over(
    session: Session,
    job: JobId,
    *,
    seen_attempt: int,
    worker: str,
    now: datetime,
    leased_until: datetime,
) -> Job | None:
    """The running job, now this worker's; or None: someone moved it since `seen_attempt`."""
    guard = _guarded_update(job, TAKE_OVER, seen_attempt)
    return _moved(session, guard, TAKE_OVER, _lease(worker, now, leased_until))


def running_of(session: Session, lock: str) -> Job | None:
    return _first(session, _select(C.lock == lock, text(RUNNING_ONLY)))


def next_of(session: Session, lock: str, now: datetime) -> Job | None:
    """First in, first out among what is due, within a priority. What is not due blocks nothing."""
    due = _select(C.lock == lock, text(QUEUED_ONLY), or_(C.run_at.is_(None), C.run_at <= now))
    return _first(session, due.order_by(C.priority, C.id).limit(1))


def live(session: Session) -> list[Job]:
    """Every job that has not ended, of every node."""
    return _all(session, _select(text(LIVE_ONLY)).order_by(C.id))


def live_of(session: Session, node: NodeName, agent: AgentName) -> list[Job]:
    """Oldest first."""
    live = _select(C.node == node, C.agent == agent, text(LIVE_ONLY))
    return _all(session, live.order_by(C.id))


def highest(session: Session) -> int:
    """Every number that was ever given is at most this; the next one is above."""
    return session.scalar(text(_HIGHEST[dialect_of(session)])) or 0


def start_above(session: Session, number: int) -> None:
    """Numbers given from now on are above `number`, too. This only ever raises."""
    for statement in _START_ABOVE[dialect_of(session)]:
        bound = {"number": number} if ":number" in statement else {}
        session.execute(text(statement), bound)


def _guarded_update(job: JobId, move: Move, attempt: int | None = None) -> Update:
    mine = update(JOBS).where(C.id == job, C.state.in_(sorted(move.start)))
    return mine if attempt is None else mine.where(C.attempt == attempt)


def _moved(session: Session, guard: Update, move: Move, also: Mapping[str, Any]) -> Job | None:
    free = {} if move.end is JobState.RUNNING else {"leased_until": None, "worker": None}
    stored = {
        key: asdict(value) if isinstance(value, Trouble) else value for key, value in also.items()
    }
    return _first(session, guard.values({**free, **stored, "state": move.end}).returning(*READ))


def _lease(worker: str, now: datetime, leased_until: datetime) -> dict[str, Any]:
    """A new attempt: the fencing token rises. The first start is kept."""
    return {
        "attempt": C.attempt + 1,
        "worker": worker,
        "leased_until": leased_until,
        "started_at": func.coalesce(C.started_at, literal(now, C.started_at.type)),
        "finished_at": None,
    }


def _illegal(job: Job, move: Move, attempt: int | None) -> IllegalMove:
    later = "" if attempt in (None, job.attempt) else f", attempt {job.attempt}, not {attempt}"
    return IllegalMove(f"cannot {move.name} job {job.id}: it is {job.state}{later}")


def _of_key(session: Session, new: NewJob) -> Job | None:
    """The job of this idempotency key. Another request under it is refused."""
    if new.idempotency_key is None:
        return None
    job = _first(session, _select(C.idempotency_key == new.idempotency_key))
    if job is not None and not _is_same(job, new):
        raise Refused(
            f"key '{new.idempotency_key}' was used for job {job.id}, another request",
            code="key-reused",
            hint=f"use a new key, or look at it: hive job show {job.id}",
        )
    return job


def _is_same(job: Job, new: NewJob) -> bool:
    ask = json.loads(json.dumps(dict(new.ask)))  # as it would come back from its row
    return (job.kind, job.node, job.agent, job.ask) == (new.kind, new.node, new.agent, ask)


def _equal_live(session: Session, new: NewJob) -> Job | None:
    """The live job of this unique key. It takes the request's own key, where it has none."""
    if new.unique_key is None:
        return None
    job = _first(session, _select(C.unique_key == new.unique_key, text(LIVE_ONLY)))
    if job is None or new.idempotency_key is None or not _is_same(job, new):
        return job
    keyless = update(JOBS).where(C.id == job.id, C.idempotency_key.is_(None))
    with suppress(IntegrityError), guarded(session):  # the key was just used for another job
        session.execute(keyless.values(idempotency_key=new.idempotency_key))
        return job
    return None


def _select(*where: ColumnElement[bool] | TextClause) -> Select[Any]:
    return select(*READ).where(*where)


def _first(session: Session, statement: Executable) -> Job | None:
    row = session.execute(statement).first()
    return None if row is None else _job(row)


def _all(session: Session, statement: Select[Any]) -> list[Job]:
    return [_job(row) for row in session.execute(statement)]


def _job(row: Row[Any]) -> Job:
    values = row._asdict()
    values |= {"id": JobId(row.id), "node": NodeName(row.node)}
    values["agent"] = None if row.agent is None else AgentName(row.agent)
    values["error"] = None if row.error is None else Trouble(**row.error)
    return Job(**values)
