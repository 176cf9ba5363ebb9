"""Prune: what nobody looks at any more is taken out of the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from hive.adapters.world import World
from hive.jobs.recipe import Recipe
from hive.steps.pruned import Past, Pruned
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Prune(Recipe):
    """What was old when it was asked for has gone."""

    kind: ClassVar[str] = "prune"
    past: Past
    asked_at: datetime

    @property
    def agent(self) -> None:
        return None

    def plan(self) -> tuple[Step, ...]:
        return (Pruned(self.past, self.asked_at),)

    def result(self, world: World) -> dict[str, object]:  # noqa: ARG002
        return {"changed": self.past.taken}
