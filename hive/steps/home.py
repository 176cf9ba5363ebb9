"""The folders of an agent: what its container binds."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from hive.adapters.world import World
from hive.domain.names import AgentName
from hive.errors import Refused
from hive.steps.step import Differs, Finding, Holds

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HomeReady:
    """`agent` has its login folder, private to it, its state folder and its runtime folder.

    What holds those of all agents is private to root: through an idmapped bind a container's root
    can leave setuid files there.
    """

    agent: AgentName

    def check(self, world: World) -> Finding:
        layout = world.layout
        for folder in self._private(world):
            if not world.files.is_folder(folder, mode=0o700):
                return Differs(f"{folder} is missing, or not private")
        for below, mode in self._folders().items():
            if not world.agents().is_folder(below, mode=mode):
                return Differs(f"{layout.agents / below} is missing, or has another mode")
        return Holds(f"the folders of {self.agent} are there")

    def apply(self, world: World) -> None:
        for private in self._private(world):
            world.files.make_folder(private, mode=0o700)
        agents = world.agents()
        with agents.unsealed(self.agent):
            agents.make_folder(self.agent, mode=0o755)
            for folder, mode in self._folders().items():
                agents.make_folder(folder, mode=mode or 0o755)

    def hold(self, world: World) -> None:
        """What its container binds is its own, and stays so: nspawn follows links at every start.

        Looked at behind the seal: from then on only this host's root puts something else there.
        Raises `Refused`, code `bind-astray`.
        """
        agents = world.agents()
        if world.seals and not agents.seal(self.agent):
            log.warning("home.not-sealed path=%s", world.layout.home(self.agent))
        for below in self._folders():
            if not agents.is_folder(below):
                raise Refused(
                    f"{world.layout.agents / below} is no folder of its own: the container of"
                    f" {self.agent} would be given what it leads to",
                    code="bind-astray",
                    hint=f"see who put it there, move it away, and `hive rebuild {self.agent}`",
                )

    def is_missing(self, world: World) -> bool:
        """One of them is not there at all: who runs on it has lost it, until it starts anew."""
        folders = [world.layout.home(self.agent) / name for name in ("claude", "state")]
        there = (world.layout.runtime(self.agent), *folders)
        return not all(world.files.exists(folder) for folder in there)

    def _private(self, world: World) -> tuple[Path, ...]:
        layout = world.layout
        shown = () if layout.shows_homes else (layout.shown,)
        return layout.agents, layout.applied_root, layout.runtime(self.agent), *shown

    def _folders(self) -> dict[str, int | None]:
        return {f"{self.agent}/claude": 0o700, f"{self.agent}/state": None}
