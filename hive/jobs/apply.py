"""Apply: a commit that was proposed is built, approved, switched to, and recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from hive.adapters.world import World
from hive.domain.agent import Agent
from hive.domain.approval import Seen
from hive.domain.job import JobId
from hive.domain.names import AgentName, Rev
from hive.domain.target import Pinned
from hive.jobs.deploy import result_of, reverted, switched
from hive.jobs.recipe import Recipe
from hive.steps.closure import Built
from hive.steps.deploy import is_recorded
from hive.steps.gate import Approved
from hive.steps.home import HomeReady
from hive.steps.look import deployed_by, planned, recorded, system_of
from hive.steps.meta import CandidatePinned
from hive.steps.running import Restarts
from hive.steps.step import Step
from hive.steps.tags import APPROVED, BUILDING, PROPOSAL, ProposalPinned, Tagged


@dataclass(frozen=True, slots=True)
class Apply(Recipe):
    """`agent` runs the commit `rev`, which an operator has approved; a proposal waits for that."""

    kind: ClassVar[str] = "apply"
    of: Agent
    job: JobId
    rev: Rev
    gate: Approved
    builds_first: bool = True
    restarts: Restarts = Restarts.AUTO

    @property
    def agent(self) -> AgentName:
        return self.of.name

    @property
    def target(self) -> Pinned:
        return Pinned(self.agent, self.rev, self.of.settings.overrides)

    def plan(self) -> tuple[Step, ...]:
        built = (
            Tagged(self.agent, BUILDING, self.job, self.rev),
            CandidatePinned(self.target),
            Built(self.target),
        )
        gate = replace(self.gate, target=self.target)
        approved = (gate, Tagged(self.agent, APPROVED, self.job, self.rev))
        return (
            self._pinned,
            *((*built, *approved) if self.builds_first else (*approved, *built)),
            HomeReady(self.agent),
            *switched(self.of, self.target, self.job, self.restarts),
        )

    @property
    def _pinned(self) -> Step:
        building = (BUILDING,) if self.builds_first else ()
        approved = (APPROVED,) if self.gate.is_with_request else ()
        return ProposalPinned(self.agent, self.job, self.rev, (PROPOSAL, *building, *approved))

    def restore(self) -> tuple[Step, ...]:
        return reverted(self.of, self.restarts)

    def is_recorded(self, world: World) -> bool:
        """By this job: what another one has deployed meanwhile opens no gate."""
        return is_recorded(world, self.target) and deployed_by(world, self.agent) == self.job

    def result(self, world: World) -> dict[str, object]:
        return result_of(world, self.of, self.target)

    def shown(self, world: World) -> dict[str, object]:
        before, after = recorded(world, self.agent), planned(world, self.target)
        system = system_of(world, self.target)
        seen = Seen(
            rev=self.rev,
            deployed=before.block.rev if before else None,
            base=after.base.url if after else None,
            closure=str(system) if system else None,
        )
        return seen.as_json()


@dataclass(frozen=True, slots=True)
class Rollback(Apply):
    """The same with a commit that was deployed before: applied has it, whatever proposed has."""

    kind: ClassVar[str] = "rollback"

    @property
    def _pinned(self) -> Step:
        return Tagged(self.agent, PROPOSAL, self.job, self.rev)
