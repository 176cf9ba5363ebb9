"""A recipe is what an operator may ask for, and the steps that grant it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from hive.adapters.world import World
from hive.domain.agent import Agent
from hive.domain.job import JobId
from hive.domain.names import AgentName
from hive.domain.report import Report
from hive.steps.container import Defined, ProfileSet
from hive.steps.step import Step

SWITCH = ProfileSet
"""Everything goes forward only, but for what comes from this step on: there is a way back."""

FIRM = Defined
"""Before this step a job makes way for a more urgent one of its lock."""


@dataclass(frozen=True, slots=True)
class Child:
    """A job that another one leaves behind; so many of them run at once."""

    kind: str
    agent: AgentName
    ask: Mapping[str, Any]
    by: str | None = None
    """Who asks for it; None: who asked for its parent."""
    wait: timedelta = timedelta(0)
    """Before it may begin."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What the database is told in the moment that the job has ended well."""

    children: tuple[Child, ...] = field(default=())
    at_once: int | None = None
    is_last: bool = False
    """Jobs of the agent that were submitted before it, and have not ended, fail."""
    forgets: bool = False
    """There is no row of the agent any more."""
    rows: tuple[Agent, ...] = field(default=())
    """Agents that were found: a row for each that has none."""
    orphans: tuple[JobId, ...] = field(default=())
    """Jobs that wait for agents whose folder is gone: they fail."""
    failed: tuple[AgentName, ...] = field(default=())
    """Agents that are given up, until an operator acts."""
    reports: tuple[Report, ...] = field(default=())
    """What is told, to those who were not told yet."""


class Recipe(Protocol):
    """What a job does. What comes with a body is so unless a kind says otherwise."""

    kind: ClassVar[str]

    @property
    def agent(self) -> AgentName | None:
        """None for a job that is about the whole node."""
        ...

    def plan(self) -> tuple[Step, ...]:
        """The sentences, in order."""
        ...

    def restore(self) -> tuple[Step, ...]:
        """The sentences about what was before, for when a step from the switch on has failed."""
        return ()

    def is_recorded(self, world: World) -> bool:  # noqa: ARG002
        """Past the point of no return: an attempt that finds this so restores nothing."""
        return False

    def result(self, world: World) -> dict[str, object]:
        """What a job that ended well tells, by keys that stay."""
        ...

    def shown(self, world: World) -> dict[str, object]:
        """What a job that waits at its gate shows to who decides, by keys that stay."""
        return self.result(world)

    def aftermath(self, world: World) -> Aftermath:  # noqa: ARG002
        return Aftermath()

    def left_nothing(self, world: World) -> bool:  # noqa: ARG002
        """Nothing was made of an agent that was new: its row may go with the failed job."""
        return False


def switch_at(steps: tuple[Step, ...]) -> int:
    """The position of the first step whose failure must be restored."""
    return _first(steps, SWITCH)


def firm_at(steps: tuple[Step, ...]) -> int:
    """The position of the first step that makes way for nobody."""
    return _first(steps, FIRM)


def _first(steps: tuple[Step, ...], kind: type[Step]) -> int:
    return next((at for at, step in enumerate(steps) if isinstance(step, kind)), len(steps))
