"""Adopt: a tree that is there already, such as hyperhive's, becomes this hive's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from hive.adapters.world import World
from hive.domain import conf
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.job import JobId
from hive.domain.limits import Limits
from hive.domain.names import AgentName, NodeName
from hive.domain.ports import port_of
from hive.jobs.recipe import Aftermath, Recipe
from hive.steps.adopted import AppliedAdopted, MetaAdopted
from hive.steps.daemon import OldDaemonGone
from hive.steps.home import HomeReady
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Adopt(Recipe):
    """The agents of the tree are this hive's, as they are: nothing is built, stopped or started."""

    kind: ClassVar[str] = "adopt"
    node: NodeName
    job: JobId
    agents: tuple[AgentName, ...]
    """Those that meta pins."""
    kept: tuple[AgentName, ...]
    """Those of which only the folders are left."""
    settings: AgentSettings
    """Of an agent whose limits nothing says."""

    @property
    def agent(self) -> None:
        return None

    def plan(self) -> tuple[Step, ...]:
        repos = (AppliedAdopted(name, self.job) for name in (*self.agents, *self.kept))
        homes = (HomeReady(name) for name in self.agents)
        return (OldDaemonGone(), *repos, *homes, MetaAdopted(self.job))

    def result(self, world: World) -> dict[str, object]:  # noqa: ARG002
        return {"agents": list(self.agents), "kept": list(self.kept)}

    def aftermath(self, world: World) -> Aftermath:
        return Aftermath(rows=tuple(self._rows(world)))

    def _rows(self, world: World) -> Iterator[Agent]:
        units = world.systemd.units([name.container for name in self.agents])
        for name in self.agents:
            text = world.containers.conf(name.container) or ""
            is_wanted = units[name.container].is_active or conf.read(text).get("AUTO_START") == "1"
            desired = Desired.RUNNING if is_wanted else Desired.STOPPED
            limits = world.files.read(world.layout.drop_in(name.container)) or ""
            yield self._row(name, desired, Limits.read(limits, self.settings))
        for name in self.kept:
            yield self._row(name, Desired.DESTROYED, self.settings)

    def _row(self, name: AgentName, desired: Desired, settings: AgentSettings) -> Agent:
        return Agent(self.node, name, port_of(name), desired, settings)
