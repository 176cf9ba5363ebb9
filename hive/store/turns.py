"""A job's end and the next claim of its lock, for hands that are at it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import select, true
from sqlalchemy.exc import IntegrityError

from hive.domain.job import FINISH, Job, JobId
from hive.domain.notice import is_success_told
from hive.store import claims, events, jobs, moves
from hive.store.jobs import JOBS, READ, C
from hive.store.line import Line
from hive.store.prepared import Asked, Found, Prepared
from hive.store.session import Session


@dataclass(frozen=True, slots=True)
class Turn:
    """A job that has finished, and what its row then says."""

    job: Job
    said: Mapping[str, object]

    @property
    def is_quiet(self) -> bool:
        """It leaves no message in an inbox."""
        return not is_success_told(self.job.kind)


@dataclass(frozen=True, slots=True)
class Turned:
    """Its row says so, and that its worker has this one now."""

    following: Job | None


def turn_over(
    session: Session, turns: Sequence[Turn], *, worker: str, now: datetime, leased_until: datetime
) -> list[Turned]:
    """Each job has finished, as `moves.make` does it, and its worker has the next of its lock.

    All is asked for at once, which saves the ways to a server and back. Raises as both do: then
    nothing of it is so. Rows are locked by number: two that lock several wait for no circle.
    """
    ordered = _by_number(turns)
    ends = [
        moves.asked(turn.job.id, FINISH, now=now, attempt=turn.job.attempt, also=turn.said)
        for turn in ordered
    ]
    nexts = [
        claims.asked(turn.job.lock, worker=worker, now=now, leased_until=leased_until)
        for turn in ordered
    ]
    try:
        found = session.run_all(*ends, *nexts)
    except IntegrityError:
        raise claims.raced(", ".join(turn.job.lock for turn in ordered)) from None
    turned: dict[JobId, Turned] = {}
    ended_rows, next_rows = found[: len(ends)], found[len(ends) :]
    for turn, ended, claimed in zip(ordered, ended_rows, next_rows, strict=True):
        if moves.moved(session, ended, FINISH, now) is None:
            raise moves.illegal(jobs.find(session, turn.job.id), FINISH, turn.job.attempt)
        turned[turn.job.id] = Turned(claims.claimed(session, claimed, turn.job.lock, now))
    return [turned[turn.job.id] for turn in turns]


def turn_over_at_once(
    line: Line,
    turns: Sequence[Turn],
    *,
    worker: str,
    now: datetime,
    leased_until: datetime,
) -> list[Turned | None]:
    """As `turn_over`, in one word and a transaction of the server's own. Of quiet turns only.

    None where nothing of a turn is so: its job is another attempt's, and `turn_over` says which.
    A job with siblings is left to a claim, which counts them, and so is all that waits behind it.
    Raises where nothing of any is so, or the connection was lost.
    """
    ordered = _by_number(turns)
    whose = {"b_now": now, "b_worker": worker, "b_until": leased_until}
    moved = [_asked(turn, now, whose) for turn in ordered]
    told = [_told(turn, now) for turn in ordered]
    found = line.send(*moved, *told)
    turned = {
        turn.job.id: _turned(rows)
        for turn, rows in zip(ordered, found[: len(ordered)], strict=True)
    }
    return [turned[turn.job.id] for turn in turns]


def _asked(turn: Turn, now: datetime, whose: Mapping[str, object]) -> Asked:
    values = moves.values_of(FINISH, now, turn.said)
    return _turn(tuple(values)), {**moves.binds(values), **whose, **_which(turn)}


def _told(turn: Turn, now: datetime) -> Asked:
    return events.OF_TURN, {**_which(turn), "b_now": now}


def _which(turn: Turn) -> dict[str, object]:
    return {"b_id": turn.job.id, "b_attempt": turn.job.attempt, "b_lock": turn.job.lock}


def _turned(rows: Found) -> Turned | None:
    if not rows:
        return None
    ((_, *columns),) = rows
    return Turned(None if columns[0] is None else jobs.job_of(columns))


def _by_number(turns: Sequence[Turn]) -> list[Turn]:
    return sorted(turns, key=lambda turn: turn.job.id)


@cache
def _turn(columns: tuple[str, ...]) -> Prepared:
    """The end, and only where there is one the claim: of its lock no other job was running.

    Both see what was so before the statement.
    """
    ended = moves.changing(FINISH, columns).returning(C.id).cte("ended")
    first = claims.claiming(*claims.but_for_its_lock_and_siblings(JOBS))
    only = first.where(C.parent_id.is_(None), select(ended.c.id).exists())
    claimed = only.returning(*READ).cte("claimed")
    both = select(ended.c.id, *(claimed.c[column.name] for column in READ))
    return Prepared(both.select_from(ended.outerjoin(claimed, true())), (C.id, *READ))
