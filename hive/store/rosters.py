"""What a sweep, and those who tidy behind jobs, must know of a node's agents and their jobs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, cast

from sqlalchemy import Table, func, select, text

from hive.domain.crash import WITHIN
from hive.domain.job import BUILDING, ENDED, Job, JobState
from hive.domain.names import AgentName, NodeName
from hive.domain.roster import DEPLOYS, Roster
from hive.store import agents, crashes
from hive.store.jobs import JOBS, C, all_of, in_state, selected
from hive.store.session import Session
from hive.store.tables import LIVE_ONLY, AgentRow, among

AGENTS: Final = cast(Table, AgentRow.__table__)
A: Final = AGENTS.c
ENDED_ONLY: Final = among("state", ENDED)
LOOK: Final = 10 * DEPLOYS
"""So many jobs back the last different deploys of an agent are looked for."""


def roster(
    session: Session, node: NodeName, now: datetime, *, beside: frozenset[str] = frozenset()
) -> Roster:
    """Of one node at this moment; jobs of the kinds `beside` are the last of no agent."""
    live = selected(C.node == node, text(LIVE_ONLY), C.agent.is_not(None)).order_by(C.id)
    here = tuple(agents.listed(session, node))
    return Roster(
        node=node,
        at=now,
        agents=here,
        live=_by_agent(all_of(session, live)),
        crashes=crashes.since(session, node, now - WITHIN),
        last=_last(session, node, beside),
        newest=_last(session, node, frozenset()),
        kept={one.name: deployed(session, node, one.name) for one in here},
    )


def deployed(session: Session, node: NodeName, agent: AgentName) -> frozenset[Path]:
    """The closures of its last deploys, so many different ones, and of what waits."""
    mine = select(C.result).where(C.node == node, C.agent == agent)
    # SQLite, without statistics, may walk all jobs of a kind instead of the agent's.
    builds = func.coalesce(C.kind, C.kind).in_(sorted(BUILDING))
    done = mine.where(C.state == JobState.SUCCEEDED, builds).order_by(C.id.desc())
    found = ((result or {}).get("system") for result in session.scalars(done.limit(LOOK)))
    systems = list(dict.fromkeys(filter(None, found)))[:DEPLOYS]
    waiting = session.scalars(mine.where(*in_state(JobState.WAITING)))
    closures = filter(None, ((result or {}).get("closure") for result in waiting))
    return frozenset(map(Path, [*systems, *closures]))


def failed_on(session: Session, node: NodeName) -> frozenset[tuple[AgentName, str]]:
    """The agents that could not be rebuilt on a base, and the base's URL."""
    failed = selected(C.node == node, C.kind == "rebuild", *in_state(JobState.FAILED))
    found = ((job.agent, job.ask.get("base")) for job in all_of(session, failed))
    return frozenset((agent, base["url"]) for agent, base in found if agent and base)


def _by_agent(jobs: Iterable[Job]) -> dict[AgentName, tuple[Job, ...]]:
    found: dict[AgentName, tuple[Job, ...]] = {}
    for job in jobs:
        if job.agent is not None:
            found[job.agent] = (*found.get(job.agent, ()), job)
    return found


def _last(session: Session, node: NodeName, beside: frozenset[str]) -> dict[AgentName, Job]:
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
    return {job.agent: job for job in all_of(session, selected(C.id.in_(ids))) if job.agent}
