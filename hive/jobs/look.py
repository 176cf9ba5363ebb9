"""One host at one moment, beside what the database says of it: what a sweep goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hive.adapters.git import MAIN
from hive.adapters.systemd import Unit
from hive.adapters.world import World
from hive.domain.agent import Agent, Desired
from hive.domain.meta import FLAKE, LOCK, Block, Meta, parse
from hive.domain.names import AgentName, ContainerName
from hive.domain.roster import Roster
from hive.domain.target import closure_keys


@dataclass(frozen=True, slots=True)
class Look:
    """One host at one moment, beside what the database says of it."""

    world: World
    roster: Roster
    here: tuple[Agent, ...]
    """Agents that are not destroyed."""
    units: Mapping[ContainerName, Unit]
    meta: Meta
    blocks: Mapping[AgentName, Block]
    keys: Mapping[AgentName, str]
    """Of the closures that meta's main pins."""
    containers: frozenset[ContainerName]

    def system(self, agent: AgentName) -> Path | None:
        system = self.world.files.link(self.world.layout.gcroot(agent, self.keys[agent]))
        return system if system and self.world.files.exists(system) else None


def look(world: World, roster: Roster) -> Look:
    here = tuple(agent for agent in roster.agents if agent.desired is not Desired.DESTROYED)
    main = world.git.ref(world.layout.meta, MAIN)
    text, lock = world.git.files(world.layout.meta, main, FLAKE, LOCK) if main else (None, None)
    meta = parse(text) if text else Meta()
    return Look(
        world=world,
        roster=roster,
        here=here,
        units=world.systemd.units([agent.name.container for agent in here]),
        meta=meta,
        blocks={block.agent: block for block in meta.blocks},
        keys=closure_keys(meta.blocks, lock) if lock else {},
        containers=frozenset(world.containers.names()),
    )
