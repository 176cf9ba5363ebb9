"""What old jobs leave behind, taken away in batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Select, Table, case, delete, select, text, update

from hive.domain.job import JobId, JobState
from hive.store.jobs import JOBS, C
from hive.store.session import Session
from hive.store.tables import PRUNABLE_ONLY, LogCutRow, LogLineRow, StepRow

BELONGINGS: Final = tuple(cast(Table, row.__table__) for row in (LogLineRow, LogCutRow, StepRow))


IDLE_KINDS: Final = ("prune", "reconcile")
"""What the clock asks for, and mostly finds nothing to do."""


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
    """Sweeps and prunes that ended before this moment and changed nothing go; how many there were.

    What another job names stays, and so does what has an idempotency key: that is for ever. At
    most `limit` at a time, the oldest first.
    """
    idle = list(session.scalars(_idle(before).limit(limit)))
    session.execute(delete(JOBS).where(C.id.in_(idle)))
    return len(idle)


def _idle(before: datetime) -> Select[Any]:
    """A result of another kind may say something else by `changed`, so none is looked at."""
    of_kind = C.kind.in_(IDLE_KINDS)
    other = JOBS.alias("other")
    names = (other.c.parent_id, other.c.superseded_by)
    unnamed = (~select(other.c.id).where(by == C.id).correlate(JOBS).exists() for by in names)
    return (
        select(C.id)
        .where(of_kind, C.state == JobState.SUCCEEDED, C.finished_at < before)
        .where(case((of_kind, C.result["changed"].as_integer())) == 0)
        .where(C.idempotency_key.is_(None), *unnamed)
        .order_by(C.finished_at)
        .with_for_update(skip_locked=True)
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
