"""A step is a sentence about the world, and a way to make it true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hive.adapters.world import World


@dataclass(frozen=True, slots=True)
class Holds:
    """It is so."""

    because: str


@dataclass(frozen=True, slots=True)
class Differs:
    """It is not so, or not yet."""

    because: str


Finding = Holds | Differs


class Step(Protocol):
    """`check` only looks; `apply` may be run twice, or after half a run."""

    def check(self, world: World) -> Finding: ...
    def apply(self, world: World) -> None: ...


def name_of(step: Step) -> str:
    return type(step).__name__
