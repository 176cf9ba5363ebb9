"""How an attempt ends: values, and the one place where they become a move."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, assert_never

from hive.domain.agent import Agent
from hive.domain.job import (
    CANCELLED,
    END_CANCELLED,
    FAIL,
    FINISH,
    GIVE_BACK,
    Job,
    NewJob,
    Trouble,
)
from hive.domain.names import AgentName
from hive.domain.report import GIVEN_UP
from hive.domain.retry import Again, GiveUp, verdict
from hive.errors import HiveError, IllegalMove, Refused
from hive.jobs.catalog import lock_of, priority_of, unique_key
from hive.jobs.recipe import Aftermath, Child
from hive.queue.report import report
from hive.store import agents, jobs, messages, moves, verdicts
from hive.store.session import Session

HOMELESS: Final = Trouble("homeless", "agent state dir missing")
DESTROYED: Final = Trouble("destroyed", "agent destroyed")
JITTER: Final = 0.25
"""A wait is up to this part of it longer, so that what failed together does not come together."""


@dataclass(frozen=True, slots=True)
class Finished:
    result: Mapping[str, object]
    after: Aftermath = field(default_factory=Aftermath)

    @property
    def is_all(self) -> bool:
        """Nothing else is written with it."""
        return self.after == Aftermath()

    @property
    def said(self) -> dict[str, object]:
        """What its row says then."""
        return {"error": None, "restoring": False, "result": dict(self.result)}


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
class Parked:
    shown: Mapping[str, object] = field(default_factory=dict)
    """What there is to approve."""


@dataclass(frozen=True, slots=True)
class GivenBack: ...


Ending = Finished | Failed | Cancelled | Parked | GivenBack


def write(session: Session, job: Job, ending: Ending, *, failure_limit: int, now: datetime) -> Job:
    """The move that this ending is, made with the attempt, the fence."""
    match ending:
        case Finished():
            return _finished(session, job, ending, now)
        case Failed():
            return _failed(session, job, ending, failure_limit, now)
        case Cancelled(forget):
            ended = moves.make(
                session, job.id, END_CANCELLED, now=now, attempt=job.attempt, error=CANCELLED,
                tag_due=END_CANCELLED.end.value,
            )  # fmt: skip
            _forget(session, job, forget)
            return ended
        case Parked(shown):
            return moves.park(session, job, shown=dict(shown), now=now)
        case GivenBack():
            return moves.make(session, job.id, GIVE_BACK, now=now, attempt=job.attempt)
        case _:
            assert_never(ending)


def is_worth_again(job: Job, error: HiveError, limit: int, *, switched: bool) -> bool:
    return isinstance(_verdict(job, error, limit, switched), Again)


def trouble(error: HiveError) -> Trouble:
    return Trouble(error.code, error.message, error.hint)


def _finished(session: Session, job: Job, finished: Finished, now: datetime) -> Job:
    """With it come its children, and what its end means for its agent's other jobs."""
    after = finished.after
    beside = {} if after.at_once is None else {"at_once": after.at_once}
    said = finished.said | beside
    ended = moves.make(session, job.id, FINISH, now=now, attempt=job.attempt, **said)
    for agent in after.rows:
        _take_in(session, agent, now)
    for child in after.children:
        jobs.submit(session, _of(job, child, now), now=now)
    if after.is_last and job.agent is not None:
        verdicts.orphan_before(session, job, error=DESTROYED, now=now)
    _look_after(session, job, after, now)
    if after.forgets and job.agent is not None:
        _forget(session, job, job.agent)
    return ended


def _look_after(session: Session, job: Job, after: Aftermath, now: datetime) -> None:
    """What a sweep has found that no other job sees to."""
    for orphaned in after.orphans:
        with suppress(IllegalMove):  # somebody decided about it meanwhile
            verdicts.orphan(session, orphaned, error=HOMELESS, now=now)
    spared = {name for name in after.failed if _has_more(session, job, name)}
    for name in after.failed:
        if name not in spared:
            agents.give_up(session, job.node, name, now=now)
    for one in after.reports:
        if one.kind != GIVEN_UP or one.agent not in spared:
            report(session, job.node, one, now=now)


def _has_more(session: Session, job: Job, agent: AgentName) -> bool:
    """Somebody acts on it since this job was asked for."""
    return any(one.id > job.id for one in jobs.live_of(session, job.node, agent))


def _of(parent: Job, child: Child, now: datetime) -> NewJob:
    return NewJob(
        kind=child.kind,
        node=parent.node,
        agent=child.agent,
        ask=child.ask,
        lock=lock_of(parent.node, child.agent),
        requested_by=child.by or parent.requested_by,
        unique_key=unique_key(child.kind, parent.node, child.agent, child.ask),
        priority=priority_of(child.kind),
        run_at=now + child.wait if child.wait else None,
        parent_id=parent.id,
    )


def _failed(session: Session, job: Job, failed: Failed, limit: int, now: datetime) -> Job:
    """Again after a wait, or for good."""
    said = trouble(failed.error)
    match _verdict(job, failed.error, limit, failed.switched):
        case Again(after):
            run_at = now + _jittered(after)
            kept = job.error if job.restoring else None  # what it restores for is asked for later
            return moves.again(session, job, error=kept or said, run_at=run_at, now=now)
        case GiveUp():
            ended = moves.make(
                session, job.id, FAIL, now=now, attempt=job.attempt, error=said,
                tag_due=FAIL.end.value,
            )  # fmt: skip
            _forget(session, job, failed.forget)
            return ended


def _verdict(job: Job, error: HiveError, limit: int, switched: bool) -> Again | GiveUp:
    failures = job.failures + 1
    return verdict(error, failures=failures, failure_limit=limit, switched=switched)


def _forget(session: Session, job: Job, agent: AgentName | None) -> None:
    """But not while another job of it is live, which would miss its row."""
    if agent is not None and not jobs.live_of(session, job.node, agent):
        agents.forget(session, job.node, agent)
        messages.forget(session, job.node, agent)


def _take_in(session: Session, agent: Agent, now: datetime) -> None:
    """A row that is there says more. Where the port was taken meanwhile there is none: it shows."""
    if agents.find(session, agent.node, agent.name) is None:
        with suppress(Refused):
            agents.put(session, agent, now=now)


def _jittered(after: timedelta) -> timedelta:
    return after * (1 + random.random() * JITTER)
