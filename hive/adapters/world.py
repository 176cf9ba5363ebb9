"""What a step may look at and touch."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hive.adapters.beneath import Beneath
from hive.adapters.clock import Clock
from hive.adapters.containers import Containers
from hive.adapters.files import Files
from hive.adapters.git import Git
from hive.adapters.hostile import HostileRepo
from hive.adapters.http import Http
from hive.adapters.locks import Locks
from hive.adapters.nix import Nix
from hive.adapters.processes import is_alive
from hive.adapters.shell import Shell
from hive.adapters.systemd import Systemd
from hive.domain.layout import Layout
from hive.domain.names import AgentName, Rev

ASIDE: Final = "ask."
"""Begins what is made for a question that no lock goes with: `ask.<pid>-<digits>`."""


@dataclass(frozen=True, slots=True)
class World:
    """One host, as one job sees it: its programs write to the job's log and hold its locks."""

    layout: Layout
    files: Files
    git: Git
    nix: Nix
    containers: Containers
    systemd: Systemd
    http: Http
    shell: Shell
    clock: Clock
    locks: Locks
    address: str
    """Where agents' web ports answer."""
    base: str | None
    """The flake reference that new agents stand on."""
    builds: int = 2
    """How many closures are built at once on this host."""
    starts: int = 4
    """How many containers are started at once."""
    seals: bool = False
    """Agents' homes are sealed, where the file system can: containers here are real."""

    def agents(self) -> Beneath:
        """The folder of all agents' homes: what lies below is hostile."""
        return Beneath(self.layout.agents)

    def shown(self) -> Beneath:
        """The folder of all proposed repos: what lies below is hostile."""
        return Beneath(self.layout.shown)

    def proposed(self, agent: AgentName) -> HostileRepo:
        """What the manager wrote of the agent."""
        return HostileRepo(self.shown(), f"{agent}/config")

    def resolve(self, agent: AgentName, rev: str) -> Rev:
        """The commit of the agent's proposed repo that these digits begin.

        Asked without the agent's lock, so it is not in the scratch that goes with that.
        """
        name = f"{ASIDE}{os.getpid()}-{secrets.token_hex(4)}"
        for left in self.files.entries(self.layout.scratch):
            if left.startswith(ASIDE) and not is_alive(
                int(left.removeprefix(ASIDE).split("-")[0]), None
            ):
                self.files.wipe(self.layout.scratch / left)
        aside = self.layout.scratch / name
        return self.git.resolve(self.proposed(agent), rev, scratch=aside)

    def scratch(self, agent: AgentName, what: str) -> Path:
        """An empty folder for things in the making; wiped with each attempt."""
        folder = self.layout.scratch / agent / what
        self.files.wipe(folder)
        self.files.make_folder(folder, mode=0o700)
        return folder
