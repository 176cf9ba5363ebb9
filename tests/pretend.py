"""A pretend host for a test, and what a test says about it; its containers end with the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from hive import bootstrap
from hive.adapters.gitsafe import ENVIRONMENT
from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import LocalShell, Stream
from hive.adapters.world import World
from hive.domain.agent import Agent, Desired
from hive.domain.job import JobId
from hive.domain.names import AgentName, Rev
from hive.domain.ports import port_of
from hive.jobs.runner import run
from hive.jobs.spawn import Spawn
from hive.queue.host import Host
from hive.settings import Settings
from hive.sim.stop import stop_all
from hive.steps.running import Running
from hive.steps.step import Differs, Holds, Step, name_of
from hive.store import schedules
from hive.store.session import Database, open_database

ALICE, BOB = AgentName("alice"), AgentName("bob")
PATH = os.environ["PATH"]
NO_FILE = Path("/nonexistent/hive.toml")
MAIN = "refs/heads/main"
ME = {
    "GIT_AUTHOR_NAME": "manager", "GIT_AUTHOR_EMAIL": "m@m",
    "GIT_COMMITTER_NAME": "manager", "GIT_COMMITTER_EMAIL": "m@m",
}  # fmt: skip


def environment(state: Path, **more: str) -> dict[str, str]:
    """All that a hive on a pretend host is told; nothing of the user's."""
    return {
        "PATH": PATH,
        "HOME": str(state.with_name("home")),
        "HIVE_BACKEND": "sim",
        "HIVE_STATE_DIR": str(state),
        "HIVE_NODE": "here",
        **more,
    }


@dataclass
class Diary:
    """What a run of steps said, by their names."""

    held: list[str] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)


@dataclass
class _Journal:
    diary: Diary

    def looking(self, at: int, step: Step) -> None: ...

    def applying(self, at: int, step: Step, finding: Differs) -> None: ...

    def held(self, at: int, step: Step, finding: Holds) -> None:
        self.diary.held.append(name_of(step))

    def applied(self, at: int, step: Step, finding: Holds) -> None:
        self.diary.applied.append(name_of(step))


