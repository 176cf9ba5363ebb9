"""The container of an agent while it runs: the right closure, answering, or stopped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from hive.adapters.clock import wait_until
from hive.adapters.containers import Leader
from hive.adapters.systemd import Unit
from hive.adapters.world import World
from hive.domain import conf
from hive.domain.agent import Health
from hive.domain.names import AgentName, ContainerName
from hive.domain.ports import port_of
from hive.domain.target import Target
from hive.errors import Refused, Transient
from hive.steps.home import HomeReady
from hive.steps.look import needed_system, system_of
from hive.steps.slots import slot
from hive.steps.step import Differs, Finding, Holds


class Restarts(StrEnum):
    """When a running container is stopped and started to change it."""

    ALWAYS = "always"
    AUTO = "auto"  #: when something that nspawn reads has changed
    NEVER = "never"  #: what only a restart changes waits for the next one


SETTLE = timedelta(minutes=11)
ANSWER = timedelta(minutes=2)
AT_FIRST = timedelta(milliseconds=5)
OFTEN = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True)
class Running:
    """The container runs the closure of `target`, and not an older one, started as defined now.

    What it was started with is read from its main process, for a conf that changed since then
    changes nothing in a running container.
    """

    target: Target
    privileged: bool | None = False
    """Without a user namespace; None: as the container is defined, whatever is set since."""
    restarts: Restarts = Restarts.AUTO

    def check(self, world: World) -> Finding:
        system = system_of(world, self.target)
        if system is None:
            return Differs(f"the closure of {self.target.agent} is not built")
        unit = world.systemd.unit(self.target.agent.container)
        return self._finding(world, system, unit)

    def _finding(self, world: World, system: Path, unit: Unit) -> Finding:
        container = self.target.agent.container
        if not unit.is_active:
            return Differs(f"{container} is {unit.state}")
        leader = world.containers.booted(unit.main_pid)
        if leader is None:
            return Differs(f"{container} has no init")
        stale = self._stale(world, leader)
        if stale and not self._may_stay(world, leader):
            return Differs(f"{stale}: a restart")
        if leader.system != system:
            how = "a restart" if self.restarts is Restarts.ALWAYS else "a reload"
            return Differs(f"{container} still runs {leader.system}: {how}")
        return Holds(f"{container} runs {system}" + (f", and {stale}" if stale else ""))

    def apply(self, world: World) -> None:
        container = self.target.agent.container
        needed_system(world, self.target)
        unit = settled(world, container)
        leader = world.containers.booted(unit.main_pid) if unit.is_active else None
        if leader and self._can_reload(world, leader):
            world.systemd.reload(container)
        else:
            if unit.is_active or unit.is_flapping:
                world.systemd.stop(container)
            if unit.is_failed:
                world.systemd.reset_failed(container)
            with slot(world, "start", world.starts):
                HomeReady(self.target.agent).hold(world)
                world.systemd.start(container)
        self._refuse_privileged(world)

    def _can_reload(self, world: World, leader: Leader) -> bool:
        """Only the system is another; or nothing that the agent does may be interrupted."""
        match self.restarts:
            case Restarts.ALWAYS:
                return False
            case Restarts.AUTO:
                return not self._stale(world, leader)
            case Restarts.NEVER:
                return self._may_stay(world, leader)

    def _may_stay(self, world: World, leader: Leader) -> bool:
        """What only a restart changes may wait for one; a root of the host's may not."""
        return self.restarts is Restarts.NEVER and self._allows(world) >= leader.is_privileged

    def _allows(self, world: World) -> bool:
        if self.privileged is not None:
            return self.privileged
        return self._defined(world).get("PRIVATE_USERS") == "no"

    def _defined(self, world: World) -> conf.Conf:
        return conf.read(world.containers.conf(self.target.agent.container) or "")

    def _stale(self, world: World, leader: Leader) -> str | None:
        """Why only a restart can help: nspawn read something else than what the conf says now."""
        agent = self.target.agent
        if self.privileged is None:
            wanted = conf.mine(self._defined(world))
        else:
            wanted = conf.owned(agent, world.layout, privileged=self.privileged)
        drifted = conf.drift(wanted, leader.started_with)
        if drifted:
            return f"{agent.container} was started with another {drifted}"
        if leader.is_privileged and not self._allows(world):
            return f"{agent.container} has no user namespace: its root is this host's root"
        return None

    def _refuse_privileged(self, world: World) -> None:
        container = self.target.agent.container
        leader = world.containers.booted(world.systemd.unit(container).main_pid)
        if leader and leader.is_privileged and not self._allows(world):
            world.systemd.stop(container)
            raise Refused(
                f"{container} came up without a user namespace: its root was this host's root",
                code="privileged",
                hint="this nixos-container knows no PRIVATE_USERS: take a newer one, or allow it",
            )


