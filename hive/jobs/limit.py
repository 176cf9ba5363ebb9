"""Limit: memory, processor and tasks of a running agent are as they are set now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hive.adapters.world import World
from hive.domain.agent import Agent
from hive.domain.names import AgentName
from hive.jobs.recipe import Recipe
from hive.steps.container import Limited
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Limit(Recipe):
    """`agent` is limited as its settings say, at once."""

    kind: ClassVar[str] = "limit"
    of: Agent

    @property
    def agent(self) -> AgentName:
        return self.of.name

    def plan(self) -> tuple[Step, ...]:
        return (Limited(self.agent, self.of.settings),)

    def result(self, world: World) -> dict[str, object]:  # noqa: ARG002
        return {"agent": self.agent}
