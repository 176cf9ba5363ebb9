"""Tidy: what finished jobs of an agent have left is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hive.adapters.world import World
from hive.domain.names import AgentName
from hive.jobs.recipe import Recipe
from hive.steps.step import Step
from hive.steps.tidy import NoCandidate, RootsKept, ScratchCleared


@dataclass(frozen=True, slots=True)
class Tidy(Recipe):
    """Nothing is left of the finished jobs of an agent but what serves the way back."""

    kind: ClassVar[str] = "tidy"
    of: AgentName
    kept: frozenset[Path]
    """Closures of its last deploys, and of what waits for approval."""
    waits: bool = False
    """A proposal of it waits, and needs its candidate."""

    @property
    def agent(self) -> AgentName:
        return self.of

    def plan(self) -> tuple[Step, ...]:
        candidates = () if self.waits else (NoCandidate(self.agent),)
        return (ScratchCleared(self.agent), *candidates, RootsKept(self.agent, self.kept))

    def result(self, world: World) -> dict[str, object]:  # noqa: ARG002
        return {"agent": self.agent}
