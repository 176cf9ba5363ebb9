"""What old jobs leave behind, taken away in batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Select, Table, delete, select, text, update

from hive.domain.job import JobId
from hive.store.jobs import JOBS, C
from hive.store.session import Session
from hive.store.tables import PRUNABLE_ONLY, LogCutRow, LogLineRow, StepRow

BELONGINGS: Final = tuple(cast(Table, row.__table__) for row in (LogLineRow, LogCutRow, StepRow))


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
