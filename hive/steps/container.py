"""The container of an agent before it runs: defined, set to a closure, limited."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hive.adapters.systemd import Unit
from hive.adapters.world import World
from hive.domain import conf
from hive.domain.agent import AgentSettings
from hive.domain.limits import Limits
from hive.domain.names import AgentName, ContainerName
from hive.domain.target import Target
from hive.errors import Refused
from hive.steps.look import needed_system, system_of
from hive.steps.step import Differs, Finding, Holds


@dataclass(frozen=True, slots=True)
class Defined:
    """The container of `target` is there, and its conf says network, binds and user namespace."""

    target: Target
    privileged: bool = False

    def check(self, world: World) -> Finding:
        container = self.target.agent.container
        text = world.containers.conf(container)
        if text is None:
            return Differs(f"{container} was never created")
        drifted = conf.drift(self._wanted(world), conf.read(text))
        if drifted:
            return Differs(f"the conf of {container} has another {drifted}")
        if not world.files.is_folder(world.layout.root(container)):
            return Differs(f"{container} has no root folder")
        return Holds(f"{container} is defined")

    def apply(self, world: World) -> None:
        container = self.target.agent.container
        wanted = self._wanted(world)
        if world.containers.conf(container) is None:
            self._create(world, container)
        world.containers.define(container, world.containers.conf(container) or "", wanted)

    def _create(self, world: World, container: ContainerName) -> None:
        root = world.layout.root(container)
        if world.files.entries(root):
            raise Refused(
                f"{root} is left of an earlier container, and would be inherited",
                code="leftover-root",
                hint="look at it, and remove it",
            )
        world.containers.create(container, needed_system(world, self.target))

    def _wanted(self, world: World) -> conf.Conf:
        return conf.owned(self.target.agent, world.layout, privileged=self.privileged)


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """The profile of the container is the closure of `target`: what its next start boots."""

    target: Target

    def check(self, world: World) -> Finding:
        system = system_of(world, self.target)
        if system is None:
            return Differs(f"the closure of {self.target.agent} is not built")
        found = profile_of(world, self.target.agent.container)
        if found != system:
            return Differs(f"the profile of {self.target.agent} is {found}")
        return Holds(f"the profile is {system}")

    def apply(self, world: World) -> None:
        profile = world.layout.profile(self.target.agent.container)
        if not world.files.is_folder(profile.parent):
            world.files.make_folder(profile.parent, mode=0o755)
        world.nix.set_profile(profile, needed_system(world, self.target))


@dataclass(frozen=True, slots=True)
class WillBoot:
    """The next start of the container boots `target`: as `ProfileSet`, where nothing is switched.

    Who only starts an agent has nothing to go back to, and may try again.
    """

    target: Target

    def check(self, world: World) -> Finding:
        return ProfileSet(self.target).check(world)

    def apply(self, world: World) -> None:
        ProfileSet(self.target).apply(world)


@dataclass(frozen=True, slots=True)
class Limited:
    """Memory, processor and tasks of `agent` are limited, in the drop-in and in systemd's mind."""

    agent: AgentName
    settings: AgentSettings

    def check(self, world: World) -> Finding:
        container = self.agent.container
        if because := no_drop_in(world, self.agent, self.settings):
            return Differs(because)  # as after a reboot: systemd need not be asked
        if because := limits_differ(
            world, self.agent, self.settings, world.systemd.unit(container)
        ):
            return Differs(because)
        return Holds(f"{container} is limited")

    def apply(self, world: World) -> None:
        """Of a unit that is not loaded systemd reads the drop-in by itself: nothing is reloaded."""
        container, text = self.agent.container, Limits.of(self.settings).drop_in()
        world.files.write(world.layout.drop_in(container), text)
        if limits_differ(world, self.agent, self.settings, world.systemd.look(container)):
            world.systemd.daemon_reload()


def limits_differ(
    world: World, agent: AgentName, settings: AgentSettings, unit: Unit
) -> str | None:
    """Why the agent is not limited as it is set; None where it is."""
    container, wanted = agent.container, Limits.of(settings)
    if because := no_drop_in(world, agent, settings):
        return because
    if unit.needs_reload or (unit.is_loaded and unit.limits(settings) != wanted):
        return f"systemd has not read the limits of {container}"
    return None


def no_drop_in(world: World, agent: AgentName, settings: AgentSettings) -> str | None:
    """Why systemd cannot know the limits; None where they stand in its drop-in."""
    if world.files.read(world.layout.drop_in(agent.container)) != Limits.of(settings).drop_in():
        return f"{agent.container} has no such limits in a drop-in"
    return None


def profile_of(world: World, container: ContainerName) -> Path | None:
    """The closure that the profile names: two links, each read and not followed further."""
    profile = world.layout.profile(container)
    generation = world.files.link(profile)
    if generation is None:
        return None
    return world.files.link(profile.parent / generation) or generation
