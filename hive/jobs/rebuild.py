"""Rebuild: all that hive owns of an agent is put back, on what its applied main names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hive.adapters.world import World
from hive.domain.agent import Agent
from hive.domain.job import JobId
from hive.domain.meta import Base
from hive.domain.names import AgentName
from hive.domain.target import AppliedMain
from hive.jobs.deploy import result_of, reverted, switched
from hive.jobs.recipe import Recipe
from hive.steps.closure import Built
from hive.steps.deploy import is_recorded
from hive.steps.home import HomeReady
from hive.steps.meta import CandidatePinned
from hive.steps.repos import ProposedPlaced
from hive.steps.running import Restarts
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Rebuild(Recipe):
    """`agent` runs what its applied main names, on `base` where one is given, as it is set now."""

    kind: ClassVar[str] = "rebuild"
    of: Agent
    job: JobId
    base: Base | None = None
    restarts: Restarts = Restarts.AUTO

    @property
    def agent(self) -> AgentName:
        return self.of.name

    @property
    def target(self) -> AppliedMain:
        return AppliedMain(self.agent, self.of.settings.overrides, self.base)

    def plan(self) -> tuple[Step, ...]:
        return (
            ProposedPlaced(self.agent),
            HomeReady(self.agent),
            CandidatePinned(self.target),
            Built(self.target),
            *switched(self.of, self.target, self.job, self.restarts),
        )

    def restore(self) -> tuple[Step, ...]:
        return reverted(self.of, self.restarts)

    def is_recorded(self, world: World) -> bool:
        return is_recorded(world, self.target)

    def result(self, world: World) -> dict[str, object]:
        return result_of(world, self.of, self.target)
