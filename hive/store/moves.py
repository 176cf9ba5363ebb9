"""How a job's row changes: every move is one guarded UPDATE, told in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
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

from hive.domain.job import (
    AGAIN,
    CLAIM,
    ENDED,
    GIVE_BACK,
    LOSE,
    LOSS_LIMIT,
    PARK,
    RESCUE,
    RETRY,
    SUPERSEDE,
    Job,
    JobId,
    JobState,
    Move,
    Trouble,
)
from hive.domain.notice import notices
from hive.errors import IllegalMove, Refused
from hive.store import telling
from hive.store.jobs import JOBS, READ, C, find, first_of, selected, sole, told
from hive.store.prepared import Asked, Found, Prepared
from hive.store.session import Session, dialect_of, guarded
from hive.store.tables import LIVE_ONLY

SERIES: Final = 0x68697667  #: advisory locks of PostgreSQL, one a series: "hivg"
RUNS_UNCANCELLED: Final = and_(C.state == JobState.RUNNING, C.cancel_requested_at.is_(None))
_TURN: Final = text(f"SELECT pg_advisory_xact_lock({SERIES}, hashtext(:series))")
WORKER_LOST: Final = Trouble(
    "worker-lost",
    f"its worker was lost {LOSS_LIMIT} times while it ran",
    "it may be what its workers die of: see `hive logs` of the job, and the host's journal",
)


def make(
    session: Session,
    job: JobId,
    move: Move,
    *,
    now: datetime,
    attempt: int | None = None,
    **also: object,
) -> Job:
    """Make `move`, unless someone moved the job first; `also` are columns that change with it.

    A worker passes the `attempt` it claimed, so one that lost its lease cannot finish a job that
    another has since taken up. What does not end `running` has neither lease nor worker.
    """
    done = made(session, job, move, now=now, attempt=attempt, also=also)
    if done is None:
        raise illegal(find(session, job), move, attempt)
    return done


def made(
    session: Session,
    job: JobId,
    move: Move,
    *,
    now: datetime,
    attempt: int | None = None,
    only: ColumnElement[bool] | None = None,
    also: Mapping[str, object],
) -> Job | None:
    """As `make`, or None where the job is not so; `only` is a condition that is kept for good."""
    statement, bound = asked(job, move, now=now, attempt=attempt, only=only, also=also)
    return moved(session, session.run(statement, bound), move, now)


def asked(
    job: JobId,
    move: Move,
    *,
    now: datetime,
    attempt: int | None = None,
    only: ColumnElement[bool] | None = None,
    also: Mapping[str, object],
) -> Asked:
    """The one statement that makes it."""
    values = values_of(move, now, also)
    mine = {"b_id": job} if attempt is None else {"b_id": job, "b_attempt": attempt}
    return _update(move, tuple(values), attempt is not None, only), mine | binds(values)


def rescue(session: Session, job: Job, *, now: datetime) -> Job | None:
    """The job of a worker that is gone, queued again; or None: someone moved it first.

    The third loss leaves only the way back to do; lost on that too, it has failed.
    """
    losses = job.losses + 1
    also: dict[str, Any] = {"losses": losses}
    if losses == LOSS_LIMIT:
        also |= {"restoring": True, "error": job.error if job.restoring else WORKER_LOST}
    elif losses > LOSS_LIMIT:
        also |= {"error": _lost_again(job), "tag_due": LOSE.end.value}
    move = RESCUE if losses <= LOSS_LIMIT else LOSE
    return made(session, job.id, move, now=now, attempt=job.attempt, also=also)


def again(session: Session, job: Job, *, error: Trouble, run_at: datetime, now: datetime) -> Job:
    """Transient trouble: the job runs again, not before `run_at`; what went wrong stays to see."""
    also = {"failures": job.failures + 1, "error": error, "run_at": run_at}
    return _unless_cancelled(session, job, AGAIN, now, also)


def park(session: Session, job: Job, *, shown: Mapping[str, Any], now: datetime) -> Job:
    """The job waits at its gate, or makes way for a newer one of its series that is live.

    `shown` is what there is to approve. An approval that did not open the gate is over, but what
    was approved once is superseded by none.
    """
    newer = _newer_of_series(session, job)
    if newer is None:
        unapproved = dict.fromkeys(("error", "approved_by", "seen"))
        also = {**unapproved, "result": dict(shown)}
        return _unless_cancelled(session, job, PARK, now, also)
    also = {"superseded_by": newer, "tag_due": SUPERSEDE.end.value}
    return _unless_cancelled(session, job, SUPERSEDE, now, also)


def retry(session: Session, job: JobId, *, now: datetime) -> Job:
    """A job that failed or was cancelled is queued again, as if it had never run but for `attempt`.

    Refused, code `already-live`, while equal work is live.
    """
    anew: dict[str, Any] = {"failures": 0, "losses": 0, "restoring": False, "pruned": False}
    ends = ("error", "result", "cancel_requested_at", "finished_at", "run_at", "tag_due")
    try:
        with guarded(session):
            return make(session, job, RETRY, now=now, **anew, **dict.fromkeys(ends))
    except IntegrityError:
        raise Refused(
            f"the same work as job {job} is under way already",
            code="already-live",
            hint="see `hive jobs`",
        ) from None


def take_turns(session: Session, series: str) -> None:
    """Who parks a job and who submits a newer one see each other, in whatever order they come.

    On PostgreSQL, where both could look before either has committed.
    """
    if dialect_of(session) == "postgresql":
        session.execute(_TURN, {"series": series})


def illegal(job: Job, move: Move, attempt: int | None = None) -> IllegalMove:
    later = "" if attempt in (None, job.attempt) else f", attempt {job.attempt}, not {attempt}"
    said = f"cannot {move.name} job {job.id}: it is {job.state}{later}"
    return IllegalMove(said, hint=f"see `hive job show {job.id}`")


def _lost_again(job: Job) -> Trouble:
    first = f"{job.error.message}; and then " if job.error else ""
    said = f"{first}its worker was lost while what was before was restored"
    return Trouble(WORKER_LOST.code, said, WORKER_LOST.hint)


# Statements that every job needs are put together once: that takes longer than to run them.


@cache
def _update(
    move: Move, columns: tuple[str, ...], is_fenced: bool, only: ColumnElement[bool] | None
) -> Prepared:
    return Prepared(changing(move, columns, is_fenced=is_fenced, only=only).returning(*READ), READ)


def changing(
    move: Move,
    columns: Iterable[str],
    *,
    is_fenced: bool = True,
    only: ColumnElement[bool] | None = None,
) -> Update:
    """Of the job `b_id`, in its attempt `b_attempt` where that is asked; each column is bound."""
    states = sorted(move.start)
    in_state = or_(*(C.state == state for state in states))
    mine = update(JOBS).where(C.id == bindparam("b_id"), in_state)
    if is_fenced:
        mine = mine.where(C.attempt == bindparam("b_attempt"))
    if only is not None:
        mine = mine.where(only)
    values = {name: bindparam(f"to_{name}", type_=C[name].type) for name in columns}
    return mine.values({**values, "state": move.end})


def _unless_cancelled(
    session: Session, job: Job, move: Move, now: datetime, also: Mapping[str, Any]
) -> Job:
    """What was cancelled meanwhile is given back instead: its next attempt calls it off."""
    done = made(
        session, job.id, move, now=now, attempt=job.attempt, only=RUNS_UNCANCELLED, also=also
    )
    return done or make(session, job.id, GIVE_BACK, now=now, attempt=job.attempt)


def _newer_of_series(session: Session, job: Job) -> JobId | None:
    if job.series is None or job.approved_at is not None:
        return None
    take_turns(session, job.series)
    newer = select(func.max(C.id)).where(C.series == job.series, text(LIVE_ONLY), C.id > job.id)
    found: JobId | None = session.scalar(newer)
    return found


def moved(session: Session, found: Found, move: Move, now: datetime) -> Job | None:
    """The job that was moved, told as `move` to all whom it concerns; or None."""
    job = sole(found)
    if job is not None:
        because = {"error": job.error.code} if job.error and move is not CLAIM else {}
        told(session, job, move.name.replace(" ", "-"), now, **because)
        telling.leave(session, notices(job, move, _before(session, job)), now=now)
    return job


def _before(session: Session, job: Job) -> Job | None:
    """Of a job for a whole node that failed: the one of its kind that ended before it."""
    if job.agent is not None or job.state is not JobState.FAILED:
        return None
    alike = (C.kind == job.kind, C.node == job.node, C.agent.is_(None), C.id < job.id)
    ended = selected(*alike, C.state.in_(sorted(ENDED)))
    return first_of(session, ended.order_by(C.id.desc()).limit(1))


def binds(values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as `changing` names what they are bound to."""
    return {
        f"to_{name}": asdict(value) if isinstance(value, Trouble) else value
        for name, value in values.items()
    }


def values_of(move: Move, now: datetime, also: Mapping[str, Any]) -> dict[str, Any]:
    """What changes with it, but for the state."""
    return {**_of_state(move.end, now), **also}


def _of_state(state: JobState, now: datetime) -> dict[str, Any]:
    """What every move into a state says besides."""
    if state is JobState.RUNNING:
        return {}
    free = {"leased_until": None, "worker": None}
    if state in ENDED:
        return {**free, "finished_at": now}
    return {**free, "queued_at": now} if state is JobState.QUEUED else free
