"""Jobs at rest: how one is written down, and found again. How it moves is in `moves`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    Table,
    TextClause,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from hive.domain.event import NewEvent
from hive.domain.job import LIVE, Job, JobId, JobState, NewJob, Trouble
from hive.domain.names import AgentName, NodeName
from hive.errors import NotFound, Refused, Transient
from hive.store.events import tell
from hive.store.prepared import Found, Prepared
from hive.store.session import Session, dialect_of, guarded, insert_of
from hive.store.tables import LIVE_ONLY, RUNNING_ONLY, UNSUCCESSFUL_ONLY, JobRow

JOBS: Final = cast(Table, JobRow.__table__)
C: Final = JOBS.c
NAMES: Final = tuple(field.name for field in fields(Job))
READ: Final = tuple(C[name] for name in NAMES)
_ASKED: Final = tuple(field.name for field in fields(NewJob))
LAST: Final = 2**31 - 1  #: no id is above
TRIES: Final = 10

_SEQUENCE: Final = "CAST(pg_get_serial_sequence('jobs', 'id') AS regclass)"
_HIGHEST: Final = {
    "sqlite": text("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'"),
    "postgresql": text(f"SELECT pg_sequence_last_value({_SEQUENCE})"),
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


#: Made once: to make a statement anew, and a key to its compiled form, costs more than to run it.
_OF_ID: Final = Prepared(select(*READ).where(C.id == bindparam("b_id")), READ)
_OF_KEY: Final = Prepared(select(*READ).where(C.idempotency_key == bindparam("b_key")), READ)
_EQUAL: Final = Prepared(
    select(*READ).where(C.unique_key == bindparam("b_equal"), text(LIVE_ONLY)), READ
)
_UNBEGUN: Final = {
    "state": JobState.QUEUED, "attempt": 0, "failures": 0, "losses": 0, "restoring": False,
    "pruned": False,
}  # fmt: skip


def submit(session: Session, new: NewJob, *, now: datetime) -> tuple[Job, bool]:
    """The job for this request, and whether it is a new one.

    Equal work that is live is one job; one idempotency key is one request, for ever. The unique
    indexes decide, so that of two at once one gets the other's.
    """
    row = {f"b_{name}": getattr(new, name) for name in _ASKED}
    row |= {"b_ask": dict(new.ask), "b_created_at": now, "b_queued_at": now}
    add = _add(dialect_of(session))
    for _ in range(TRIES):
        if (known := _known(session, new)) is not None:
            return _hastened(session, known, new), False
        if (made := sole(session.run(add, row))) is not None:
            told(session, made, "submit", now, kind=made.kind, by=made.requested_by)
            return made, True
    raise Transient(
        f"equal work of lock '{new.lock}' begins and ends too fast", code="submit-raced"
    )


@cache
def _add(dialect: str) -> Prepared:
    names = (*_ASKED, "created_at", "queued_at")
    given = {name: bindparam(f"b_{name}", type_=C[name].type) for name in names}
    new = insert_of(dialect, JOBS).values({**_UNBEGUN, **given})
    return Prepared(new.on_conflict_do_nothing().returning(*READ), READ)


def told(session: Session, job: Job, what: str, now: datetime, **data: object) -> None:
    """`job.<what>` is an event of this transaction."""
    said = {"state": job.state.value, "attempt": job.attempt, **data}
    tell(session, NewEvent(now, f"job.{what}", job.node, job.id, job.agent, said))


def find(session: Session, job: JobId) -> Job:
    found = sole(session.run(_OF_ID, {"b_id": job})) if 0 < job <= LAST else None
    if found is None:
        raise NotFound(f"there is no job {job}", code="no-such-job", hint="see `hive jobs`")
    return found


def some(session: Session, ids: Sequence[JobId]) -> list[Job]:
    """Those of these that there are, oldest first."""
    return all_of(session, selected(C.id.in_(ids)).order_by(C.id))


def of_key(session: Session, key: str) -> Job | None:
    """The job that was asked for under this idempotency key."""
    return first_of(session, selected(C.idempotency_key == key))


def listed(
    session: Session,
    *,
    state: JobState | None = None,
    agent: AgentName | None = None,
    kind: str | None = None,
    before: JobId | None = None,
    limit: int = 50,
) -> list[Job]:
    """Newest first; only those before a number, where one is given."""
    # An agent's jobs are few, but SQLite, without statistics, may walk all jobs of a kind instead.
    of_kind = C.kind if agent is None else func.coalesce(C.kind, C.kind)
    asked = ((C.agent, agent), (of_kind, kind))
    where: list[ColumnElement[bool] | TextClause] = []
    where += [column == value for column, value in asked if value is not None]
    where += [] if state is None else in_state(state)
    where += [] if before is None else [C.id < before]
    return all_of(session, selected(*where).order_by(C.id.desc()).limit(limit))


def in_state(state: JobState) -> tuple[ColumnElement[bool] | TextClause, ...]:
    """In the spelling of the index that serves it. Most succeed, so these have none."""
    if state is JobState.SUCCEEDED:
        return (C.state == state,)
    return C.state == state, text(LIVE_ONLY if state in LIVE else UNSUCCESSFUL_ONLY)


def children(session: Session, parent: JobId) -> list[JobId]:
    """Oldest first."""
    return list(session.scalars(select(C.id).where(C.parent_id == parent).order_by(C.id)))


def running_of(session: Session, lock: str) -> Job | None:
    return first_of(session, selected(C.lock == lock, text(RUNNING_ONLY)))


def live(session: Session) -> list[Job]:
    """Every job that has not ended, of every node."""
    return all_of(session, selected(text(LIVE_ONLY)).order_by(C.id))


def live_of(session: Session, node: NodeName, agent: AgentName) -> list[Job]:
    """Oldest first."""
    live = selected(C.node == node, C.agent == agent, text(LIVE_ONLY))
    return all_of(session, live.order_by(C.id))


def highest(session: Session) -> int:
    """Every number that was ever given is at most this; the next one is above."""
    return session.scalar(_HIGHEST[dialect_of(session)]) or 0


def start_above(session: Session, number: int) -> None:
    """Numbers given from now on are above `number`, too. This only ever raises."""
    for statement in _START_ABOVE[dialect_of(session)]:
        bound = {"number": number} if ":number" in statement else {}
        session.execute(text(statement), bound)


def _known(session: Session, new: NewJob) -> Job | None:
    """The job of its idempotency key, or the live one that is equal.

    Looked for apart, and only what may be there: PostgreSQL plans one look for both anew each time.
    """
    of_key = () if new.idempotency_key is None else ((_OF_KEY, {"b_key": new.idempotency_key}),)
    equal = () if new.unique_key is None else ((_EQUAL, {"b_equal": new.unique_key}),)
    found = session.run_all(*of_key, *equal) if of_key or equal else []
    if of_key and (known := sole(found[0])) is not None:
        return _with_key(known, new)
    known = sole(found[-1]) if equal else None
    return None if known is None else _equal_live(session, known, new)


def _with_key(job: Job, new: NewJob) -> Job:
    """Another request under its key is refused."""
    if not _is_same(job, new):
        raise Refused(
            f"key '{new.idempotency_key}' was used for job {job.id}, another request",
            code="key-reused",
            hint=f"use a new key, or look at it: hive job show {job.id}",
        )
    return job


def _is_same(job: Job, new: NewJob) -> bool:
    ask = json.loads(json.dumps(dict(new.ask)))  # as it would come back from its row
    return (job.kind, job.node, job.agent, job.ask) == (new.kind, new.node, new.agent, ask)


def _equal_live(session: Session, job: Job, new: NewJob) -> Job | None:
    """The live job of this unique key. It takes the request's own key, where it has none."""
    if new.idempotency_key is None or not _is_same(job, new):
        return job
    keyless = update(JOBS).where(C.id == job.id, C.idempotency_key.is_(None))
    with suppress(IntegrityError), guarded(session):  # the key was just used for another job
        session.execute(keyless.values(idempotency_key=new.idempotency_key))
        return job
    return None


