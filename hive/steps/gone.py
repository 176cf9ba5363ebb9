"""What is so when an agent is gone: no container, nothing in meta, no roots, and no folders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from hive.adapters.beneath import Beneath
from hive.adapters.git import MAIN
from hive.adapters.streams import RefMove
from hive.adapters.world import World
from hive.domain.job import JobId
from hive.domain.meta import LOCK, Meta
from hive.domain.names import AgentName, Rev
from hive.domain.target import closure_keys
from hive.errors import Fault
from hive.steps.look import candidate, meta_at
from hive.steps.meta import is_meta_clean, locked, meta_locked
from hive.steps.step import Differs, Finding, Holds


@dataclass(frozen=True, slots=True)
class Undefined:
    """There is no container of `agent`: no conf, no root folder, no profile, no limits."""

    agent: AgentName

    def check(self, world: World) -> Finding:
        left = [path for path in self._paths(world) if world.files.exists(path)]
        if left:
            return Differs(f"{left[0]} is there")
        return Holds(f"there is no container {self.agent.container}")

    def apply(self, world: World) -> None:
        """nixos-container leaves what it could not remove, and says nothing of it."""
        container, layout = self.agent.container, world.layout
        if world.containers.conf(container) is not None:
            world.containers.destroy(container)
        for folder in (layout.root(container), layout.profile(container).parent):
            Beneath(folder.parent).wipe(folder.name)
        world.files.remove(layout.conf(container))
        if world.files.exists(layout.drop_in(container).parent):
            world.files.wipe(layout.drop_in(container).parent)
            world.systemd.daemon_reload()
        world.files.wipe(layout.runtime(self.agent))
        if world.systemd.unit(container).is_failed:
            world.systemd.reset_failed(container)

    def _paths(self, world: World) -> tuple[Path, ...]:
        container, layout = self.agent.container, world.layout
        return (
            layout.conf(container),
            layout.root(container),
            layout.profile(container).parent,
            layout.drop_in(container).parent,
            layout.runtime(self.agent),
        )


@dataclass(frozen=True, slots=True)
class Forgotten:
    """meta's main says nothing of `agent`, and there is no candidate of it."""

    agent: AgentName
    job: JobId

    def check(self, world: World) -> Finding:
        meta = world.layout.meta
        if meta_at(world, world.git.ref(meta, MAIN)).block(self.agent):
            return Differs(f"meta names {self.agent}")
        if world.git.ref(meta, candidate(self.agent)):
            return Differs(f"meta has a candidate of {self.agent}")
        if world.git.is_repo(meta) and not is_meta_clean(world):
            return Differs(f"the tree of {meta} is not its main")
        return Holds(f"meta does not name {self.agent}")

    def apply(self, world: World) -> None:
        meta = world.layout.meta
        with meta_locked(world):
            main = world.git.ref(meta, MAIN)
            if main is None:
                return
            before = meta_at(world, main)
            if before.block(self.agent):
                self._record(world, main, before)
            elif side := world.git.ref(meta, candidate(self.agent)):
                world.git.move(meta, RefMove(candidate(self.agent), None, side))
            world.git.reset_tree(meta)

    def _record(self, world: World, main: Rev, before: Meta) -> None:
        """Of no other agent anything may change with it."""
        meta, side = world.layout.meta, candidate(self.agent)
        after = before.without(self.agent)
        files = locked(world, self.agent, after, main)
        was = world.git.file(meta, main, LOCK)
        if was and closure_keys(after.blocks, was) != closure_keys(after.blocks, files[LOCK]):
            raise Fault(f"taking {self.agent} out of meta would change another agent's closure")
        subject, now = f"destroy {self.agent} {self.job}", world.clock.now()
        made = world.git.commit(meta, side, files, parent=main, subject=subject, at=now)
        world.git.move(meta, RefMove(MAIN, made, main), RefMove(side, None, made))


@dataclass(frozen=True, slots=True)
class Unrooted:
    """Nothing keeps the closures of `agent` from the collector any more, nor what they are of."""

    agent: AgentName

    def check(self, world: World) -> Finding:
        if any(map(world.files.exists, self._folders(world))):
            return Differs(f"{self.agent} has roots")
        return Holds(f"{self.agent} has no roots")

    def apply(self, world: World) -> None:
        for folder in self._folders(world):
            world.files.wipe(folder)

    def _folders(self, world: World) -> tuple[Path, Path]:
        return world.layout.gcroots / self.agent, world.layout.fetched(self.agent)


@dataclass(frozen=True, slots=True)
class Erased:
    """The folders of `agent` are gone: what it kept, its login, and its repos."""

    agent: AgentName

    def check(self, world: World) -> Finding:
        for folder in (root / self.agent for root in self._roots(world)):
            if world.files.exists(folder):
                return Differs(f"{folder} is there")
        return Holds(f"nothing is left of {self.agent}")

    def apply(self, world: World) -> None:
        def halts() -> None:
            """Who fills it as fast as it is wiped does not hold up a cancel."""
            world.clock.sleep(timedelta(0))

        for root in self._roots(world):
            Beneath(root).wipe(self.agent, halts)

    def _roots(self, world: World) -> tuple[Path, ...]:
        """Each once, in one order: what was erased by half is gone on with in the same."""
        layout = world.layout
        roots = (layout.agents, layout.shown, layout.hidden, layout.applied_root)
        return tuple(dict.fromkeys(roots))
