"""A look at every agent of a node, by a number of programs that does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.report import Report
from hive.domain.roster import Roster
from hive.jobs.differences import Difference, differences
from hive.jobs.look import Look, look
from hive.jobs.reports import reports


@dataclass(frozen=True, slots=True)
class Survey:
    looked_at: int
    differences: tuple[Difference, ...]
    orphans: tuple[JobId, ...]
    """Waiting jobs of agents whose folder is gone."""
    reports: tuple[Report, ...]


def survey(world: World, roster: Roster) -> Survey:
    """What differs on this node from what is wanted. Nothing is touched."""
    here = look(world, roster)
    found = tuple(differences(here))
    return Survey(len(here.here), found, tuple(_orphans(here)), reports(here, found))


def _orphans(look: Look) -> Iterator[JobId]:
    for agent, live in look.roster.live.items():
        waiting = [job.id for job in live if job.is_waiting]
        if waiting and not look.world.files.exists(look.world.layout.home(agent)):
            yield from waiting
