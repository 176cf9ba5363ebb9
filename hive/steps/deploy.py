"""The record of a deploy, and the way back from a switch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hive.adapters.git import MAIN
from hive.adapters.streams import RefMove
from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.meta import FLAKE, LOCK, Meta, render
from hive.domain.names import AgentName, Rev
from hive.domain.target import Recorded, Target, closure_keys
from hive.errors import Fault, Refused
from hive.steps.container import ProfileSet
from hive.steps.look import Planned, candidate, deployed_tag, meta_at, planned, recorded, rev_of
from hive.steps.meta import is_meta_clean, locked, meta_locked
from hive.steps.running import Restarts, Running, Stopped
from hive.steps.step import Differs, Finding, Holds, Step


@dataclass(frozen=True, slots=True)
class Deployed:
    """meta's main pins `target`, applied's main and `deployed/<job>` are on it, both trees clean.

    The commit in meta is the point of no return. A job that changes nothing there commits nothing:
    the tag is then of the job that the last commit names.
    """

    target: Target
    job: JobId

    def check(self, world: World) -> Finding:
        agent, rev = self.target.agent, rev_of(world, self.target)
        found = planned(world, self.target)
        if found is None or not found.is_recorded:
            return Differs(f"meta's main does not pin what {agent} wants")
        applied = world.layout.applied(agent)
        if world.git.ref(applied, MAIN) != rev:
            return Differs(f"applied's main of {agent} is not on {rev}")
        tag = deployed_tag(world, agent, found.at)
        if tag is None or world.git.ref(applied, tag) != rev:
            return Differs(f"the tag of the last deploy of {agent} is missing")
        if not world.git.is_clean(applied):
            return Differs(f"the tree of {applied} is not its main")
        if not is_meta_clean(world):
            return Differs(f"the tree of {world.layout.meta} is not its main")
        return Holds(f"{tag.removeprefix('refs/tags/')} is on {rev[:12] if rev else rev}")

    def apply(self, world: World) -> None:
        found = planned(world, self.target)
        if found is None:
            raise Refused(f"nothing pins {self.target.agent}", code="no-such-ref")
        with meta_locked(world):
            self._record(world, found)
            world.git.reset_tree(world.layout.meta)
        self._move_applied(world, found.block.rev)

    def _record(self, world: World, found: Planned) -> None:
        """main's present text with this agent's block changed alone; nothing, if it is so."""
        agent, meta, main = self.target.agent, world.layout.meta, _main(world)
        before = meta_at(world, main)
        wanted = before.with_block(found.block, found.base)
        if wanted == before:
            return
        if world.git.parent(meta, found.at) == main:
            files = {FLAKE: render(wanted), LOCK: found.lock}
        else:
            files = locked(world, agent, wanted, main)
        _refuse_other_changes(world, main, before, files[LOCK], found)
        subject = f"deploy {agent} deployed/{self.job} {found.block.rev[:12]}"
        now, side = world.clock.now(), candidate(agent)
        made = world.git.commit(meta, side, files, parent=main, subject=subject, at=now)
        world.git.move(meta, RefMove(MAIN, made, main), RefMove(side, None, made))

    def _move_applied(self, world: World, rev: Rev) -> None:
        agent, applied = self.target.agent, world.layout.applied(self.target.agent)
        tag = deployed_tag(world, agent, _main(world))
        if tag is None:
            raise Fault(f"meta's main pins {agent}, and no commit of it says so")
        if world.git.ref(applied, tag) not in (None, rev):
            raise Fault(f"{tag} of {agent} is on another commit already")
        moves = tuple(_missing(world, agent, {MAIN: rev, tag: rev}))
        if moves:
            world.git.move(applied, *moves)
        world.git.reset_tree(applied)


@dataclass(frozen=True, slots=True)
class IsDeployed:
    """`agent` has been deployed: there is something to start."""

    agent: AgentName

    def check(self, world: World) -> Finding:
        found = recorded(world, self.agent)
        if found is None:
            return Differs(f"{self.agent} was never deployed")
        return Holds(f"{self.agent} is deployed at {found.block.rev[:12]}")

    def apply(self, world: World) -> None:  # noqa: ARG002
        raise Refused(
            f"{self.agent} was never deployed",
            code="not-deployed",
            hint=f"run its spawn to the end: hive spawn {self.agent}",
        )


@dataclass(frozen=True, slots=True)
class Reverted:
    """The container is as meta's main says: set to that closure and running it, or not running.

    The previous closure is the one that main names, never what the profile holds: a killed attempt
    may have set it. It is started as it is defined: settings that no job has applied yet change
    nothing here. An agent that is wanted stopped is set, and not started.
    """

    agent: AgentName
    starts: bool = True
    restarts: Restarts = Restarts.AUTO

    def check(self, world: World) -> Finding:
        findings = [step.check(world) for step in self._steps(world)]
        return next((found for found in findings if isinstance(found, Differs)), findings[-1])

    def apply(self, world: World) -> None:
        for step in self._steps(world):
            if isinstance(step.check(world), Differs):
                step.apply(world)

    def _steps(self, world: World) -> tuple[Step, ...]:
        if recorded(world, self.agent) is None:
            return (Stopped(self.agent),)
        before = Recorded(self.agent)
        running = (Running(before, None, self.restarts),) if self.starts else ()
        return (ProfileSet(before), *running)


def is_recorded(world: World, target: Target) -> bool:
    """Whether meta's main pins the target: past this, a job goes forward only."""
    found = planned(world, target)
    return found is not None and found.is_recorded


def _refuse_other_changes(world: World, main: Rev, before: Meta, lock: str, found: Planned) -> None:
    """A record moves the closure of its own agent to the built one, and of no other.

    Only the holder of an agent's lock moves its rev or base, so another outcome is a fault.
    """
    was = world.git.file(world.layout.meta, main, LOCK)
    others = [block for block in before.blocks if block.agent != found.block.agent]
    kept = closure_keys(others, was) if was else {}
    wanted = kept | {found.block.agent: found.key}
    if closure_keys([*others, found.block], lock) != wanted:
        raise Fault(f"the record of {found.block.agent} would change a closure that is not its own")


def _main(world: World) -> Rev:
    main = world.git.ref(world.layout.meta, MAIN)
    if main is None:
        raise Fault("meta has no main")
    return main


def _missing(world: World, agent: AgentName, wanted: dict[str, Rev]) -> Iterator[RefMove]:
    refs = world.git.refs(world.layout.applied(agent))
    for ref, rev in wanted.items():
        if refs.get(ref) != rev:
            yield RefMove(ref, rev, refs.get(ref))
