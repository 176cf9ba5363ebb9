"""The closure of an agent: built by hive itself, and kept under a root of its own."""

from __future__ import annotations

from dataclasses import dataclass

from hive.adapters.world import World
from hive.domain.target import Target
from hive.errors import Refused
from hive.steps.look import built, planned
from hive.steps.slots import slot
from hive.steps.step import Differs, Finding, Holds


@dataclass(frozen=True, slots=True)
class Built:
    """The closure of `target` is built, and a link named by its key keeps it from the collector."""

    target: Target

    def check(self, world: World) -> Finding:
        found = planned(world, self.target)
        if found is None:
            return Differs(f"nothing pins {self.target.agent} yet")
        system = built(world, found)
        if system is None:
            return Differs(f"the closure {found.key} of {self.target.agent} is not built")
        return Holds(f"{found.key} is {system}")

    def apply(self, world: World) -> None:
        agent, found = self.target.agent, planned(world, self.target)
        if found is None:
            raise Refused(f"nothing pins {agent}", code="no-such-ref")
        link = world.layout.gcroot(agent, found.key)
        world.files.make_folder(link.parent, mode=0o755)
        flake = world.git.url(world.layout.meta)
        cwd = world.scratch(agent, "build")
        with slot(world, "build", world.builds):
            world.nix.build(flake, agent, found.at, link=link, cwd=cwd)
