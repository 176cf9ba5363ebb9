"""Destroy and purge: an agent goes; what it kept stays, or goes too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.jobs.recipe import Aftermath, Recipe
from hive.steps.gone import Erased, Forgotten, Undefined, Unrooted
from hive.steps.running import Stopped
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Destroy(Recipe):
    """`agent` has no container, and meta does not name it; its two folders are kept."""

    kind: ClassVar[str] = "destroy"
    of: AgentName
    job: JobId

    @property
    def agent(self) -> AgentName:
        return self.of

    def plan(self) -> tuple[Step, ...]:
        return _destroyed(self.agent, self.job)

    def result(self, world: World) -> dict[str, object]:
        home = world.layout.home(self.agent)
        return {"agent": self.agent, "kept": str(home) if world.files.exists(home) else None}

    def aftermath(self, world: World) -> Aftermath:  # noqa: ARG002
        return Aftermath(is_last=True)


@dataclass(frozen=True, slots=True)
class Purge(Destroy):
    """The same, and nothing is left of it."""

    kind: ClassVar[str] = "purge"

    def plan(self) -> tuple[Step, ...]:
        return (*_destroyed(self.agent, self.job), Erased(self.agent))

    def result(self, world: World) -> dict[str, object]:  # noqa: ARG002
        return {"agent": self.agent, "kept": None}

    def aftermath(self, world: World) -> Aftermath:  # noqa: ARG002
        return Aftermath(is_last=True, forgets=True)


def _destroyed(agent: AgentName, job: JobId) -> tuple[Step, ...]:
    return (Stopped(agent), Undefined(agent), Forgotten(agent, job), Unrooted(agent))
