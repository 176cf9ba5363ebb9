"""Where a job must wait for a person: a gate is a step that no program can make true."""

from __future__ import annotations

from dataclasses import dataclass

from hive.adapters.world import World
from hive.errors import Fault
from hive.steps.step import Differs, Finding, Holds


@dataclass(frozen=True, slots=True)
class Approved:
    """An operator has approved this job, or it may do without."""

    because: str | None
    """Why it may pass; None while it may not."""

    def check(self, world: World) -> Finding:  # noqa: ARG002 - nothing of the world decides this
        return Holds(self.because) if self.because else Differs("nobody has approved it yet")

    def apply(self, world: World) -> None:  # noqa: ARG002
        raise Fault("a gate was applied: only a person opens it")


def is_gate(step: object) -> bool:
    return isinstance(step, Approved)
