"""A tree that another hand left, such as hyperhive's: its repos and its meta flake become hive's.

Nothing is built, stopped or started, and no commit is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from hive.adapters.clock import wait_until
from hive.adapters.git import MAIN
from hive.adapters.locks import Lock
from hive.adapters.streams import RefMove
from hive.adapters.world import World
from hive.domain import oldmeta
from hive.domain.inputs import refuse_host_inputs
from hive.domain.job import JobId
from hive.domain.meta import FLAKE, LOCK, Block, Meta, deploy_named, parse, render
from hive.domain.names import AgentName, Rev
from hive.errors import Refused, Transient
from hive.steps.meta import locked_in, meta_locked
from hive.steps.repos import SEEDED
from hive.steps.step import Differs, Finding, Holds

DEPLOYED: Final = "refs/tags/deployed"
BEFORE: Final = "refs/heads/before-adopt"
"""Where applied's main was, in a repo whose main was not what is deployed."""
SIDE: Final = "refs/heads/adopting"
LOCK_WAIT: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class MetaFound:
    """What main of the meta flake says, whoever wrote it."""

    main: Rev
    meta: Meta
    text: str | None
    lock: str | None
    is_own: bool
    """hive's own text."""


def meta_found(world: World) -> MetaFound | None:
    """None where there is no meta flake. Raises `Refused`, code `foreign-meta`."""
    repo = world.layout.meta
    main = world.git.ref(repo, MAIN)
    if main is None:
        return None
    text, lock = world.git.files(repo, main, FLAKE, LOCK)
    try:
        return MetaFound(main, parse(text or ""), text, lock, is_own=True)
    except Refused:
        meta = oldmeta.read(text, lock, lambda name: world.git.url(world.layout.applied(name)))
        return MetaFound(main, meta, text, lock, is_own=False)


@dataclass(frozen=True, slots=True)
class AppliedAdopted:
    """The applied repo of `agent` is as hive leaves one.

    It has `deployed/0`; its main is the commit that meta names, where meta names one; a tag
    `deployed/` is on that; its tree is clean. A main that was elsewhere is kept as `before-adopt`.
    """

    agent: AgentName
    job: JobId

    def check(self, world: World) -> Finding:
        repo = world.layout.applied(self.agent)
        rev = self._rev(world)
        if rev is None or world.git.file(repo, rev, FLAKE) is None:
            return Differs(f"{repo} has no commit {rev or 'on main'} with a {FLAKE}")
        moves = self._moves(world, rev)
        if moves:
            said = (f"{move.ref.split('/', 2)[2]} on {move.new[:12]}" for move in moves if move.new)
            return Differs(f"{repo} wants {', '.join(said)}")
        if not world.git.is_clean(repo):
            return Differs(f"the tree of {repo} is not its main")
        return Holds(f"the applied repo of {self.agent} is on {rev[:12]}")

    def apply(self, world: World) -> None:
        repo = world.layout.applied(self.agent)
        rev = self._rev(world)
        if rev is None or world.git.file(repo, rev, FLAKE) is None:
            raise Refused(
                f"{repo} has no commit {rev or 'on main'} with a {FLAKE}",
                code="foreign-repo",
                hint="let the old daemon migrate it, or fetch the commit there",
            )
        with agent_locked(world, self.agent):
            world.git.clear_corpses(repo)
            moves = self._moves(world, rev)
            if moves:
                world.git.move(repo, *moves)
            world.git.show_plainly(repo)
            world.git.reset_tree(repo)
        _refuse_strays(world, repo)

    def _rev(self, world: World) -> Rev | None:
        """What meta pins; of an agent that was destroyed and kept, what main names."""
        found = meta_found(world)
        block = found.meta.block(self.agent) if found else None
        return block.rev if block else world.git.ref(world.layout.applied(self.agent), MAIN)

    def _moves(self, world: World, rev: Rev) -> tuple[RefMove, ...]:
        refs = world.git.refs(world.layout.applied(self.agent))
        return tuple(_missing(refs, rev, self.job))


def _missing(refs: dict[str, Rev], rev: Rev, job: JobId) -> Iterator[RefMove]:
    main, has_tag = refs.get(MAIN), _tagged(refs, rev) is not None
    if SEEDED not in refs:
        yield RefMove(SEEDED, rev, None)
    elif not has_tag:
        yield RefMove(f"{DEPLOYED}/{job}", rev, None)
    if main != rev:
        if main is not None:
            yield RefMove(BEFORE, main, refs.get(BEFORE))
        yield RefMove(MAIN, rev, main)


