"""Resolving a target: which rev, which plan in the meta flake, which closure. All by looking."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hive.adapters.git import MAIN
from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.meta import FLAKE, LOCK, Base, Block, Meta, parse
from hive.domain.names import AgentName, Rev
from hive.domain.target import AppliedMain, Pinned, Recorded, Target, closure_key
from hive.errors import Refused


@dataclass(frozen=True, slots=True)
class Planned:
    """A target as a commit of the meta flake pins it."""

    block: Block
    base: Base
    lock: str
    at: Rev
    """The commit of meta that says so."""
    is_recorded: bool
    """That commit is main; else it is the agent's candidate."""

    @property
    def key(self) -> str:
        return closure_key(self.block, self.lock)


CANDIDATES: Final = "refs/heads/candidate"


def candidate(agent: AgentName) -> str:
    return f"{CANDIDATES}/{agent}"


def rev_of(world: World, target: Target) -> Rev | None:
    match target:
        case Pinned(_, rev):
            return rev
        case AppliedMain(agent):
            return world.git.ref(world.layout.applied(agent), MAIN)
        case Recorded(agent):
            found = recorded(world, agent)
            return found.block.rev if found else None


def planned(world: World, target: Target) -> Planned | None:
    """Meta's main where it pins the target already, else the agent's candidate, else None.

    A candidate stands on the base that the target names, else on the one that the agent is
    recorded on; one of a new agent on any that was pinned from the reference that is wanted: a
    base that moved since then changes nothing.
    """
    found = recorded(world, target.agent)
    if isinstance(target, Recorded):
        return found
    rev = rev_of(world, target)
    if rev is None:
        return None
    if (
        found
        and _stands(found.base, target.base)
        and found.block == wanted(world, target, rev, found.base)
    ):
        return found
    side = world.git.ref(world.layout.meta, candidate(target.agent))
    tried = _pinned_at(world, target.agent, side)
    if tried is None or tried.block != wanted(world, target, rev, tried.base):
        return None
    base = target.base or (found.base if found else None)
    stands = _stands(tried.base, base) if base else tried.base.origin == world.base
    return tried if stands else None


def _stands(on: Base, wanted_base: Base | None) -> bool:
    """A label may differ: two flakes of one commit."""
    return wanted_base is None or (on.url, on.origin) == (wanted_base.url, wanted_base.origin)


def recorded(world: World, agent: AgentName) -> Planned | None:
    """What meta's main pins for the agent: the last that was deployed."""
    main = world.git.ref(world.layout.meta, MAIN)
    found = _pinned_at(world, agent, main)
    return replace(found, is_recorded=True) if found else None


def base_known(world: World, agent: AgentName, meta: Meta) -> Base | None:
    """The base that the agent stands on, else the one that the node uses, else None."""
    block = meta.block(agent)
    return meta.base(block.base) if block else meta.base_from(world.base or "")


def meta_at(world: World, at: Rev | None) -> Meta:
    """What a commit of meta says; nothing where there is none yet. Raises on a foreign one."""
    text = world.git.file(world.layout.meta, at, FLAKE) if at else None
    return parse(text) if text is not None else Meta()


def system_of(world: World, target: Target) -> Path | None:
    """The closure of the target that hive built and keeps, or None."""
    found = planned(world, target)
    return built(world, found) if found else None


def built(world: World, plan: Planned) -> Path | None:
    system = world.files.link(world.layout.gcroot(plan.block.agent, plan.key))
    return system if system and world.files.exists(system) else None


def needed_system(world: World, target: Target) -> Path:
    """For an `apply` whose earlier steps hold: the closure is there."""
    system = system_of(world, target)
    if system is None:
        raise Refused(
            f"the closure of {target.agent} is gone",
            code="closure-gone",
            hint=f"it was never built here, or the collector took it: hive rebuild {target.agent}",
        )
    return system


def wanted(world: World, target: AppliedMain | Pinned, rev: Rev, base: Base) -> Block:
    """The agent's part of the meta flake, with the target at `rev` on `base`."""
    url = world.git.url(world.layout.applied(target.agent))
    return Block.of(target.agent, url=url, rev=rev, base=base.label, overrides=target.overrides)


def deployed_tag(world: World, agent: AgentName, main: Rev) -> str | None:
    """The tag that meta's last `deploy <agent>` commit names, from `main` back."""
    words = f"deploy {agent} deployed/"
    said = world.git.newest_subject(world.layout.meta, main, words)
    return f"refs/tags/{said.split()[2]}" if said else None


def deployed_by(world: World, agent: AgentName) -> JobId | None:
    """The job that deployed what the agent runs."""
    main = world.git.ref(world.layout.meta, MAIN)
    tag = deployed_tag(world, agent, main) if main else None
    return JobId(int(tag.rpartition("/")[2])) if tag else None


def _pinned_at(world: World, agent: AgentName, at: Rev | None) -> Planned | None:
    if at is None:
        return None
    text, lock = world.git.files(world.layout.meta, at, FLAKE, LOCK)
    meta = parse(text or "")
    block = meta.block(agent)
    if block is None or lock is None:
        return None
    return Planned(block, meta.base(block.base), lock, at, is_recorded=False)
