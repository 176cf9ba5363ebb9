"""Figures over all jobs and agents, each by one query."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast

from sqlalchemy import Table, func, or_, select, text

from hive.domain.event import FENCED
from hive.domain.job import JobState
from hive.store.jobs import C
from hive.store.session import Session
from hive.store.tables import PRUNABLE_ONLY, QUEUED_ONLY, AgentRow, EventRow

AGENTS: Final = cast(Table, AgentRow.__table__)
EVENTS: Final = cast(Table, EventRow.__table__)
RECENT: Final = 100_000
"""Events that are looked at."""
MOST: Final = 5000
"""Ended jobs that are looked at: times are those of the last so many."""


def jobs(session: Session) -> dict[tuple[str, str], int]:
    """How many there are of each kind and state."""
    rows = session.execute(select(C.kind, C.state, func.count()).group_by(C.kind, C.state))
    return {(kind, JobState(state).value): count for kind, state, count in rows}


def oldest_due(session: Session, now: datetime) -> dict[str, datetime]:
    """Of each node, since when the oldest job that could be claimed has been queued."""
    due = (text(QUEUED_ONLY), or_(C.run_at.is_(None), C.run_at <= now))
    since = select(C.node, func.min(C.queued_at).label("since")).where(*due).group_by(C.node)
    return {row.node: row.since for row in session.execute(since)}


def times(session: Session, since: datetime) -> list[tuple[str, datetime, datetime, datetime]]:
    """Kind, created, begun and finished of jobs that ended since then, the newest first."""
    ended = (text(PRUNABLE_ONLY), C.finished_at >= since, C.started_at.is_not(None))
    said = select(C.kind, C.created_at, C.started_at, C.finished_at).where(*ended)
    rows = session.execute(said.order_by(C.finished_at.desc()).limit(MOST))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def losses(session: Session) -> int:
    """Rescues of the jobs that are still there, since their last retry."""
    return session.scalar(select(func.coalesce(func.sum(C.losses), 0))) or 0


def fenced(session: Session) -> int:
    """Writes that the fence has refused, among the last `RECENT` events."""
    newest = select(func.max(EVENTS.c.seq)).scalar_subquery()
    recent = (EVENTS.c.seq > newest - RECENT, EVENTS.c.kind == FENCED)
    return session.scalar(select(func.count()).select_from(EVENTS).where(*recent)) or 0


def agents(session: Session) -> dict[tuple[str, str], int]:
    """How many there are on each node, by what is wanted of them."""
    of = AGENTS.c
    rows = session.execute(select(of.node, of.desired, func.count()).group_by(of.node, of.desired))
    return {(node, desired.value): count for node, desired, count in rows}