def _tagged(refs: dict[str, Rev], rev: Rev) -> int | None:
    """The highest number of a tag `deployed/` on that commit."""
    tags = (ref.rpartition("/") for ref, at in refs.items() if at == rev)
    return max(
        (int(n) for under, _, n in tags if under == DEPLOYED and n.isdecimal()), default=None
    )


@dataclass(frozen=True, slots=True)
class MetaAdopted:
    """meta's main is hive's own text, and its commits name the deploy of each agent.

    Each agent is pinned where the lock was, and on the base that the lock named. What was before
    stays in the history, below the commit `adopt <job>`.
    """

    job: JobId

    def check(self, world: World) -> Finding:
        found = meta_found(world)
        if found is None:
            return Holds("there is no meta flake")
        if not found.is_own:
            return Differs(f"meta is not hive's text; its lock pins {_said(found.meta)}")
        if unnamed := _unnamed(world, found):
            return Differs(f"no commit of meta names the deploy of {unnamed[0].agent}")
        if not world.git.is_clean(world.layout.meta):
            return Differs(f"the tree of {world.layout.meta} is not its main")
        return Holds(f"meta pins {_said(found.meta)}")

    def apply(self, world: World) -> None:
        repo = world.layout.meta
        with meta_locked(world):
            found = meta_found(world)
            if found is None:
                return
            made = self._committed(world, found)
            if made != found.main:
                world.git.move(repo, RefMove(MAIN, made, found.main), RefMove(SIDE, None, made))
            world.git.reset_tree(repo)
        _refuse_strays(world, repo)

    def _committed(self, world: World, found: MetaFound) -> Rev:
        """On a side ref: main moves once, to all of it."""
        files = {FLAKE: found.text or "", LOCK: found.lock or ""}
        made, repo, now = found.main, world.layout.meta, world.clock.now()

        def commit(subject: str, on: Rev) -> Rev:
            return world.git.commit(repo, SIDE, files, parent=on, subject=subject, at=now)

        if not found.is_own:
            files = self._own_files(world, found)
            made = commit(f"adopt {self.job}", made)
        for block in _unnamed(world, found):
            number = _tagged(world.git.refs(world.layout.applied(block.agent)), block.rev)
            if number is None:
                raise Transient(f"{block.agent} has no tag deployed/ on {block.rev[:12]}")
            made = commit(f"deploy {block.agent} deployed/{number} {block.rev[:12]}", made)
        return made

    def _own_files(self, world: World, found: MetaFound) -> dict[str, str]:
        if not found.meta.blocks:
            return {FLAKE: render(found.meta)}
        folder = world.layout.scratch / "adopt.meta"  # no agent has a dot in its name
        world.files.wipe(folder)
        world.files.make_folder(folder, mode=0o700)
        store = folder / "store"
        files = locked_in(world, folder / "flake", found.meta, found.lock, store=store)
        oldmeta.refuse_other_content(found.text, found.lock, files[LOCK])
        for block in found.meta.blocks:
            refuse_host_inputs(block.agent, files[LOCK])
        world.files.wipe(folder)
        return files


def _unnamed(world: World, found: MetaFound) -> list[Block]:
    """Agents whose newest `deploy` names no tag on what meta pins."""
    last: dict[str, int] = {}
    for subject in world.git.subjects(world.layout.meta, found.main):
        if named := deploy_named(subject):
            last.setdefault(*named)

    def is_named(block: Block) -> bool:
        tag = f"{DEPLOYED}/{last.get(block.agent)}"
        return world.git.ref(world.layout.applied(block.agent), tag) == block.rev

    return [block for block in found.meta.blocks if not is_named(block)]


def _said(meta: Meta) -> str:
    pins = ", ".join(f"{block.agent} at {block.rev[:12]}" for block in meta.blocks)
    return f"{pins or 'no agent'} on {', '.join(base.label for base in meta.bases) or 'no base'}"


def _refuse_strays(world: World, repo: Path) -> None:
    if not world.git.is_clean(repo):
        raise Refused(
            f"the tree of {repo} has files that none of its commits holds",
            code="in-the-way",
            hint="`git status` there names them: move them away",
        )


@contextmanager
def agent_locked(world: World, agent: AgentName) -> Iterator[None]:
    """Nobody else works on the agent: a job of its own is waited for, not ended."""

    def taken() -> Lock | None:
        return world.locks.take(world.layout.agent_lock(agent), note_children=False)

    lock = wait_until(world.clock, taken, within=LOCK_WAIT, every=timedelta(milliseconds=100))
    if lock is None:
        raise Transient(
            f"a job of {agent} is at work",
            code="agent-busy",
            hint="see `hive jobs --state running`",
        )
    with lock:
        yield
