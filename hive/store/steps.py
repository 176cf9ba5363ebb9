"""How the steps of each job went: one row a position, in the attempt that last touched it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Row, Select, Table, bindparam, delete, select, text

from hive.domain.job import JobId, JobState, StepRecord, StepState
from hive.domain.names import AgentName, NodeName
from hive.store.prepared import Prepared
from hive.store.session import Session, dialect_of, insert_of
from hive.store.tables import LIVE_ONLY, PRUNABLE_ONLY, RUNNING_ONLY, JobRow, StepRow

STEPS: Final = cast(Table, StepRow.__table__)
JOBS: Final = cast(Table, JobRow.__table__)
C: Final = STEPS.c

PLACE: Final = ("job_id", "position")
SAID: Final = ("attempt", "name", "state", "because", "seconds", "started_at")


def record(
    session: Session, job: JobId, attempt: int, step: StepRecord, *, started_at: datetime
) -> bool:
    """Whether it was written: an attempt that lost its job writes nothing."""
    said = {
        "b_job_id": job,
        "b_position": step.position,
        "b_attempt": attempt,
        "b_name": step.name,
        "b_state": step.state,
        "b_because": step.because,
        "b_seconds": step.seconds,
        "b_started_at": started_at,
    }
    return bool(session.run(_record(dialect_of(session)), said))


@cache
def _record(dialect: str) -> Prepared:
    """Each step of each job is written, most of them twice."""
    row = {name: bindparam(f"b_{name}", type_=C[name].type) for name in (*PLACE, *SAID)}
    held = _held(row["job_id"], row["attempt"], *row.values())
    added = insert_of(dialect, STEPS).from_select(list(row), held)
    upsert = added.on_conflict_do_update(
        index_elements=[C[name] for name in PLACE],
        set_={name: added.excluded[name] for name in SAID},
    )
    return Prepared(upsert.returning(C.job_id), (C.job_id,))


def of(session: Session, job: JobId) -> list[StepRecord]:
    """In the order of the recipe."""
    columns = (C.position, C.name, C.state, C.because, C.seconds)
    rows = session.execute(select(*columns).where(C.job_id == job).order_by(C.position))
    return [StepRecord(*row) for row in rows]


def of_all(session: Session, jobs: Sequence[JobId]) -> dict[JobId, tuple[StepRecord, ...]]:
    """Of each job that has any, in the order of its recipe."""
    columns = (C.job_id, C.position, C.name, C.state, C.because, C.seconds)
    wanted = select(*columns).where(C.job_id.in_(jobs)).order_by(C.job_id, C.position)
    found: dict[JobId, tuple[StepRecord, ...]] = {}
    for job, *row in session.execute(wanted):
        found[job] = (*found.get(job, ()), StepRecord(*row))
    return found


def moved_since(
    session: Session, node: NodeName, at: datetime, names: frozenset[str]
) -> frozenset[AgentName]:
    """Agents of which a job has applied a step of these names after this moment, or does so now.

    Of an attempt that was lost nothing is left to see: what is tried again counts, while it runs.
    What waits at a gate does nothing, for days perhaps.
    """
    of_job = (JOBS.c.agent, JOBS.c.attempt, JOBS.c.state.label("job_state"))
    columns = (*of_job, C.name, C.state, C.started_at, C.seconds)
    of_node = select(*columns).outerjoin(STEPS, C.job_id == JOBS.c.id).where(JOBS.c.node == node)
    asked = of_node.where(JOBS.c.agent.is_not(None), JOBS.c.attempt > 0)
    live = asked.where(text(f"jobs.{LIVE_ONLY}"), JOBS.c.state != JobState.WAITING)
    ended = asked.where(text(PRUNABLE_ONLY), JOBS.c.finished_at >= at)
    rows = (*session.execute(live), *session.execute(ended))
    return frozenset(AgentName(row.agent) for row in rows if _applied_since(row, at, names))


def _applied_since(row: Row[Any], at: datetime, names: frozenset[str]) -> bool:
    is_queued = row.job_state is JobState.QUEUED
    if row.attempt > 1 and not is_queued:
        return True
    if row.name not in names or row.state is StepState.HELD:
        return False
    if is_queued and row.state is not StepState.APPLIED:
        return True  # how its last attempt left the container, until the next one
    ended = row.started_at + timedelta(seconds=row.seconds)
    return row.state is StepState.APPLYING or bool(ended >= at)


def clear(session: Session, job: JobId, attempt: int) -> None:
    """Only what `attempt`, that runs the job now, has written is left."""
    held = _held(job, attempt, JOBS.c.id)
    session.execute(delete(STEPS).where(C.job_id.in_(held), C.attempt < attempt))


def _held(
    job: JobId | ColumnElement[Any], attempt: int | ColumnElement[Any], *columns: ColumnElement[Any]
) -> Select[Any]:
    """A row of these while the attempt has the job; none else. Nobody takes it over meanwhile."""
    mine = select(*columns).select_from(JOBS).where(JOBS.c.id == job, JOBS.c.attempt == attempt)
    return mine.where(text(f"jobs.{RUNNING_ONLY}")).with_for_update(read=True)
