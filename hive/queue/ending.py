"""How an attempt ends: values, and the one place where they become a move."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from hive.domain.job import (
    CANCELLED,
    END_CANCELLED,
    FAIL,
    FINISH,
    GIVE_BACK,
    Job,
    Trouble,
)
from hive.domain.names import AgentName
from hive.domain.retry import Again, GiveUp, verdict
from hive.errors import HiveError
from hive.store import agents, jobs, moves
from hive.store.session import Session

JITTER: Final = 0.25
"""A wait is up to this part of it longer, so that what failed together does not come together."""


@dataclass(frozen=True, slots=True)
class Finished:
    result: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Failed:
    error: HiveError
    switched: bool = False
    """After the switch nothing is tried again."""
    forget: AgentName | None = None
    """An agent of which nothing was made is forgotten in the same moment."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    forget: AgentName | None = None


@dataclass(frozen=True, slots=True)
class Parked: ...


@dataclass(frozen=True, slots=True)
class GivenBack: ...


Ending = Finished | Failed | Cancelled | Parked | GivenBack


def write(session: Session, job: Job, ending: Ending, *, failure_limit: int, now: datetime) -> Job:
    """The move that this ending is, made with the attempt, the fence."""
    match ending:
        case Finished(result):
            return moves.make(
                session, job.id, FINISH, now=now, attempt=job.attempt,
                error=None, restoring=False, result=dict(result),
            )  # fmt: skip
        case Failed():
            return _failed(session, job, ending, failure_limit, now)
        case Cancelled(forget):
            ended = moves.make(
                session, job.id, END_CANCELLED, now=now, attempt=job.attempt, error=CANCELLED
            )
            _forget(session, job, forget)
            return ended
        case Parked():
            return moves.park(session, job, now=now)
        case GivenBack():
            return moves.make(session, job.id, GIVE_BACK, now=now, attempt=job.attempt)
        case _:
            assert_never(ending)


def is_worth_again(job: Job, error: HiveError, limit: int, *, switched: bool) -> bool:
    return isinstance(_verdict(job, error, limit, switched), Again)


def trouble(error: HiveError) -> Trouble:
    return Trouble(error.code, error.message, error.hint)


def _failed(session: Session, job: Job, failed: Failed, limit: int, now: datetime) -> Job:
    """Again after a wait, or for good."""
    said = trouble(failed.error)
    match _verdict(job, failed.error, limit, failed.switched):
        case Again(after):
            run_at = now + _jittered(after)
            kept = job.error if job.restoring else None  # what it restores for is asked for later
            return moves.again(session, job, error=kept or said, run_at=run_at, now=now)
        case GiveUp():
            ended = moves.make(session, job.id, FAIL, now=now, attempt=job.attempt, error=said)
            _forget(session, job, failed.forget)
            return ended


def _verdict(job: Job, error: HiveError, limit: int, switched: bool) -> Again | GiveUp:
    failures = job.failures + 1
    return verdict(error, failures=failures, failure_limit=limit, switched=switched)


def _forget(session: Session, job: Job, agent: AgentName | None) -> None:
    """But not while another job of it is live, which would miss its row."""
    if agent is not None and not jobs.live_of(session, job.node, agent):
        agents.forget(session, job.node, agent)


def _jittered(after: timedelta) -> timedelta:
    return after * (1 + random.random() * JITTER)
