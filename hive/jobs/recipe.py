"""A recipe is what an operator may ask for, and the steps that grant it."""

from __future__ import annotations

from typing import ClassVar, Protocol

from hive.adapters.world import World
from hive.domain.names import AgentName
from hive.steps.container import Defined, ProfileSet
from hive.steps.step import Step

SWITCH = ProfileSet
"""Everything goes forward only, but for what comes from this step on: there is a way back."""

FIRM = Defined
"""Before this step a job makes way for a more urgent one of its lock."""


class Recipe(Protocol):
    kind: ClassVar[str]

    @property
    def agent(self) -> AgentName: ...

    def plan(self) -> tuple[Step, ...]:
        """The sentences, in order."""
        ...

    def restore(self) -> tuple[Step, ...]:
        """The sentences about what was before, for when a step from the switch on has failed."""
        ...

    def is_recorded(self, world: World) -> bool:
        """Past the point of no return: an attempt that finds this so restores nothing."""
        ...

    def result(self, world: World) -> dict[str, object]:
        """What a job that ended well tells, by keys that stay."""
        ...

    def left_nothing(self, world: World) -> bool:
        """Nothing was made of an agent that was new: its row may go with the failed job."""
        ...


def switch_at(steps: tuple[Step, ...]) -> int:
    """The position of the first step whose failure must be restored."""
    return _first(steps, SWITCH)


def firm_at(steps: tuple[Step, ...]) -> int:
    """The position of the first step that makes way for nobody."""
    return _first(steps, FIRM)


def _first(steps: tuple[Step, ...], kind: type[Step]) -> int:
    return next((at for at, step in enumerate(steps) if isinstance(step, kind)), len(steps))
