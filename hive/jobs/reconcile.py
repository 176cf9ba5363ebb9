"""Reconcile: a look at the whole node, and a job for each agent that is not as it is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from hive.adapters.world import World
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.ports import port_of
from hive.domain.roster import SWEEP, Roster
from hive.jobs.differences import Difference
from hive.jobs.recipe import Aftermath, Child, Recipe
from hive.jobs.spawn import Spawn
from hive.jobs.survey import Survey, survey
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Reconcile(Recipe):
    """What differs on the node is known, and a job for each of it is queued.

    Itself it changes no agent.
    """

    kind: ClassVar[str] = "reconcile"
    roster: Roster
    settings: AgentSettings
    """Of a manager that is new."""
    _seen: list[Survey] = field(default_factory=list, compare=False)

    @property
    def agent(self) -> None:
        return None

    def plan(self) -> tuple[Step, ...]:
        """It makes nothing so: that is for the jobs that it leaves behind."""
        return ()

    def result(self, world: World) -> dict[str, object]:
        found = self._survey(world)
        differ = [_told(one) for one in found.differences]
        changed = len(tuple(_children(found))) + len(found.orphans)  # else it is forgotten one day
        return {"agents": found.looked_at, "differ": differ, "changed": changed}

    def aftermath(self, world: World) -> Aftermath:
        found = self._survey(world)
        return Aftermath(
            children=tuple(_children(found)),
            at_once=world.starts + world.builds,  # what starts or builds has a slot besides
            rows=tuple(self._rows(found)),
            orphans=found.orphans,
            failed=tuple(one.agent for one in found.differences if one.gives_up),
            reports=found.reports,
        )

    def _survey(self, world: World) -> Survey:
        """Once: what it tells and what it does are about the same moment."""
        if not self._seen:
            self._seen.append(survey(world, self.roster))
        return self._seen[0]

    def _rows(self, found: Survey) -> Iterator[Agent]:
        for one in found.differences:
            if one.kind == Spawn.kind:
                port = port_of(one.agent)
                yield Agent(self.roster.node, one.agent, port, Desired.RUNNING, self.settings)


def _children(found: Survey) -> Iterator[Child]:
    for one in found.differences:
        if one.kind is not None:
            ask = {"because": one.because}
            yield Child(one.kind, one.agent, ask, by=SWEEP, wait=one.wait)


def _told(one: Difference) -> dict[str, object]:
    return {"agent": one.agent, "job": one.kind, "because": one.because}