def _hastened(session: Session, job: Job, new: NewJob) -> Job:
    """Asked for at once, or sooner, what was to begin later begins then.

    So does what was asked for by a clock that was ahead. What waits to be tried again waits.
    """
    if job.run_at is None or job.attempt or (new.run_at and new.run_at >= job.run_at):
        return job
    unbegun = update(JOBS).where(C.id == job.id, C.state == JobState.QUEUED, C.attempt == 0)
    return first_of(session, unbegun.values(run_at=new.run_at).returning(*READ)) or job


def selected(*where: ColumnElement[bool] | TextClause) -> Select[Any]:
    return select(*READ).where(*where)


def first_of(
    session: Session, statement: Executable, bound: Mapping[str, Any] | None = None
) -> Job | None:
    row = session.execute(statement, bound).first()
    return None if row is None else job_of(row)


def sole(found: Found) -> Job | None:
    return job_of(found[0]) if found else None


def all_of(session: Session, statement: Select[Any]) -> list[Job]:
    return [job_of(row) for row in session.execute(statement)]


def job_of(row: Sequence[Any]) -> Job:
    """Of a row that begins with the columns of `READ`."""
    values = dict(zip(NAMES, row, strict=False))
    node, agent, error = values["node"], values["agent"], values["error"]
    values["node"] = NodeName(node)
    values["agent"] = None if agent is None else AgentName(agent)
    values["error"] = None if error is None else Trouble(**error)
    return Job(**values)
