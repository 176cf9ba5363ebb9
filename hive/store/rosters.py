"""What a sweep, and those who tidy behind jobs, must know of a node's agents and their jobs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, cast

from sqlalchemy import Table, select, text

from hive.domain.crash import WITHIN
from hive.domain.job import ENDED, Job, JobState
from hive.domain.names import AgentName, NodeName
from hive.domain.roster import Roster
from hive.store import agents, crashes
from hive.store.jobs import JOBS, C, all_of, selected
from hive.store.session import Session
from hive.store.tables import LIVE_ONLY, AgentRow, among

AGENTS: Final = cast(Table, AgentRow.__table__)
A: Final = AGENTS.c
ENDED_ONLY: Final = among("state", ENDED)


def roster(
    session: Session, node: NodeName, now: datetime, *, beside: frozenset[str] = frozenset()
) -> Roster:
    """Of one node at this moment; jobs of the kinds `beside` are the last of no agent."""
    live = selected(C.node == node, text(LIVE_ONLY), C.agent.is_not(None)).order_by(C.id)
    return Roster(
        node=node,
        at=now,
        agents=tuple(agents.listed(session, node)),
        live=tuple(all_of(session, live)),
        crashes=crashes.since(session, node, now - WITHIN),
        last={job.agent: job for job in _last(session, node, beside) if job.agent},
    )


def deployed(session: Session, node: NodeName, agent: AgentName, *, last: int) -> frozenset[Path]:
    """The closures that its last jobs have deployed, so many different ones, and what waits."""
    mine = (C.node == node, C.agent == agent)
    done = selected(*mine, C.state == JobState.SUCCEEDED).order_by(C.id.desc()).limit(50 * last)
    found = ((job.result or {}).get("system") for job in all_of(session, done))
    systems = dict.fromkeys(filter(None, found))
    waiting = all_of(session, selected(*mine, C.state == JobState.WAITING))
    closures = ((job.result or {}).get("closure") for job in waiting)
    return frozenset(map(Path, [*list(systems)[:last], *filter(None, closures)]))


def failed_on(session: Session, node: NodeName) -> frozenset[tuple[AgentName, str]]:
    """The agents that could not be rebuilt on a base, and the base's URL."""
    failed = selected(C.node == node, C.kind == "rebuild", C.state == JobState.FAILED)
    found = ((job.agent, job.ask.get("base")) for job in all_of(session, failed))
    return frozenset((agent, base["url"]) for agent, base in found if agent and base)


def _last(session: Session, node: NodeName, beside: frozenset[str]) -> list[Job]:
    """By a walk back from the newest job of each agent, not over all there ever were."""
    other = JOBS.alias("other")
    newest = (
        select(other.c.id)
        .where(other.c.agent == A.name, other.c.node == A.node)
        .where(text(f"other.{ENDED_ONLY}"), other.c.kind.not_in(sorted(beside)))
        .order_by(other.c.id.desc())
        .limit(1)
    )
    ids = select(newest.correlate(AGENTS).scalar_subquery().label("id")).where(A.node == node)
    return all_of(session, selected(C.id.in_(ids)))
