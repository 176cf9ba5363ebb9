"""Spawn: from an empty host to an agent that answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hive.adapters.world import World
from hive.domain.agent import Agent
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.domain.target import AppliedMain
from hive.jobs.deploy import result_of, reverted, switched
from hive.jobs.recipe import Recipe
from hive.steps.closure import Built
from hive.steps.deploy import is_recorded
from hive.steps.gate import Approved
from hive.steps.home import HomeReady
from hive.steps.look import recorded
from hive.steps.meta import CandidatePinned
from hive.steps.repos import AppliedSeeded, ProposedSeeded
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Spawn(Recipe):
    """`agent` exists, and runs what its applied main names; kept state of its name is reused."""

    kind: ClassVar[str] = "spawn"
    of: Agent
    job: JobId
    gate: Approved | None = None

    @property
    def agent(self) -> AgentName:
        return self.of.name

    @property
    def target(self) -> AppliedMain:
        return AppliedMain(self.agent, self.of.settings.overrides)

    def plan(self) -> tuple[Step, ...]:
        return (
            ProposedSeeded(self.agent),
            AppliedSeeded(self.agent),
            HomeReady(self.agent),
            CandidatePinned(self.target),
            Built(self.target),
            *((self.gate,) if self.gate else ()),
            *switched(self.of, self.target, self.job),
        )

    def restore(self) -> tuple[Step, ...]:
        return reverted(self.of)

    def is_recorded(self, world: World) -> bool:
        return is_recorded(world, self.target)

    def result(self, world: World) -> dict[str, object]:
        return result_of(world, self.of, self.target)

    def left_nothing(self, world: World) -> bool:
        layout = world.layout
        of_it = (
            layout.home(self.agent),
            layout.applied(self.agent),
            layout.conf(self.agent.container),
            layout.profile(self.agent.container),
        )
        is_there = any(world.files.exists(path) for path in of_it)
        return not is_there and recorded(world, self.agent) is None
