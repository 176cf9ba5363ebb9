"""A pretend host in the middle of its life, put back as often as a test wants to try something."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hive import bootstrap
from hive.adapters.gitsafe import ENVIRONMENT
from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import LocalShell, silent
from hive.domain.agent import Desired
from hive.domain.job import ENDED, Job, JobState
from hive.queue.host import Host
from hive.settings import Settings
from hive.sim.stop import stop_all
from hive.store import agents, jobs
from hive.store.session import open_database
from tests.acceptance.killing import Ended, Phase, Victim
from tests.acceptance.snapshot import snapshot
from tests.pretend import ALICE, ME, NO_FILE, PATH, a_base, environment

DONE: Final = 2
"""Jobs that the host has behind it: a spawn and an apply."""
AGENT_NIX: Final = "{{ ... }}: {{ environment.variables.{}; }}\n"


@dataclass
class Midlife:
    """alice was spawned, and given another commit; a setting and the base have changed since.

    Her container is stopped while the host is put away: no process can be put back.
    """

    folder: Path
    good: str = ""
    """A commit that was not applied yet."""
    bad: str = ""
    """One that does not come up."""
    victim: Victim = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.victim = Victim(self.folder, {"HIVE_BASE_FLAKE": a_base(self.folder)})
        self._does("spawn", "alice")
        self._does("apply", "alice", self._committed('GREETING = "hello"'))
        self._does("agent", "set", "alice", "model=opus")
        self.good = self._committed('GREETING = "again"')
        self.bad = self._committed('HIVE_SIM_START = "fails"')
        flake = self.folder / "base" / "flake.nix"
        flake.write_text(flake.read_text() + "# newer\n")
        with self._host() as host:
            host.world(silent, Locks(), Halt()).systemd.stop(ALICE.container)
        shutil.copytree(self.state, self.folder / "kept", symlinks=True)

    @property
    def state(self) -> Path:
        return self.victim.state

    def put_back(self, desired: Desired) -> None:
        """As it was; she runs where that is `desired`."""
        stop_all(self.state / "sim")
        shutil.rmtree(self.state)
        shutil.copytree(self.folder / "kept", self.state, symlinks=True)
        with self._host() as host:
            if desired is Desired.RUNNING:
                host.world(silent, Locks(), Halt()).systemd.start(ALICE.container)
            else:
                with host.database.write() as session:
                    agents.set_desired(session, host.node, ALICE, desired, now=host.clock.now())

    def run(self, *words: str, killed_at: tuple[str, int, Phase] | None = None) -> Ended:
        return self.victim.run(words, killed_at)

    def accepted(self) -> Job | None:
        """The job that the last command has submitted, if it came to that."""
        with self._host() as host, host.database.read() as session:
            found = [job for job in jobs.listed(session, limit=100) if job.id > DONE]
        return min(found, key=lambda job: job.id, default=None)

    def is_restoring(self) -> bool:
        """Or has, to the end: how often a unit is looked at varies from run to run."""
        job = self.accepted()
        return job is not None and job.restoring and job.state in (JobState.RUNNING, *ENDED)

    def snapshot(self) -> dict[str, object]:
        return snapshot(self.state, **self.victim.more)

    def close(self) -> None:
        stop_all(self.state / "sim")
        shutil.rmtree(self.folder)

    def _does(self, *words: str) -> None:
        ended = self.run(*words)
        assert ended.code == 0, ended.err

    def _committed(self, variable: str) -> str:
        repo = self.state / "agents/alice/config"
        (repo / "agent.nix").write_text(AGENT_NIX.format(variable))
        shell = LocalShell({"PATH": PATH, "HOME": str(self.folder), **ENVIRONMENT, **ME})
        shell.run("git", "-C", repo, "commit", "--quiet", "--all", "-m", variable)
        return shell.run("git", "-C", repo, "rev-parse", "HEAD").out.strip()

    @contextmanager
    def _host(self) -> Iterator[Host]:
        env = environment(self.state, **self.victim.more)
        settings = Settings.from_env(env, config=NO_FILE)
        database = open_database(settings.database_url)
        try:
            yield bootstrap.host(settings, env, database)
        finally:
            database.dispose()
