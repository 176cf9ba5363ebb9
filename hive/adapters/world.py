"""What a step may look at and touch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hive.adapters.beneath import Beneath
from hive.adapters.clock import Clock
from hive.adapters.containers import Containers
from hive.adapters.files import Files
from hive.adapters.git import Git
from hive.adapters.http import Http
from hive.adapters.locks import Locks
from hive.adapters.nix import Nix
from hive.adapters.systemd import Systemd
from hive.domain.layout import Layout
from hive.domain.names import AgentName, Rev
from hive.errors import Refused

SHORT: Final = re.compile(r"[0-9a-f]{7,40}", re.ASCII)


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
    builds: int = 2
    """How many closures are built at once on this host."""
    starts: int = 4
    """How many containers are started at once."""

    def agents(self) -> Beneath:
        """The folder of all agents' homes: what lies below is hostile."""
        return Beneath(self.layout.agents)

    def resolve(self, agent: AgentName, rev: str) -> Rev:
        """The commit of the agent's proposed repo that these 7 to 40 hex digits begin.

        A branch or a tag is refused: what is approved must not move.
        """
        if not SHORT.fullmatch(rev):
            raise Refused(
                f"{rev!r} is not a commit",
                code="bad-rev",
                hint="7 to 40 hex digits; a branch or a tag can move, so it is not taken",
            )
        return self.git.resolve(self.layout.proposed(agent), rev)

    def scratch(self, agent: AgentName, what: str) -> Path:
        """An empty folder for things in the making; wiped with each attempt."""
        folder = self.layout.scratch / agent / what
        self.files.wipe(folder)
        self.files.make_folder(folder, mode=0o700)
        return folder
