"""The folders of an agent: what its container binds."""

from __future__ import annotations

from dataclasses import dataclass

from hive.adapters.world import World
from hive.domain.names import AgentName
from hive.steps.step import Differs, Finding, Holds


@dataclass(frozen=True, slots=True)
class HomeReady:
    """`agent` has its login folder, private to it, its state folder and its runtime folder.

    `agents/` and `applied/` are private to root: through an idmapped bind a container's root can
    leave setuid files there.
    """

    agent: AgentName

    def check(self, world: World) -> Finding:
        layout = world.layout
        for folder in (layout.agents, layout.applied_root, layout.runtime(self.agent)):
            if not world.files.is_folder(folder, mode=0o700):
                return Differs(f"{folder} is missing, or not private")
        for below, mode in self._folders().items():
            if not world.agents().is_folder(below, mode=mode):
                return Differs(f"{layout.agents / below} is missing, or has another mode")
        return Holds(f"the folders of {self.agent} are there")

    def apply(self, world: World) -> None:
        layout = world.layout
        for private in (layout.agents, layout.applied_root, layout.runtime(self.agent)):
            world.files.make_folder(private, mode=0o700)
        world.agents().make_folder(self.agent, mode=0o755)
        for folder, mode in self._folders().items():
            world.agents().make_folder(folder, mode=mode or 0o755)

    def is_missing(self, world: World) -> bool:
        """One of them is not there at all: who runs on it has lost it, until it starts anew."""
        folders = [world.layout.home(self.agent) / name for name in ("claude", "state")]
        there = (world.layout.runtime(self.agent), *folders)
        return not all(world.files.exists(folder) for folder in there)

    def _folders(self) -> dict[str, int | None]:
        return {f"{self.agent}/claude": 0o700, f"{self.agent}/state": None}