@dataclass(frozen=True, slots=True)
class Ready:
    """The agent is up; with health `port` it answers there, and is this one in this closure.

    Contract with the harness: `GET /` answers, with `Hive-Agent` and `Hive-System` in the headers.
    """

    target: Target
    health: Health = Health.UNIT

    def check(self, world: World) -> Finding:
        agent = self.target.agent
        if self.health is Health.UNIT:
            unit = world.systemd.unit(agent.container)
            up = unit.is_active
            return Holds(f"{agent} is up") if up else Differs(f"{agent} is {unit.state}")
        return self._answers(world)

    def _answers(self, world: World) -> Finding:
        agent, at = self.target.agent, f"{world.address}:{port_of(self.target.agent)}"
        answer = world.http.knock(world.address, port_of(agent))
        if answer is None:
            return Differs(f"nobody answers at {at}")
        if answer.headers.get("hive-agent") != agent:
            return Differs(f"at {at} answers {answer.headers.get('hive-agent', 'someone else')}")
        system = system_of(world, self.target)
        if answer.headers.get("hive-system") != str(system):
            return Differs(f"at {at} answers {answer.headers.get('hive-system')}")
        return Holds(f"{agent} answers at {at}")

    def apply(self, world: World) -> None:
        def holds() -> bool:
            return isinstance(self.check(world), Holds)

        if not wait_until(world.clock, holds, within=ANSWER, every=OFTEN, at_first=AT_FIRST):
            raise Transient(
                f"{self.check(world).because}, after {ANSWER}",
                code="not-ready",
                hint=f"see its journal: journalctl -u {self.target.agent.container.unit}",
            )


@dataclass(frozen=True, slots=True)
class Restarted:
    """The container of `agent` was not started before `since`."""

    agent: AgentName
    since: datetime

    def check(self, world: World) -> Finding:
        unit = world.systemd.unit(self.agent.container)
        age = world.containers.age(unit.main_pid) if unit.is_active else None
        if age is None:
            return Holds(f"{self.agent} is {unit.state}: it starts anew")
        if world.clock.now() - age < self.since:
            return Differs(f"{self.agent} runs since before it was to be restarted")
        return Holds(f"{self.agent} was started {age.total_seconds():.0f} s ago")

    def apply(self, world: World) -> None:
        settled(world, self.agent.container)
        world.systemd.stop(self.agent.container)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The container of `agent` is not running."""

    agent: AgentName

    def check(self, world: World) -> Finding:
        unit = world.systemd.unit(self.agent.container)
        if unit.is_active or unit.is_moving:
            return Differs(f"{self.agent} is {unit.state}")
        return Holds(f"{self.agent} is {unit.state}")

    def apply(self, world: World) -> None:
        """A stop ends whatever start is under way, and waits for the end."""
        world.systemd.stop(self.agent.container)


def settled(world: World, container: ContainerName) -> Unit:
    """The unit, when no job of systemd's own moves it any more; or it flaps, for ever."""

    def unit() -> Unit | None:
        found = world.systemd.unit(container)
        return None if found.is_settling else found

    found = wait_until(world.clock, unit, within=SETTLE, every=OFTEN * 4)
    if found is None:
        raise Transient(
            f"{container} did not settle within {SETTLE}",
            code="unit-stuck",
            hint=f"see `systemctl status {container.unit}`",
        )
    return found
