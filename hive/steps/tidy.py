"""What finished jobs of an agent have left, and is of no use any more. For who holds its lock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hive.adapters.streams import RefMove
from hive.adapters.world import World
from hive.domain.names import AgentName
from hive.domain.target import Recorded
from hive.steps.look import candidate, system_of
from hive.steps.step import Differs, Finding, Holds


@dataclass(frozen=True, slots=True)
class ScratchCleared:
    """Nothing in the making is left of `agent`."""

    agent: AgentName

    def check(self, world: World) -> Finding:
        if world.files.exists(world.layout.scratch / self.agent):
            return Differs(f"{self.agent} has left something in the making")
        return Holds(f"{self.agent} has left nothing in the making")

    def apply(self, world: World) -> None:
        world.files.wipe(world.layout.scratch / self.agent)


@dataclass(frozen=True, slots=True)
class NoCandidate:
    """meta has no candidate of `agent`: whoever needs one makes it anew."""

    agent: AgentName

    def check(self, world: World) -> Finding:
        if world.git.ref(world.layout.meta, candidate(self.agent)):
            return Differs(f"meta has a candidate of {self.agent}")
        return Holds(f"meta has no candidate of {self.agent}")

    def apply(self, world: World) -> None:
        meta, side = world.layout.meta, candidate(self.agent)
        if found := world.git.ref(meta, side):
            world.git.move(meta, RefMove(side, None, found))


@dataclass(frozen=True, slots=True)
class RootsKept:
    """Of `agent` only `kept`, and what meta's main pins, is kept from the collector."""

    agent: AgentName
    kept: frozenset[Path]

    def check(self, world: World) -> Finding:
        left = tuple(self._beyond(world))
        if left:
            return Differs(f"{len(left)} closures of {self.agent} are of no use any more")
        return Holds(f"{self.agent} has no root too many")

    def apply(self, world: World) -> None:
        for root in self._beyond(world):
            world.files.remove(root)

    def _beyond(self, world: World) -> Iterator[Path]:
        """Nothing, where the database has forgotten what was deployed."""
        if self.kept:
            recorded = system_of(world, Recorded(self.agent))
            yield from roots_beyond(world, self.agent, self.kept, recorded)


def roots_beyond(
    world: World, agent: AgentName, kept: frozenset[Path], recorded: Path | None
) -> Iterator[Path]:
    """The roots of what is neither kept nor recorded: many may name one closure, and stay."""
    folder = world.layout.gcroots / agent
    for root in (folder / name for name in world.files.entries(folder)):
        if world.files.link(root) not in {*kept, recorded}:
            yield root
