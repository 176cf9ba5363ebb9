"""Spawn: from an empty host to an agent that answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hive.adapters.world import World
from hive.domain.agent import AgentSettings, Desired
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.domain.target import AppliedMain
from hive.steps.closure import Built
from hive.steps.container import Defined, Limited, ProfileSet
from hive.steps.deploy import Deployed, Reverted, is_recorded
from hive.steps.home import HomeReady
from hive.steps.look import recorded, rev_of, system_of
from hive.steps.meta import CandidatePinned
from hive.steps.repos import AppliedSeeded, ProposedSeeded
from hive.steps.running import Ready, Running
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Spawn:
    """`agent` exists, and runs what its applied main names; kept state of its name is reused."""

    kind: ClassVar[str] = "spawn"
    agent: AgentName
    settings: AgentSettings
    desired: Desired
    job: JobId

    def plan(self) -> tuple[Step, ...]:
        target = AppliedMain(self.agent)
        steps: tuple[Step, ...] = (
            ProposedSeeded(self.agent),
            AppliedSeeded(self.agent),
            HomeReady(self.agent),
            CandidatePinned(target),
            Built(target),
            Defined(target, self.settings.privileged),
            ProfileSet(target),
            Limited(self.agent, self.settings),
            Running(target, self.settings.privileged),
            Ready(target, self.settings.health),
            Deployed(target, self.job),
        )
        if self.desired is Desired.RUNNING:
            return steps
        return tuple(step for step in steps if not isinstance(step, Running | Ready))

    def restore(self) -> tuple[Step, ...]:
        starts = self.desired is Desired.RUNNING
        return (Reverted(self.agent, self.settings.privileged, starts),)

    def is_recorded(self, world: World) -> bool:
        return is_recorded(world, AppliedMain(self.agent))

    def result(self, world: World) -> dict[str, object]:
        target = AppliedMain(self.agent)
        return {
            "agent": self.agent,
            "rev": rev_of(world, target),
            "system": str(system_of(world, target)),
            "url": f"http://{world.address}:{port_of(self.agent)}/",
        }

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
