"""What a step may look at and touch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hive.adapters.beneath import Beneath
from hive.adapters.clock import Clock
from hive.adapters.containers import Containers
from hive.adapters.files import Files
from hive.adapters.git import Git
from hive.adapters.hostile import HostileRepo
from hive.adapters.http import Http
from hive.adapters.locks import Locks
from hive.adapters.nix import Nix
from hive.adapters.systemd import Systemd
from hive.domain.layout import Layout
from hive.domain.names import AgentName


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
    clock: Clock
    locks: Locks
    address: str
    """Where agents' web ports answer."""
    base: str | None
    """The flake reference that new agents stand on."""

    def agents(self) -> Beneath:
        """The folder of all agents' homes: what lies below is hostile."""
        return Beneath(self.layout.agents)

    def proposed(self, agent: AgentName) -> HostileRepo:
        """What the manager wrote of the agent."""
        return HostileRepo(self.agents(), f"{agent}/config")

    def scratch(self, agent: AgentName, what: str) -> Path:
        """An empty folder for things in the making; wiped with each attempt."""
        folder = self.layout.scratch / agent / what
        self.files.wipe(folder)
        self.files.make_folder(folder, mode=0o700)
        return folder
