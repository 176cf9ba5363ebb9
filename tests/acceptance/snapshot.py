"""A pretend host as it is, but for what may differ from run to run: dates, object ids, folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hive import bootstrap
from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import LocalShell, silent
from hive.adapters.world import World
from hive.domain.job import Job
from hive.domain.target import AppliedMain
from hive.service import agents, jobs
from hive.settings import Settings
from hive.steps.look import planned, system_of
from hive.store.session import open_database
from tests.pretend import ALICE, NO_FILE, PATH, environment

#: The pretend host's own, which a real host has elsewhere, and the rows, which are read as rows.
NOT_HIVES = (
    "sim/bin", "sim/fetched", "sim/journal", "sim/libexec", "sim/proc", "sim/store", "sim/tmp",
    "sim/units", "sim/create.lock", "sim/nix-env.lock", "hive.sqlite", "hive.sqlite-wal",
    "hive.sqlite-shm",
)  # fmt: skip
REPOS = ("meta", "applied/alice", "agents/alice/config")
KEYS = ("PRIVATE_NETWORK", "PRIVATE_USERS", "EXTRA_NSPAWN_FLAGS", "HOST_ADDRESS")
#: What a unit says of its processes, and of nothing that anybody asked for.
OF_A_RUN = ("MainPID", "InvocationID", "MemoryCurrent", "CPUUsageNSec")
LEFT = re.compile(
    r"(?!.*\bflake\.lock$)(.*\.lock|.*\.new|.*\.hive-new|scratch/.+|(.*/)?tmp_obj_[^/]*)"
)


def snapshot(state: Path, **more: str) -> dict[str, Any]:
    """refs, trees, subjects, files, modes, links, units and rows of a host with one agent.

    `more` is what its hive is told beside the usual. Of a repo that is gone nothing is said.
    """
    env = environment(state, **more)
    settings = Settings.from_env(env, config=NO_FILE)
    database = open_database(settings.database_url)
    try:
        host = bootstrap.host(settings, env, database)
        world = host.world(silent, Locks(), Halt())
        seen = _Seen(state, world, dict(_names(state, world)))
        return {
            "files": dict(seen.files()),
            "left behind": list(seen.left()),
            "repos": {name: seen.repo(state / name) for name in REPOS if (state / name).exists()},
            "unit": seen.unit(),
            "agents": [seen.plain(str(view.as_json())) for view in agents.listed(host)],
            "jobs": {view.job.state.value for view in jobs.listed(host)},
            "ends": [seen.end(view.job) for view in jobs.listed(host)],
        }
    finally:
        database.dispose()


def _names(state: Path, world: World) -> Iterator[tuple[str, str]]:
    """What differs from run to run, and what is said instead."""
    target = AppliedMain(ALICE)
    system, found = system_of(world, target), planned(world, target)
    if system:
        yield str(system), "SYSTEM"
    if found:
        yield found.key, "KEY"
    yield str(state), "STATE"
    yield world.address, "ADDRESS"
    rev = world.git.ref(world.layout.applied(ALICE), "refs/heads/main")
    if rev:
        yield rev, "REV"
        yield rev[:12], "REV"


@dataclass(frozen=True, slots=True)
class _Seen:
    state: Path
    world: World
    names: dict[str, str]

    def plain(self, text: str) -> str:
        """Without the folder, the closure's key and path, revs and times."""
        for said, instead in self.names.items():
            text = text.replace(said, instead)
        return re.sub(r'"(lastModified|revCount)": \d+', r'"\1": 0', text)

    def files(self) -> Iterator[tuple[str, str]]:
        for path in sorted(self.state.rglob("*")):
            below = path.relative_to(self.state).as_posix()
            inside = any(below == name or below.startswith(f"{name}/") for name in NOT_HIVES)
            if not inside and "/.git/" not in below:
                yield self.plain(below), self._entry(path)

    def _entry(self, path: Path) -> str:
        mode = oct(path.lstat().st_mode & 0o7777)
        if path.is_symlink():
            return f"-> {self.plain(str(path.readlink()))}"
        if path.is_dir():
            return f"folder {mode}"
        is_lock = path.parent == self.world.layout.locks  # it says who held it last
        return f"{mode} {'' if is_lock else self.plain(path.read_text())}"

    def left(self) -> Iterator[str]:
        for path in self.state.rglob("*"):
            below = path.relative_to(self.state).as_posix()
            if LEFT.fullmatch(below) and not below.startswith(NOT_HIVES):
                yield below

    def repo(self, repo: Path) -> dict[str, Any]:
        """A clean tree's files are what main holds; the other refs are told by their trees."""
        refs = self._git(repo, "for-each-ref", "--format=%(refname)").split()
        commits = {ref: self._git(repo, "log", "--format=%T %s by %an", ref) for ref in refs}
        main = commits["refs/heads/main"].split()[0]
        clean = not self._git(repo, "status", "--porcelain")
        return {"clean": clean} | {
            ref: [self.plain(line.replace(main, "main's tree"))[-80:] for line in said.splitlines()]
            for ref, said in commits.items()
        }

    def end(self, job: Job) -> str:
        """How a job ended, and what it said then."""
        code = job.error and job.error.code
        said = self.plain(f"{job.id} {job.kind} {job.agent} {job.state}: {code} {job.result}")
        return re.sub(r"127\.\d+\.\d+\.\d+", "ADDRESS", said)  # by the host's folder

    def unit(self) -> dict[str, Any]:
        unit = self.world.systemd.unit(ALICE.container)
        leader = self.world.containers.booted(unit.main_pid)
        told = {key: value for key, value in unit.properties.items() if key not in OF_A_RUN}
        if leader is None:
            return told
        conf = {key: self.plain(leader.started_with.get(key, "")) for key in KEYS}
        runs = self.plain(str(leader.system))
        return told | conf | {"runs": runs, "privileged": leader.is_privileged}

    def _git(self, repo: Path, *words: str) -> str:
        shell = LocalShell({"PATH": PATH, "GIT_OPTIONAL_LOCKS": "0", "HOME": "/nonexistent"})
        return shell.run("git", "-C", repo, *words).out