@dataclass
class Pretend:
    """A pretend host in a folder. Each look is by a world that remembers nothing."""

    folder: Path
    host: Host
    locks: Locks = field(default_factory=Locks)
    changes: dict[str, Any] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    """The programs that were started, as their words, since the list was last cleared."""
    moulds: Moulds | None = None
    """Of its folder, where that is used again and again."""

    @property
    def state(self) -> Path:
        return self.host.layout.state

    @property
    def meta(self) -> Path:
        return self.host.layout.meta

    def proposed(self, agent: AgentName = ALICE) -> Path:
        return self.host.layout.proposed(agent)

    def applied(self, agent: AgentName = ALICE) -> Path:
        return self.host.layout.applied(agent)

    def world(self) -> World:
        return replace(self.host.world(self._hear, self.locks, Halt()), **self.changes)

    def _hear(self, stream: Stream, line: str) -> None:
        if stream is Stream.COMMAND:
            self.started.append(line)

    def steps(self, agent: AgentName = ALICE, job: int = 1) -> tuple[Step, ...]:
        settings = self.host.defaults
        of = Agent(self.host.node, agent, port_of(agent), Desired.RUNNING, settings)
        return Spawn(of, JobId(job)).plan()

    def step(self, kind: type[Step], agent: AgentName = ALICE, job: int = 1) -> Step:
        return next(step for step in self.steps(agent, job) if isinstance(step, kind))

    def before(self, kind: type[Step], agent: AgentName = ALICE, job: int = 1) -> Step:
        """The step of this kind; all that stand before it in a spawn hold."""
        steps = self.steps(agent, job)
        at = next(at for at, step in enumerate(steps) if isinstance(step, kind))
        self._come_to(steps[:at], (agent, job))
        return steps[at]

    def after(self, kind: type[Step], agent: AgentName = ALICE, job: int = 1) -> Step:
        """The step of this kind; it holds, and all before it."""
        step = self.before(kind, agent, job)
        self.run(step)
        return step

    def spawn(self, agent: AgentName = ALICE, job: int = 1) -> Diary:
        return self._come_to(self.steps(agent, job), (agent, job))

    def _come_to(self, steps: tuple[Step, ...], spawn: tuple[AgentName, int]) -> Diary:
        """As `run`. What others did from nothing to where a container starts is not done again."""
        still = tuple(takewhile(lambda step: not isinstance(step, Running), steps))
        if self.moulds is None or self.changes or not still or self.state.exists():
            return self.run(*steps)
        diary = self.moulds.cast(self, still, spawn)
        more = self.run(*steps[len(still) :])
        return Diary(diary.held + more.held, diary.applied + more.applied)

    def run(self, *steps: Step) -> Diary:
        diary = Diary()
        run(steps, self.world(), _Journal(diary))
        return diary

    def finds(self, step: Step) -> Holds | Differs:
        return step.check(self.world())

    def holds(self, step: Step) -> bool:
        return isinstance(self.finds(step), Holds)

    def cost(self, step: Step) -> int:
        """How many programs a look starts."""
        self.started.clear()
        assert self.holds(step), self.finds(step)
        return len(self.started)

    def git(self, repo: Path, *words: str | Path, stdin: str = "") -> str:
        """As the manager would run it there, with an identity of its own."""
        shell = LocalShell({"PATH": PATH, "HOME": str(self.folder), **ENVIRONMENT, **ME})
        return shell.run("git", "-C", repo, *words, stdin=stdin.encode()).out.strip()

    def refs(self, repo: Path) -> dict[str, str]:
        words = self.git(repo, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ", 1) for line in words)

    def is_clean(self, repo: Path) -> bool:
        return not self.git(repo, "status", "--porcelain")

    def propose(self, agent: AgentName = ALICE, **files: str) -> Rev:
        """A commit in proposed, as the manager makes it: `agent_nix` is `agent.nix`."""
        repo = self.proposed(agent)
        for name, text in files.items():
            (repo / name.replace("_", ".")).write_text(text)
        self.git(repo, "add", "--all")
        self.git(repo, "commit", "--quiet", "--message", "a change")
        return Rev(self.git(repo, "rev-parse", "HEAD"))

    def deploy_next(self, agent: AgentName = ALICE, **files: str) -> Rev:
        """applied's main is on a new commit of proposed, as an apply would leave it."""
        rev = self.propose(agent, **files)
        repo = self.applied(agent)
        self.git(repo, "fetch", "--quiet", str(self.proposed(agent)), "main")
        self.git(repo, "reset", "--quiet", "--hard", rev)
        return rev

    def close(self) -> None:
        self.host.database.dispose()
        stop_all(self.state / "sim")


@dataclass(frozen=True, slots=True)
class Moulds:
    """States of one folder that several tests come to: it knows its own path, and cannot be moved.

    No process can be put back, so what is kept ends before a container is started.
    """

    folder: Path
    kept: dict[tuple[AgentName, int, int], tuple[Diary, list[str]]] = field(default_factory=dict)

    @contextmanager
    def a_host(self) -> Iterator[Pretend]:
        """A new one in the folder, where the one of the last test was."""
        folder = self.folder / "host"
        if folder.exists():
            _remove(folder)
        folder.mkdir()
        with a_pretend_host(folder) as pretend:
            pretend.moulds = self
            yield pretend

    def almost_spawned(self) -> Path:
        """The folder of a host where alice is as spawned, but for the start of her container."""
        with self.a_host() as pretend:
            pretend.before(Running)
        return pretend.folder

    def cast(
        self, pretend: Pretend, steps: tuple[Step, ...], spawn: tuple[AgentName, int]
    ) -> Diary:
        """The steps hold, of this spawn, on a host on which nothing was done yet."""
        key = (*spawn, len(steps))
        mould = self.folder / "-".join(map(str, key))
        if key in self.kept:
            diary, started = self.kept[key]
            shutil.copytree(mould, pretend.state, symlinks=True)
            pretend.started += started
        else:
            before = len(pretend.started)
            diary = pretend.run(*steps)
            shutil.copytree(pretend.state, mould, symlinks=True)
            self.kept[key] = diary, pretend.started[before:]
        return diary


@pytest.fixture(scope="session")
def moulds(tmp_path_factory: pytest.TempPathFactory) -> Moulds:
    return Moulds(tmp_path_factory.mktemp("moulds"))


@contextmanager
def a_pretend_host(folder: Path, **settings: str) -> Iterator[Pretend]:
    env = environment(folder / "state", **settings)
    chosen = Settings.from_env(env, config=NO_FILE)
    database = open_database(chosen.database_url)
    pretend = Pretend(folder, bootstrap.host(chosen, env, database))
    try:
        yield pretend
    finally:
        pretend.close()


def nothing_by_the_clock(database: Database) -> None:
    """No schedule fires unless a test wants it."""
    with database.write() as session:
        for schedule in schedules.listed(session):
            schedules.remove(session, schedule.name)


def a_base(folder: Path, flake: str | None = None) -> str:
    """A base flake of a test's own, to change."""
    shipped = Path(bootstrap.__file__).parent / "sim" / "base"
    base = folder / "base"
    base.mkdir()
    for file in shipped.iterdir():
        (base / file.name).write_text(file.read_text())
    if flake is not None:
        (base / "flake.nix").write_text(flake)
    return f"path:{base}"


def tree(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, tuple[str, int, str]]:
    """Everything in a folder: kind, mode and content, by its path below."""
    found = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder).as_posix()
        if not any(below == name or below.startswith(f"{name}/") for name in without):
            found[below] = _entry(path)
    return found


def _entry(path: Path) -> tuple[str, int, str]:
    mode = path.lstat().st_mode & 0o7777
    if path.is_symlink():
        return ("link", mode, str(path.readlink()))
    if path.is_dir():
        return ("folder", mode, "")
    return ("file", mode, path.read_text(errors="replace") if path.is_file() else "")


def _remove(folder: Path) -> None:
    """Also what a test has taken from itself: from root nothing is taken so, from others it is."""
    for here, names, _ in os.walk(folder):
        for path in (Path(here, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder)
