"""Hive in numbers, for those who watch it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from hive.errors import Refused
from hive.queue.host import Host
from hive.service import fleet, status
from hive.store import figures

WINDOW: Final = timedelta(minutes=15)
"""Times are of the jobs that ended in it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it, at one moment."""

    jobs: Mapping[tuple[str, str], int]
    """By kind and state."""
    queue_age: Mapping[str, float]
    """Seconds, by node."""
    claimed: Mapping[str, Sequence[float]]
    """Seconds from the request to the first attempt, by kind."""
    ran: Mapping[str, Sequence[float]]
    """Seconds from the first attempt to the end, by kind."""
    losses: int
    fenced: int
    """Writes of attempts that had lost their job: each was refused."""
    desired: Mapping[tuple[str, str], int]
    """Agents by node and what is wanted of them."""
    states: Mapping[str, int]
    """Agents of this host by the state of their unit; nothing where it cannot look."""
    workers: Mapping[tuple[str, str], int]
    """Those that live, by node and role."""
    version: str


def of(host: Host) -> Figures:
    now = host.clock.now()
    with host.database.read() as session:
        times = figures.times(session, now - WINDOW)
        due = figures.oldest_due(session, now)
        jobs, desired = figures.jobs(session), figures.agents(session)
        losses, fenced = figures.losses(session), figures.fenced(session)
    claimed: dict[str, list[float]] = {}
    ran: dict[str, list[float]] = {}
    for kind, created, begun, ended in times:
        claimed.setdefault(kind, []).append((begun - created).total_seconds())
        ran.setdefault(kind, []).append((ended - begun).total_seconds())
    living = [view.worker for view in fleet.listed(host) if view.is_alive]
    return Figures(
        jobs=jobs,
        queue_age={node: max(0.0, (now - since).total_seconds()) for node, since in due.items()},
        claimed=claimed,
        ran=ran,
        losses=losses,
        fenced=fenced,
        desired=desired,
        states=_states(host),
        workers=Counter((one.process.node, one.role.value) for one in living),
        version=host.version,
    )


def _states(host: Host) -> Mapping[str, int]:
    try:
        found = status.status(host)
    except Refused:  # no host that hive may look at: the database's figures are told all the same
        return {}
    return Counter(one.state for one in found.agents if one.agent.node == host.node)
