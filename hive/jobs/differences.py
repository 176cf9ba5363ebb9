"""What differs of each agent of a node from what is wanted, and the kind of job that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from hive.adapters.systemd import Unit
from hive.domain import conf
from hive.domain.agent import Agent, Desired
from hive.domain.crash import LIMIT, WITHIN, wait_before_start
from hive.domain.job import JobId
from hive.domain.names import MANAGER, AgentName
from hive.domain.roster import DEPLOYS
from hive.errors import HiveError
from hive.jobs.limit import Limit
from hive.jobs.look import Look
from hive.jobs.power import Restart, Start, Stop
from hive.jobs.rebuild import Rebuild
from hive.jobs.spawn import Spawn
from hive.jobs.tidy import Tidy
from hive.steps.container import limits_differ, profile_of
from hive.steps.home import HomeReady
from hive.steps.look import CANDIDATES
from hive.steps.step import Differs
from hive.steps.tidy import roots_beyond


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not so of one agent, and the kind of job that makes it so."""

    agent: AgentName
    because: str
    kind: str | None
    """None: nobody but an operator can."""
    wait: timedelta = timedelta(0)
    """Before that job begins."""
    gives_up: bool = False
    """From now on the agent counts as failed."""


def differences(look: Look) -> Iterator[Difference]:
    differ = set()
    known = {agent.name for agent in look.here}
    if MANAGER not in known and (found := _no_manager(look)):
        differ.add(found.agent)
        yield found
    for agent in look.here:
        if found := _looked_at(look, agent):
            differ.add(agent.name)
            yield found
    for name, because in _littered(look):
        if name not in differ:
            yield Difference(name, because, Tidy.kind)


def _no_manager(look: Look) -> Difference | None:
    """One that was never deployed is no manager either."""
    name = AgentName(MANAGER)
    if look.roster.busy(name) or look.world.base is None:
        return None
    because = "there is no manager"
    if tried := look.roster.given_up(name):
        because = f"{because}, and job {tried} could not make one"
        return Difference(name, because, None, gives_up=True)
    return Difference(name, because, Spawn.kind)


def _looked_at(look: Look, agent: Agent) -> Difference | None:
    """What one agent puts in its folders spoils the look at no other."""
    try:
        return _difference(look, agent)
    except HiveError as error:
        return Difference(agent.name, error.message, None)


def _difference(look: Look, agent: Agent) -> Difference | None:
    """The first thing that differs: the job that mends it looks at all of them."""
    unit = look.units[agent.name.container]
    if agent.failed_at is not None:
        return None
    if agent.name not in look.blocks:
        return _no_manager(look) if agent.name.is_manager else None
    seen = _wanted_stopped if agent.desired is Desired.STOPPED else _wanted_running
    found = seen(look, agent, unit)
    tried = _tried(look, found) if found else None
    if found and tried:
        because = f"{found.because}, and job {tried} could not mend it"
        return Difference(agent.name, because, None, gives_up=True)
    return found


def _tried(look: Look, found: Difference) -> JobId | None:
    """The job by which the last sweep tried to mend it: what that could not, another cannot."""
    if found.kind is None:
        return None
    return look.roster.given_up(found.agent) or look.roster.failed_at(found.agent, found.kind)


def _wanted_running(look: Look, agent: Agent, unit: Unit) -> Difference | None:
    is_down = not unit.is_active and not unit.is_settling
    if not is_down:
        return None if look.roster.busy(agent.name) else _undone(look, agent, unit)
    if not agent.settings.autostart:
        return None  # a rebuild would start it, too
    crashed = bool(look.roster.crashes.get(agent.name))
    if look.roster.runs(agent.name) and not crashed:
        return None
    return _undone(look, agent, unit) or _down(look, agent, unit)


def _wanted_stopped(look: Look, agent: Agent, unit: Unit) -> Difference | None:
    if not unit.is_active or look.roster.busy(agent.name):
        return None
    return Difference(agent.name, "it runs, and is wanted stopped", Stop.kind)


def _down(look: Look, agent: Agent, unit: Unit) -> Difference | None:
    crashes = look.roster.crashes.get(agent.name, ())
    wait = wait_before_start(crashes, look.roster.at)
    if wait is None:
        because = f"it crashed {LIMIT} times within {WITHIN}"
        return Difference(agent.name, because, None, gives_up=True)
    return Difference(agent.name, f"it is {unit.state}", Start.kind, wait)


def _undone(look: Look, agent: Agent, unit: Unit) -> Difference | None:
    """What only a build, or a look at more than the unit, mends; then what is less."""
    system = look.system(agent.name)
    if system is None:
        return Difference(agent.name, "its closure is gone", Rebuild.kind)
    if drifted := _drifted(look, agent):
        return Difference(agent.name, drifted, Rebuild.kind)
    if not unit.is_active:
        return None
    return _unlike(look, agent, unit, system)


def _unlike(look: Look, agent: Agent, unit: Unit, system: Path) -> Difference | None:
    """A running one that is not what was deployed."""
    world, container = look.world, agent.name.container
    home = HomeReady(agent.name)
    if isinstance(finding := home.check(world), Differs):
        kind = Restart.kind if home.is_missing(world) else Start.kind
        return Difference(agent.name, finding.because, kind)
    if (profile := profile_of(world, container)) != system:
        return Difference(agent.name, f"its profile is {profile}", Start.kind)
    leader = world.containers.booted(unit.main_pid)
    if leader is None or leader.system != system:
        runs = leader.system if leader else "nothing"
        return Difference(agent.name, f"it runs {runs}", Start.kind)
    if because := limits_differ(world, agent.name, agent.settings, unit):
        return Difference(agent.name, because, Limit.kind)
    return None


def _drifted(look: Look, agent: Agent) -> str | None:
    """A setting that was made wider waits for the operator's rebuild; no conf may be."""
    container = agent.name.container
    text = look.world.containers.conf(container)
    if text is None:
        return f"{container} has no conf"
    found = conf.read(text)
    privileged = agent.settings.privileged and found.get("PRIVATE_USERS") == "no"
    wanted = conf.owned(agent.name, look.world.layout, privileged=privileged)
    drifted = conf.drift(wanted, found)
    return f"the conf of {container} has another {drifted}" if drifted else None


def _littered(look: Look) -> Iterator[tuple[AgentName, str]]:
    """Agents of which nothing is under way, and what finished jobs of them have left."""
    layout, files = look.world.layout, look.world.files
    scratch = set(files.entries(layout.scratch))
    sides = {ref.rpartition("/")[2] for ref in look.world.git.refs(layout.meta, CANDIDATES)}
    rooted = files.entries(layout.gcroots)
    for name in sorted({*scratch, *sides, *rooted}):
        if not AgentName.pattern.fullmatch(name) or look.roster.busy(AgentName(name)):
            continue
        agent = AgentName(name)
        if look.roster.failed_at(agent, Tidy.kind):
            continue
        if name in scratch:
            yield agent, "something in the making is left of it"
        elif name in sides and not look.roster.waits(agent):
            yield agent, "a candidate of it is left in meta"
        elif _roots_beyond(look, agent):
            yield agent, f"more than the closures of its last {DEPLOYS} deploys are kept"


def _roots_beyond(look: Look, agent: AgentName) -> bool:
    """As the job that takes them away sees it: what that one would leave is no reason."""
    kept = look.roster.kept.get(agent)
    if not kept:
        return False
    recorded = look.system(agent) if agent in look.keys else None
    return any(roots_beyond(look.world, agent, kept, recorded))
