"""Update-base: the base is looked at anew, and each agent is rebuilt on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

from hive.adapters.git import MAIN
from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.jobs.recipe import Aftermath, Child, Recipe
from hive.steps.base import BaseWanted, wanted_base
from hive.steps.look import meta_at
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class UpdateBase(Recipe):
    """The base that agents of this node are to stand on is known; each moves to it by itself."""

    kind: ClassVar[str] = "update-base"
    job: JobId
    failed_on: frozenset[tuple[AgentName, str]] = frozenset()
    """Agents that could not be rebuilt on a base, with its URL: they are not tried on it again."""

    @property
    def agent(self) -> None:
        return None

    def plan(self) -> tuple[Step, ...]:
        return (BaseWanted(self.job),)

    def result(self, world: World) -> dict[str, object]:
        base = wanted_base(world)
        return {"base": base.url if base else None}

    def aftermath(self, world: World) -> Aftermath:
        """A rebuild of each agent that stands on another base, and has not failed on this one."""
        base = wanted_base(world)
        if base is None:
            return Aftermath()
        meta = meta_at(world, world.git.ref(world.layout.meta, MAIN))
        behind = (one.agent for one in meta.blocks if meta.base(one.base).url != base.url)
        ask = {"base": asdict(base)}
        wanted = (agent for agent in behind if (agent, base.url) not in self.failed_on)
        children = tuple(Child("rebuild", agent, ask) for agent in wanted)
        return Aftermath(children, at_once=world.builds)
