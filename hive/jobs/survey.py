"""A look at every agent of a node, by a number of programs that does not grow with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from hive.adapters.git import MAIN
from hive.adapters.systemd import Unit
from hive.adapters.world import World
from hive.domain import conf
from hive.domain.agent import Agent, Desired
from hive.domain.crash import LIMIT, WITHIN, wait_before_start
from hive.domain.job import JobId
from hive.domain.meta import FLAKE, LOCK, Block, Meta, parse
from hive.domain.names import MANAGER, AgentName, ContainerName, Rev
from hive.domain.report import GIVEN_UP, Reader, Report
from hive.domain.roster import DEPLOYS, Roster
from hive.domain.target import closure_keys
from hive.errors import HiveError
from hive.jobs.limit import Limit
from hive.jobs.power import Restart, Start, Stop
from hive.jobs.rebuild import Rebuild
from hive.jobs.spawn import Spawn
from hive.jobs.tidy import Tidy
from hive.steps.base import wanted_base
from hive.steps.container import limits_differ, profile_of
from hive.steps.home import HomeReady
from hive.steps.look import CANDIDATES
from hive.steps.step import Differs
from hive.steps.tidy import roots_beyond

ALL: Final = frozenset(Reader)
OPERATOR: Final = frozenset({Reader.OPERATOR})


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


@dataclass(frozen=True, slots=True)
class Survey:
    looked_at: int
    differences: tuple[Difference, ...]
    orphans: tuple[JobId, ...]
    """Waiting jobs of agents whose folder is gone."""
    reports: tuple[Report, ...]


def survey(world: World, roster: Roster) -> Survey:
    """What differs on this node from what is wanted. Nothing is touched."""
    look = _look(world, roster)
    found = tuple(look.differences())
    reports = (
        *look.failures(found),
        *look.unseen(found),
        *look.unknown(),
        *look.behind(),
        *look.diverged(),
    )
    return Survey(len(look.here), found, tuple(look.orphans()), reports)


@dataclass(frozen=True, slots=True)
class _Look:
    """One host at one moment, beside what the database says of it."""

    world: World
    roster: Roster
    here: tuple[Agent, ...]
    """Agents that are not destroyed."""
    units: Mapping[ContainerName, Unit]
    meta: Meta
    blocks: Mapping[AgentName, Block]
    keys: Mapping[AgentName, str]
    """Of the closures that meta's main pins."""
    containers: frozenset[ContainerName]

    def differences(self) -> Iterator[Difference]:
        differ = set()
        known = {agent.name for agent in self.here}
        if MANAGER not in known and (found := self._no_manager()):
            differ.add(found.agent)
            yield found
        for agent in self.here:
            if found := self._looked_at(agent):
                differ.add(agent.name)
                yield found
        for name, because in self._littered():
            if name not in differ:
                yield Difference(name, because, Tidy.kind)

    def failures(self, found: tuple[Difference, ...]) -> Iterator[Report]:
        for one in found:
            if one.gives_up:
                last = self.roster.last.get(one.agent)
                since = self.roster.crashes.get(one.agent, ())
                mark = last.id if last else 0, since[-1].isoformat() if since else ""
                yield Report(
                    GIVEN_UP,
                    f"{one.agent} is given up: {one.because}. `hive start {one.agent}` tries again",
                    once=f"failed:{one.agent}:{mark[0]}:{mark[1]}",
                    to=ALL,
                    agent=one.agent,
                    data={"because": one.because},
                )

    def unseen(self, found: tuple[Difference, ...]) -> Iterator[Report]:
        """Agents that could not be looked at: nothing is mended of them."""
        for one in found:
            if one.kind is None and not one.gives_up:
                yield Report(
                    "agent.unseen",
                    f"{one.agent} cannot be looked at: {one.because}",
                    once=f"unseen:{one.agent}:{one.because}",
                    to=OPERATOR,
                    agent=one.agent,
                    data={"because": one.because},
                )

    def unknown(self) -> Iterator[Report]:
        """Containers of a name that hive would give, and of no agent that it knows."""
        known = {agent.name.container for agent in self.roster.agents}
        for container in sorted(self.containers - known):
            if container.agent is not None:
                yield Report(
                    "container.unknown",
                    f"there is a container {container}, and no agent of it: hive leaves it alone",
                    once=f"unknown:{container}",
                    to=OPERATOR,
                    data={"container": container},
                )

    def behind(self) -> Iterator[Report]:
        """Agents that stand on an older base than the one that is wanted."""
        base = wanted_base(self.world)
        if base is None:
            return
        for agent in self.here:
            block = self.blocks.get(agent.name)
            if block and self.meta.base(block.base).url != base.url:
                yield Report(
                    "agent.needs-update",
                    f"{agent.name} stands on an older base than {base.label}",
                    once=f"needs-update:{agent.name}:{base.url}",
                    to=frozenset({Reader.MANAGER}),
                    agent=agent.name,
                    data={"base": base.url},
                    topic="needs_update",
                )

    def diverged(self) -> Iterator[Report]:
        """Agents of which applied names another commit than the one that was deployed."""
        for agent in self.here:
            block = self.blocks.get(agent.name)
            if block is None or self.roster.busy(agent.name):
                continue
            main = self._applied_main(agent.name)
            if main != block.rev:
                yield Report(
                    "agent.diverged",
                    f"applied's main of {agent.name} is on {main}, and {block.rev} is deployed",
                    once=f"diverged:{agent.name}:{main}:{block.rev}",
                    to=OPERATOR,
                    agent=agent.name,
                    data={"applied": main, "deployed": block.rev},
                )

    def _applied_main(self, agent: AgentName) -> Rev | None:
        """None too where its repo cannot be read, which spoils the look at no other."""
        try:
            return self.world.git.ref(self.world.layout.applied(agent), MAIN)
        except HiveError:
            return None

    def orphans(self) -> Iterator[JobId]:
        for agent, live in self.roster.live.items():
            waiting = [job.id for job in live if job.is_waiting]
            if waiting and not self.world.files.exists(self.world.layout.home(agent)):
                yield from waiting

    def _no_manager(self) -> Difference | None:
        """One that was never deployed is no manager either."""
        name = AgentName(MANAGER)
        if self.roster.busy(name) or self.world.base is None:
            return None
        because = "there is no manager"
        if tried := self.roster.given_up(name):
            because = f"{because}, and job {tried} could not make one"
            return Difference(name, because, None, gives_up=True)
        return Difference(name, because, Spawn.kind)

    def _looked_at(self, agent: Agent) -> Difference | None:
        """What one agent puts in its folders spoils the look at no other."""
        try:
            return self._difference(agent)
        except HiveError as error:
            return Difference(agent.name, error.message, None)

    def _difference(self, agent: Agent) -> Difference | None:
        """The first thing that differs: the job that mends it looks at all of them."""
        unit = self.units[agent.name.container]
        if agent.failed_at is not None:
            return None
        if agent.name not in self.blocks:
            return self._no_manager() if agent.name.is_manager else None
        look = self._wanted_stopped if agent.desired is Desired.STOPPED else self._wanted_running
        found = look(agent, unit)
        tried = self._tried(found) if found else None
        if found and tried:
            because = f"{found.because}, and job {tried} could not mend it"
            return Difference(agent.name, because, None, gives_up=True)
        return found

    def _tried(self, found: Difference) -> JobId | None:
        """The job by which the last sweep tried to mend it: what that could not, another cannot."""
        if found.kind is None:
            return None
        return self.roster.given_up(found.agent) or self.roster.failed_at(found.agent, found.kind)

    def _wanted_running(self, agent: Agent, unit: Unit) -> Difference | None:
        is_down = not unit.is_active and not unit.is_settling
        if not is_down:
            return None if self.roster.busy(agent.name) else self._undone(agent, unit)
        if not agent.settings.autostart:
            return None  # a rebuild would start it, too
        crashed = bool(self.roster.crashes.get(agent.name))
        if self.roster.runs(agent.name) and not crashed:
            return None
        return self._undone(agent, unit) or self._down(agent, unit)

    def _wanted_stopped(self, agent: Agent, unit: Unit) -> Difference | None:
        if not unit.is_active or self.roster.busy(agent.name):
            return None
        return Difference(agent.name, "it runs, and is wanted stopped", Stop.kind)

    def _down(self, agent: Agent, unit: Unit) -> Difference | None:
        crashes = self.roster.crashes.get(agent.name, ())
        wait = wait_before_start(crashes, self.roster.at)
        if wait is None:
            because = f"it crashed {LIMIT} times within {WITHIN}"
            return Difference(agent.name, because, None, gives_up=True)
        return Difference(agent.name, f"it is {unit.state}", Start.kind, wait)

    def _undone(self, agent: Agent, unit: Unit) -> Difference | None:
        """What only a build, or a look at more than the unit, mends; then what is less."""
        system = self._system(agent.name)
        if system is None:
            return Difference(agent.name, "its closure is gone", Rebuild.kind)
        if drifted := self._drifted(agent):
            return Difference(agent.name, drifted, Rebuild.kind)
        if not unit.is_active:
            return None
        return self._unlike(agent, unit, system)

    def _unlike(self, agent: Agent, unit: Unit, system: Path) -> Difference | None:
        """A running one that is not what was deployed."""
        world, container = self.world, agent.name.container
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

    def _system(self, agent: AgentName) -> Path | None:
        system = self.world.files.link(self.world.layout.gcroot(agent, self.keys[agent]))
        return system if system and self.world.files.exists(system) else None

    def _drifted(self, agent: Agent) -> str | None:
        """A setting that was made wider waits for the operator's rebuild; no conf may be."""
        container = agent.name.container
        text = self.world.containers.conf(container)
        if text is None:
            return f"{container} has no conf"
        found = conf.read(text)
        privileged = agent.settings.privileged and found.get("PRIVATE_USERS") == "no"
        wanted = conf.owned(agent.name, self.world.layout, privileged=privileged)
        drifted = conf.drift(wanted, found)
        return f"the conf of {container} has another {drifted}" if drifted else None

    def _littered(self) -> Iterator[tuple[AgentName, str]]:
        """Agents of which nothing is under way, and what finished jobs of them have left."""
        layout, files = self.world.layout, self.world.files
        scratch = set(files.entries(layout.scratch))
        sides = {ref.rpartition("/")[2] for ref in self.world.git.refs(layout.meta, CANDIDATES)}
        rooted = files.entries(layout.gcroots)
        for name in sorted({*scratch, *sides, *rooted}):
            if not AgentName.pattern.fullmatch(name) or self.roster.busy(AgentName(name)):
                continue
            agent = AgentName(name)
            if self.roster.failed_at(agent, Tidy.kind):
                continue
            if name in scratch:
                yield agent, "something in the making is left of it"
            elif name in sides and not self.roster.waits(agent):
                yield agent, "a candidate of it is left in meta"
            elif self._roots_beyond(agent):
                yield agent, f"more than the closures of its last {DEPLOYS} deploys are kept"

    def _roots_beyond(self, agent: AgentName) -> bool:
        """As the job that takes them away sees it: what that one would leave is no reason."""
        kept = self.roster.kept.get(agent)
        if not kept:
            return False
        recorded = self._system(agent) if agent in self.keys else None
        return any(roots_beyond(self.world, agent, kept, recorded))


def _look(world: World, roster: Roster) -> _Look:
    here = tuple(agent for agent in roster.agents if agent.desired is not Desired.DESTROYED)
    main = world.git.ref(world.layout.meta, MAIN)
    text, lock = world.git.files(world.layout.meta, main, FLAKE, LOCK) if main else (None, None)
    meta = parse(text) if text else Meta()
    return _Look(
        world=world,
        roster=roster,
        here=here,
        units=world.systemd.units([agent.name.container for agent in here]),
        meta=meta,
        blocks={block.agent: block for block in meta.blocks},
        keys=closure_keys(meta.blocks, lock) if lock else {},
        containers=frozenset(world.containers.names()),
    )
