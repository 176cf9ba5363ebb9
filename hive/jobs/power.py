"""Start, stop and restart: no configuration is touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from hive.adapters.world import World
from hive.domain.agent import Agent, Desired
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.domain.target import Recorded
from hive.jobs.recipe import Recipe
from hive.steps.container import Limited, WillBoot
from hive.steps.deploy import IsDeployed
from hive.steps.home import HomeReady
from hive.steps.running import Ready, Restarted, Running, Stopped
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Start(Recipe):
    """`agent` runs what is deployed; or not, where an operator has asked for that since."""

    kind: ClassVar[str] = "start"
    of: Agent

    @property
    def agent(self) -> AgentName:
        return self.of.name

    def plan(self) -> tuple[Step, ...]:
        return _as_wanted(self.of)

    def result(self, world: World) -> dict[str, object]:
        return _result(world, self.of)


@dataclass(frozen=True, slots=True)
class Stop(Start):
    """The same: what an operator asked for last is what is so in the end."""

    kind: ClassVar[str] = "stop"


@dataclass(frozen=True, slots=True)
class Restart(Recipe):
    """`agent` was started after `since`, on what is deployed."""

    kind: ClassVar[str] = "restart"
    of: Agent
    since: datetime

    @property
    def agent(self) -> AgentName:
        return self.of.name

    def plan(self) -> tuple[Step, ...]:
        return (
            IsDeployed(self.agent), Restarted(self.agent, self.since), *_as_wanted(self.of)
        )  # fmt: skip

    def result(self, world: World) -> dict[str, object]:
        return _result(world, self.of)


def _as_wanted(agent: Agent) -> tuple[Step, ...]:
    target, settings = Recorded(agent.name), agent.settings
    if agent.desired is not Desired.RUNNING:
        return (Stopped(agent.name),)
    return (
        IsDeployed(agent.name),
        HomeReady(agent.name),
        WillBoot(target),
        Limited(agent.name, settings),
        Running(target, None),
        Ready(target, settings.health),
    )


def _result(world: World, agent: Agent) -> dict[str, object]:
    said: dict[str, object] = {"agent": agent.name, "desired": agent.desired.value}
    if agent.desired is Desired.RUNNING:
        said["url"] = f"http://{world.address}:{port_of(agent.name)}/"
    return said
