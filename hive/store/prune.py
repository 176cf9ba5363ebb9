"""What old jobs leave behind, taken away in batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Select, Table, and_, case, delete, or_, select, text, update

from hive.domain.job import JobId, JobState, StepState
from hive.store.jobs import JOBS, C
from hive.store.session import Session
from hive.store.tables import PRUNABLE_ONLY, LogCutRow, LogLineRow, StepRow

BELONGINGS: Final = tuple(cast(Table, row.__table__) for row in (LogLineRow, LogCutRow, StepRow))


COUNTING: Final = ("prune", "reconcile")
"""What the clock asks for, and mostly finds nothing to do: `changed` in its result says so."""
CALLS: Final = "notify"
"""It calls somebody, and changes nothing of hive's."""
TIDIES: Final = "tidy"
"""It has changed something where a step of it was applied."""
IDLE_KINDS: Final = (*COUNTING, CALLS, TIDIES)


def strip_jobs(session: Session, *, before: datetime, last: int, limit: int) -> int:
    """Of jobs that ended before this moment only the row is left; how many there were.

    The last ones of each agent keep all that they have. At most `limit` at a time, the oldest
    first.
    """
    held = _old(before, last).limit(limit).with_for_update(key_share=True)  # or a retry begins
    old = list(session.scalars(held))
    if old:
        _strip(session, old)
    return len(old)


def forget_idle(session: Session, *, before: datetime, limit: int) -> int:
    """Of these kinds those that ended well before this moment, and changed nothing, go; how many.

    What another job names stays, and so does what has an idempotency key: that is for ever. At
    most `limit` at a time, the oldest first.
    """
    idle = list(session.scalars(_idle(before).limit(limit)))
    session.execute(delete(JOBS).where(C.id.in_(idle)))
    return len(idle)


def _idle(before: datetime) -> Select[Any]:
    other = JOBS.alias("other")
    names = (other.c.parent_id, other.c.superseded_by)
    unnamed = (~select(other.c.id).where(by == C.id).correlate(JOBS).exists() for by in names)
    return (
        select(C.id)
        .where(C.kind.in_(IDLE_KINDS), C.state == JobState.SUCCEEDED, C.finished_at < before)
        .where(_changed_nothing())
        .where(C.idempotency_key.is_(None), *unnamed)
        .order_by(C.finished_at)
        .with_for_update(skip_locked=True)
    )


def _changed_nothing() -> ColumnElement[bool]:
    """A result of another kind may say something else by `changed`, so none is looked at."""
    steps = cast(Table, StepRow.__table__).c
    applied = select(steps.job_id).where(steps.job_id == C.id, steps.state == StepState.APPLIED)
    was_tidy = and_(C.pruned.is_(False), ~applied.correlate(JOBS).exists())  # pruned: nobody knows
    return or_(
        case((C.kind.in_(COUNTING), C.result["changed"].as_integer())) == 0,
        C.kind == CALLS,
        and_(C.kind == TIDIES, was_tidy),
    )


def _old(before: datetime, last: int) -> Select[Any]:
    later = JOBS.alias("later")
    newer: Select[Any] = (
        select(later.c.id)
        .where(later.c.agent == C.agent, later.c.node == C.node, later.c.id > C.id)
        .order_by(later.c.id)
        .offset(last - 1)
        .limit(1)
    )
    has_more = C.agent.is_(None) | newer.correlate(JOBS).exists()
    found = select(C.id).where(text(PRUNABLE_ONLY), C.finished_at < before, has_more)
    return found.order_by(C.finished_at)


def _strip(session: Session, jobs: list[JobId]) -> None:
    for belonging in BELONGINGS:
        session.execute(delete(belonging).where(belonging.c.job_id.in_(jobs)))
    session.execute(update(JOBS).where(C.id.in_(jobs)).values(pruned=True))
