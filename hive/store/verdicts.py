"""What people decide about a job: each only moves the row, wherever it is decided.

What a verdict leaves to do on the agent's host is `tag_due`, which maintenance there sees to.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, or_, select, text, update

from hive.domain.job import (
    APPROVE,
    CANCEL,
    CANCELLED,
    DENY,
    ORPHAN,
    SUPERSEDE,
    WITHDRAW,
    Job,
    JobId,
    JobState,
    Trouble,
)
from hive.domain.names import NodeName
from hive.store import moves
from hive.store.jobs import JOBS, READ, TRIES, C, all_of, find, first_of, job_of, selected, told
from hive.store.session import Session
from hive.store.tables import LIVE_ONLY

IDLE: Final = or_(C.state == JobState.WAITING, C.attempt == 0)
WITHDRAWN: Final = Trouble("withdrawn", "its requester withdrew it")


def approve(
    session: Session, job: JobId, *, by: str, seen: Mapping[str, Any], now: datetime
) -> Job:
    """It goes on; `seen` is what the operator looked at: rev, deployed, base, closure."""
    also: dict[str, Any] = {"approved_at": now, "approved_by": by, "seen": dict(seen)}
    return moves.make(session, job, APPROVE, now=now, **also)


def deny(session: Session, job: JobId, *, note: str, now: datetime) -> Job:
    error = Trouble("denied", note or "an operator denied it")
    return moves.make(session, job, DENY, now=now, error=error, tag_due=DENY.end.value)


def withdraw(session: Session, job: JobId, *, now: datetime) -> Job:
    return moves.make(session, job, WITHDRAW, now=now, error=WITHDRAWN, tag_due=WITHDRAW.end.value)


def orphan(session: Session, job: JobId, *, error: Trouble, now: datetime) -> Job:
    """Its agent is gone; `error` says how."""
    return moves.make(session, job, ORPHAN, now=now, error=error, tag_due=ORPHAN.end.value)


def orphan_before(session: Session, last: Job, *, error: Trouble, now: datetime) -> list[JobId]:
    """Every job of its agent that was submitted before `last`, and has not ended, fails."""
    of_agent = selected(C.node == last.node, C.agent == last.agent, text(LIVE_ONLY), C.id < last.id)
    found = [job.id for job in all_of(session, of_agent.order_by(C.id).with_for_update())]
    for job in found:
        orphan(session, job, error=error, now=now)
    return found


def supersede(session: Session, newer: Job, *, now: datetime) -> list[JobId]:
    """Jobs of its series that still wait, and that nobody approved, make way for `newer`.

    What is being approved is waited for: then it makes way for nobody.
    """
    if newer.series is None:
        return []
    moves.take_turns(session, newer.series)
    unapproved = selected(
        C.series == newer.series, text(LIVE_ONLY), C.id < newer.id, C.approved_at.is_(None)
    )
    held = unapproved.order_by(C.id).with_for_update(key_share=True)
    older = [job.id for job in all_of(session, held) if job.state is JobState.WAITING]
    also: dict[str, Any] = {"superseded_by": newer.id, "tag_due": SUPERSEDE.end.value}
    for job in older:
        moves.make(session, job, SUPERSEDE, now=now, **also)
    return older


def cancel(session: Session, job: JobId, *, now: datetime) -> Job:
    """Cancelled at once where it has never run, or waits; else it is asked of its worker.

    A queued job that has run before may have something to restore: it becomes due, and its worker
    ends it. Twice is once. Raises `IllegalMove` for what has ended.
    """
    for _ in range(TRIES):
        if (told := _ask(session, job, now) or _cancelled(session, job, now)) is not None:
            return told
        if find(session, job).finished_at is not None:
            break
    raise moves.illegal(find(session, job), CANCEL)


def tags_due(session: Session, node: NodeName, *, limit: int = 100) -> list[tuple[Job, str]]:
    """Verdicts of this node's jobs whose traces on the host have yet to be made."""
    due: Select[Any] = select(*READ, C.tag_due).where(C.node == node, C.tag_due.is_not(None))
    rows = session.execute(due.order_by(C.id).limit(limit))
    return [(job_of(row), row.tag_due) for row in rows]


def tag_done(session: Session, job: JobId, verdict: str) -> None:
    """Nothing is due any more, unless another verdict came since."""
    session.execute(update(JOBS).where(C.id == job, C.tag_due == verdict).values(tag_due=None))


def _ask(session: Session, job: JobId, now: datetime) -> Job | None:
    """The job that runs, or has run, with the cancel written on its row: once, and told once."""
    begun = or_(C.state == JobState.RUNNING, (C.state == JobState.QUEUED) & (C.attempt > 0))
    unasked = update(JOBS).where(C.id == job, begun, C.cancel_requested_at.is_(None))
    ask = unasked.values(cancel_requested_at=now, run_at=None)
    if (asked := first_of(session, ask.returning(*READ))) is not None:
        told(session, asked, "cancel-requested", now)
        return asked
    return first_of(session, selected(C.id == job, begun, C.cancel_requested_at.is_not(None)))


def _cancelled(session: Session, job: JobId, now: datetime) -> Job | None:
    """The job that has never run, or waits, cancelled."""
    due = CANCEL.end.value
    also = {"cancel_requested_at": now, "tag_due": due, "error": CANCELLED}
    return moves.made(session, job, CANCEL, now=now, only=IDLE, also=also)
