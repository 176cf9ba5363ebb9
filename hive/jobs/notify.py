"""Notify: somebody is told of one event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.notifier import Notifier
from hive.jobs.recipe import Recipe
from hive.steps.notified import Notified
from hive.steps.step import Step


@dataclass(frozen=True, slots=True)
class Notify(Recipe):
    """What the notifier calls was told of the event, once at least."""

    kind: ClassVar[str] = "notify"
    notifier: Notifier
    job: JobId
    event: Mapping[str, Any]

    @property
    def agent(self) -> None:
        return None

    def plan(self) -> tuple[Step, ...]:
        return (Notified(self.notifier, self.job, self.event),)

    def result(self, world: World) -> dict[str, object]:  # noqa: ARG002 - it is what was asked
        return {"notifier": self.notifier.name, "event": self.event["seq"]}
