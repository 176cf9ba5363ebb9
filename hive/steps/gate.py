"""Where a job must wait for a person: a gate is a step that no program can make true."""

from __future__ import annotations

from dataclasses import dataclass

from hive.adapters.world import World
from hive.domain.approval import Seen
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.domain.target import Target
from hive.errors import Fault
from hive.steps.look import deployed_by, recorded, system_of
from hive.steps.step import Differs, Finding, Holds


@dataclass(frozen=True, slots=True)
class Approved:
    """An operator has approved this job, as things are with `agent`, or it may do without."""

    agent: AgentName
    job: JobId
    by: str | None
    """Who approved it; None while nobody has."""
    seen: Seen | None = None
    """What was looked at then; None where it was approved with the request."""
    target: Target | None = None
    """What would be deployed."""

    @property
    def is_with_request(self) -> bool:
        """Who asked for it may do without another's word."""
        return self.by is not None and self.seen is None

    def check(self, world: World) -> Finding:
        if self.by is None:
            return Differs("nobody has approved it yet")
        if self.seen is None:
            return Holds(f"{self.by} asked for it")
        found = recorded(world, self.agent)
        deployed = found.block.rev if found else None
        if deployed != self.seen.deployed:
            if deployed_by(world, self.agent) == self.job:
                return Holds(f"{self.by} approved it")
            was, now = _short(self.seen.deployed), _short(deployed)
            return Differs(f"{self.by} approved it over {was}, and {now} is deployed since")
        if self.seen.expected and self.target:
            system = system_of(world, self.target)
            if str(system) != self.seen.expected:
                return Differs(f"{self.by} approved {self.seen.expected}, and it is {system} now")
        return Holds(f"{self.by} approved it")

    def apply(self, world: World) -> None:  # noqa: ARG002
        raise Fault("a gate was applied: only a person opens it")


def is_gate(step: object) -> bool:
    return isinstance(step, Approved)


def _short(rev: str | None) -> str:
    return rev[:12] if rev else "nothing"
