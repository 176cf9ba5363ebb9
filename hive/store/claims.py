"""Claims: what may run next in a lock, and the one statement by which a worker has it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Update,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from hive.domain.fullness import Fullness
from hive.domain.job import BUILDING, CLAIM, Job, JobId, JobState
from hive.domain.names import NodeName
from hive.errors import Transient
from hive.store import moves
from hive.store.jobs import JOBS, READ, C, first_of, selected
from hive.store.prepared import Asked, Found, Prepared
from hive.store.session import Session, dialect_of
from hive.store.tables import QUEUED_ONLY, RUNNING_ONLY, NodeRow

NOW: Final = bindparam("b_now", type_=C.run_at.type)
RACED: Final = "claim-raced"


def claim(
    session: Session, lock: str, *, worker: str, now: datetime, leased_until: datetime
) -> Job | None:
    """What stands first in this lock, now this worker's; None where nothing can be claimed.

    First in, first out among what is due, within a priority. What is not due, and what is held
    back, blocks nothing behind it. Held back is a job by one of its lock that runs, by its node
    while that is paused, or its disk too full for a build (but for what is to be cancelled, and
    there for what only restores), and by its siblings, of which only so many run at once. Raises
    `Transient`, code `claim-raced`, when another job of the lock was quicker.
    """
    try:
        found = session.run(*asked(lock, worker=worker, now=now, leased_until=leased_until))
    except IntegrityError:
        raise raced(lock) from None
    return claimed(session, found, lock, now)


def asked(lock: str, *, worker: str, now: datetime, leased_until: datetime) -> Asked:
    """The one statement of a claim."""
    bound = {"b_lock": lock, "b_now": now, "b_worker": worker, "b_until": leased_until}
    return _claim(), bound


def claimed(session: Session, found: Found, lock: str, now: datetime) -> Job | None:
    """What it gave back, told to all whom it concerns."""
    job = moves.moved(session, found, CLAIM, now)
    if job is not None and job.parent_id is not None:
        _keep_to_the_number(session, job.parent_id, lock)
    return job


def raced(lock: str) -> Transient:
    return Transient(f"another claim was quicker than this one of {lock}", code=RACED)


def next_of(session: Session, lock: str, now: datetime) -> Job | None:
    """What a claim would take right now."""
    return first_of(session, _next(), {"b_lock": lock, "b_now": now})


def due(session: Session, node: NodeName, now: datetime, *, limit: int) -> list[JobId]:
    """One job of each lock of this node in which something can be claimed right now."""
    return list(session.scalars(_due(), {"b_node": node, "b_now": now, "b_most": limit}))


def _keep_to_the_number(session: Session, parent: JobId, lock: str) -> None:
    """Two that claimed at once both saw room for one more: on PostgreSQL they count in turn."""
    if dialect_of(session) != "postgresql":
        return
    row = select(C.at_once).where(C.id == parent).with_for_update()
    at_once = session.scalar(row)
    running = select(func.count()).where(C.parent_id == parent, text(RUNNING_ONLY))
    if at_once is not None and (session.scalar(running) or 0) > at_once:
        raise raced(lock)


# Statements that every job needs are put together once: that takes longer than to run them.


@cache
def _claim() -> Prepared:
    return Prepared(claiming(*_claimable()).returning(*READ), READ)


def claiming(*claimable: ColumnElement[bool]) -> Update:
    """What stands first in the lock `b_lock` of what is `claimable`."""
    first = _first(*claimable).with_only_columns(C.id).scalar_subquery()
    return (
        update(JOBS)
        .where(C.id == first, C.state == JobState.QUEUED)
        .values(
            state=CLAIM.end,
            attempt=C.attempt + 1,
            worker=bindparam("b_worker"),
            leased_until=bindparam("b_until", type_=C.leased_until.type),
            started_at=func.coalesce(C.started_at, NOW),
            run_at=None,
        )
    )


@cache
def _next() -> Select[Any]:
    return _first(*_claimable())


def _first(*claimable: ColumnElement[bool]) -> Select[Any]:
    waits = selected(C.lock == bindparam("b_lock"), text(QUEUED_ONLY), *claimable)
    return waits.order_by(C.priority, C.id).limit(1)


@cache
def _due() -> Select[Any]:
    first = func.min(C.id)
    found = select(first).where(C.node == bindparam("b_node"), text(QUEUED_ONLY), *_claimable())
    ordered = found.group_by(C.lock).order_by(func.min(C.priority), first)
    return ordered.limit(bindparam("b_most", type_=Integer))


def _claimable() -> tuple[ColumnElement[bool], ...]:
    """Of a queued job: it is due, and nothing holds it back."""
    other = JOBS.alias("running")
    of_lock = select(other.c.id).where(other.c.lock == C.lock, text(f"running.{RUNNING_ONLY}"))
    return ~of_lock.correlate(JOBS).exists(), *but_for_its_lock(JOBS)


def but_for_its_lock(jobs: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Of a queued job of `jobs`: it is due, and only its lock could hold it back."""
    job, sibling, parent = jobs.c, JOBS.alias("sibling"), JOBS.alias("parent")
    running = select(func.count()).where(
        sibling.c.parent_id == job.parent_id, text(f"sibling.{RUNNING_ONLY}")
    )
    at_once = select(parent.c.at_once).where(parent.c.id == job.parent_id)
    room = _room(running.correlate(jobs), at_once.correlate(jobs))
    return *but_for_its_lock_and_siblings(jobs), or_(job.parent_id.is_(None), room)


def but_for_its_lock_and_siblings(jobs: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Of a queued job of `jobs`: it is due, and its node takes it."""
    job = jobs.c
    is_build = or_(*(job.kind == kind for kind in sorted(BUILDING)))
    builds = and_(is_build, job.restoring.is_(False))
    full = and_(NodeRow.disk == Fullness.CRITICAL.value, builds)
    paused = select(NodeRow.name).where(
        NodeRow.name == job.node, or_(NodeRow.paused_at.is_not(None), full)
    )
    return (
        or_(job.run_at.is_(None), job.run_at <= NOW),
        or_(job.cancel_requested_at.is_not(None), ~paused.correlate(jobs).exists()),
    )


def _room(running: Select[Any], at_once: Select[Any]) -> ColumnElement[bool]:
    """Fewer siblings run than may; without a number all may."""
    limit = at_once.scalar_subquery()
    return or_(limit.is_(None), running.scalar_subquery() < limit)
