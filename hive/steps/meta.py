"""The meta flake: candidates beside main, and the record on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from hive.adapters.clock import wait_until
from hive.adapters.git import MAIN
from hive.adapters.locks import Lock
from hive.adapters.world import World
from hive.domain.inputs import refuse_host_inputs, refuse_own_host_inputs, refuse_stale
from hive.domain.meta import FLAKE, LOCK, Meta, render
from hive.domain.names import AgentName, Rev
from hive.domain.target import AppliedMain, Pinned
from hive.errors import HiveError, Refused, Transient
from hive.steps.base import base_flake
from hive.steps.look import base_known, candidate, meta_at, planned, rev_of, wanted
from hive.steps.step import Differs, Finding, Holds

LOCK_WAIT = timedelta(minutes=5)
FETCHED = 40
"""Paths in a store that is only for locks: one that has more is made anew."""


@contextmanager
def meta_locked(world: World) -> Iterator[None]:
    """Alone in meta, which has no corpse then; for who writes there."""
    with meta_alone(world):
        world.git.clear_corpses(world.layout.meta)
        yield


@contextmanager
def meta_alone(world: World) -> Iterator[None]:
    """Nobody else writes in meta. The holder of the lock is waited for, never ended."""

    def taken() -> Lock | None:
        return world.locks.take(world.layout.meta_lock, note_children=False)

    lock = wait_until(world.clock, taken, within=LOCK_WAIT, every=timedelta(milliseconds=20))
    if lock is None:
        raise Transient(
            f"{world.layout.meta_lock} was held for {LOCK_WAIT}",
            code="meta-busy",
            hint="another job records there; if none does, look for a program that hangs",
        )
    with lock:
        yield


def is_meta_clean(world: World) -> bool:
    """Between another agent's commit and its tree, meta is not: so a no is asked for alone."""
    if world.git.is_clean(world.layout.meta):
        return True
    with meta_alone(world):
        return world.git.is_clean(world.layout.meta)


def clear_meta_if_free(world: World) -> bool:
    """No corpse is left in meta; False where someone else is at work there, whose they may be."""
    if not world.git.corpses(world.layout.meta):
        return True
    lock = world.locks.take(world.layout.meta_lock, note_children=False)
    if lock is None:
        return False
    with lock:
        world.git.clear_corpses(world.layout.meta)
    return True


@dataclass(frozen=True, slots=True)
class CandidatePinned:
    """A commit of meta pins `target` on its base: main, or a candidate beside it.

    A candidate is main's text with this agent's block changed, made in one atomic effect and
    without a worktree, so that main and its tree stay as they are.
    """

    target: AppliedMain | Pinned

    def check(self, world: World) -> Finding:
        agent, found = self.target.agent, planned(world, self.target)
        if found is None:
            return Differs(f"no commit of meta pins what {agent} wants")
        return Holds(f"meta pins {agent} at {found.block.rev[:12]} on {found.base.label}")

    def apply(self, world: World) -> None:
        agent, rev = self.target.agent, rev_of(world, self.target)
        if rev is None:
            raise Refused(f"{agent} has no rev to pin", code="no-such-ref")
        own = world.git.file(world.layout.applied(agent), rev, LOCK)
        if own is not None:
            refuse_own_host_inputs(agent, own)
        init_meta(world, agent)
        main = world.git.ref(world.layout.meta, MAIN)
        meta = meta_at(world, main)
        known = self.target.base or base_known(world, agent, meta)
        base = known or world.nix.pin(base_flake(world))
        changed = meta.with_block(wanted(world, self.target, rev, base), base)
        files = locked(world, agent, changed, main)
        if isinstance(self.target, Pinned):
            refuse_stale(agent, own, files[LOCK])
        subject = f"candidate {agent} {rev[:12]}"
        with meta_locked(world):
            world.git.commit(
                world.layout.meta, candidate(agent), files, parent=main, subject=subject, at=None
            )


def locked(world: World, agent: AgentName, meta: Meta, main: Rev | None) -> dict[str, str]:
    """The text of `meta`, and the lock of `main` filled in for it: the files of a commit on it.

    One commit gives the text, the lock and the parent: main may move meanwhile. Raises `Refused`,
    code `host-input`, where the agent would stand on a file of this host; nothing of it is left.
    """
    before = world.git.file(world.layout.meta, main, LOCK) if main else None
    folder, store = world.scratch(agent, "meta"), world.layout.fetched(agent)
    if len(world.files.entries(store / "nix" / "store")) > FETCHED:
        world.files.wipe(store)
    try:
        files = locked_in(world, folder, meta, before, store=store)
        refuse_host_inputs(agent, files[LOCK])
    except HiveError:
        world.files.wipe(store)
        raise
    return files


def locked_in(
    world: World, folder: Path, meta: Meta, before: str | None, *, store: Path
) -> dict[str, str]:
    """The same in an empty folder; `before` is the lock that is filled in."""
    world.files.jot(folder / FLAKE, render(meta))
    if before is not None:
        world.files.jot(folder / LOCK, before)
    world.files.make_folder(store, mode=0o700)
    world.nix.lock(folder, store)
    return {FLAKE: render(meta), LOCK: world.files.read(folder / LOCK) or ""}


def init_meta(world: World, agent: AgentName) -> None:
    """meta has its first commit: `init`, made beside and renamed."""
    if world.git.ref(world.layout.meta, MAIN):
        return
    with meta_locked(world):
        if world.git.ref(world.layout.meta, MAIN):
            return
        repo = world.scratch(agent, "meta-init")
        world.git.init(repo)
        files = {FLAKE: render(Meta())}
        world.git.commit(repo, MAIN, files, parent=None, subject="init", at=world.clock.now())
        world.git.reset_tree(repo)
        world.files.move(repo, world.layout.meta)
