"""Tags of applied: the trail of a proposal, each with the number of its job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hive.adapters.streams import RefMove
from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.meta import LOCK
from hive.domain.names import AgentName, Rev
from hive.errors import Fault, Refused
from hive.steps.step import Differs, Finding, Holds

PROPOSAL: Final = "proposal"
BUILDING: Final = "building"
APPROVED: Final = "approved"


def tag(name: str, job: JobId) -> str:
    return f"refs/tags/{name}/{job}"


@dataclass(frozen=True, slots=True)
class ProposalPinned:
    """applied holds the commit that job `job` proposes, and its tag `proposal/<job>` is on it.

    From then on nothing that happens to proposed changes what will be built.
    """

    agent: AgentName
    job: JobId
    rev: Rev
    tags: tuple[str, ...] = (PROPOSAL,)
    """What one fetch plants on it, where it has to be fetched."""

    def check(self, world: World) -> Finding:
        return _found(world, self.agent, tag(PROPOSAL, self.job), self.rev)

    def apply(self, world: World) -> None:
        applied = world.layout.applied(self.agent)
        if not world.git.is_repo(applied):
            raise Refused(
                f"{self.agent} has no applied repo",
                code="no-such-agent",
                hint=f"spawn it first: hive spawn {self.agent}",
            )
        copy = world.scratch(self.agent, "copy")
        asked = (f"{self.rev}:{tag(name, self.job)}" for name in self.tags)
        world.git.fetch(applied, world.proposed(self.agent), *asked, scratch=copy, reads=(LOCK,))


@dataclass(frozen=True, slots=True)
class Tagged:
    """The tag `<name>/<job>` of applied is on the commit of job `job`."""

    agent: AgentName
    name: str
    job: JobId
    rev: Rev

    def check(self, world: World) -> Finding:
        return _found(world, self.agent, tag(self.name, self.job), self.rev)

    def apply(self, world: World) -> None:
        if isinstance(self.check(world), Differs):
            move = RefMove(tag(self.name, self.job), self.rev, None)
            world.git.move(world.layout.applied(self.agent), move)


def plant_verdict(
    world: World, agent: AgentName, name: str, job: JobId, rev: Rev, body: str
) -> None:
    """The annotated tag `<name>/<job>` says how the job ended. One that is there already stays.

    Nothing, where the commit was never taken in, or the repo is gone.
    """
    applied = world.layout.applied(agent)
    if not world.git.is_repo(applied) or world.git.ref(applied, tag(name, job)):
        return
    if world.git.ref(applied, tag(PROPOSAL, job)):
        world.git.annotate(applied, f"{name}/{job}", rev, body, at=world.clock.now())


def _found(world: World, agent: AgentName, ref: str, rev: Rev) -> Finding:
    """A number is never used again: a tag that is elsewhere is a fault."""
    found = world.git.ref(world.layout.applied(agent), ref)
    said = ref.removeprefix("refs/tags/")
    if found is None:
        return Differs(f"{agent} has no {said}")
    if found != rev:
        raise Fault(f"{said} of {agent} is on {found[:12]}, not on {rev[:12]}")
    return Holds(f"{said} is on {rev[:12]}")
