"""Crash watch: containers that go down, and that nobody has asked to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.processes import is_alive, start_of
from hive.adapters.shell import silent
from hive.adapters.systemd import Unit
from hive.adapters.world import World
from hive.domain.agent import Agent, Desired
from hive.domain.crash import Crash
from hive.domain.names import AgentName
from hive.domain.report import Reader, Report
from hive.domain.tally import Tally
from hive.errors import HiveError
from hive.queue import of_node
from hive.queue.host import Host
from hive.queue.report import report
from hive.steps.deploy import Reverted
from hive.steps.gone import Undefined
from hive.steps.running import Restarted, Running, Stopped
from hive.store import agents, crashes, events, jobs, steps

EVERY: Final = timedelta(seconds=5)
"""Between two looks at all units; at once, where a container's main process is gone."""
MOVING: Final = frozenset(
    step.__name__ for step in (Running, Restarted, Stopped, Reverted, Undefined)
)
"""Steps that stop a container: one that goes down meanwhile does as it is told."""
SOON: Final = timedelta(seconds=1)
"""Between two looks while something happens, and an agent is not seen running that should."""
LINES: Final = 10
BY: Final = "crash watch"

log = logging.getLogger("hive.crashes")


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a container that was seen alive."""

    invocation: str
    pid: int
    started: str | None

    @property
    def is_over(self) -> bool:
        return not is_alive(self.pid, self.started)


@dataclass(slots=True)
class CrashWatch:
    """Each crash of an agent of this node is noted, told, and followed by a sweep.

    A stop is none that a job of ours causes, nor one of the whole host. What crashed while nobody
    watched is noticed at the first look, where systemd says that it failed.
    """

    host: Host
    _runs: dict[AgentName, _Run] = field(default_factory=dict)
    _looked: float = float("-inf")
    _at: datetime | None = None
    """When everything was looked at last, by the clock of the rows."""
    _last: int = 0
    """The newest event that was heard of."""
    _sweeps: bool = False
    """A crash was noted, and no sweep has begun since."""

    def run_once(self, now: datetime) -> Tally:
        noted = self._look(now) if self._is_due() else 0
        self._sweeps |= noted > 0
        if self._sweeps:
            self._sweeps = not self._swept(now)
        return Tally(crashed=noted)

    def _is_due(self) -> bool:
        """A process that is gone is seen without a program."""
        waited = self.host.clock.monotonic() - self._looked
        if waited >= EVERY.total_seconds() or any(run.is_over for run in self._runs.values()):
            return True
        return waited >= SOON.total_seconds() and self._is_unseen()

    def _is_unseen(self) -> bool:
        """Something has happened, and there is an agent of which no run is known yet."""
        with self.host.database.read() as session:
            last, self._last = self._last, events.last(session)
        is_new = self._last != last
        return is_new and any(agent.name not in self._runs for agent in self._watched())

    def _look(self, now: datetime) -> int:
        """What a look that fails has not seen, the next one does: of the same time."""
        self._looked = self.host.clock.monotonic()
        noted = self._looked_at(self._watched(), self._at or now, now)
        self._at = now
        return noted

    def _looked_at(self, watched: list[Agent], since: datetime, now: datetime) -> int:
        if not watched:
            self._runs.clear()
            return 0
        world = self.host.world(silent, Locks(), Halt())
        units = world.systemd.units([agent.name.container for agent in watched])
        down = {
            agent.name: unit
            for agent in watched
            if self._went_down(agent.name, unit := units[agent.name.container])
        }
        noted = self._noted(world, down, since, now) if down else 0
        self._runs = {
            agent.name: run
            for agent in watched
            if (run := self._run(agent.name, units[agent.name.container]))
        }
        return noted

    def _watched(self) -> list[Agent]:
        """Those that are to run, and that nobody has given up."""
        with self.host.database.read() as session:
            here = agents.listed(session, self.host.node)
        return [agent for agent in here if agent.desired is Desired.RUNNING and not agent.failed_at]

    def _went_down(self, name: AgentName, unit: Unit) -> bool:
        before = self._runs.get(name)
        if unit.is_settling:
            return False  # how it ended will be known when it has
        if before is None:
            return unit.is_failed and bool(unit.invocation)
        return not unit.is_active or unit.invocation != before.invocation

    def _run(self, name: AgentName, unit: Unit) -> _Run | None:
        """What is to be watched from now on; one that is on its way down is still the same."""
        if unit.is_settling:
            return self._runs.get(name)
        if not unit.is_active or unit.main_pid is None:
            return None
        return _Run(unit.invocation, unit.main_pid, start_of(unit.main_pid))

    def _noted(
        self, world: World, down: Mapping[AgentName, Unit], since: datetime, now: datetime
    ) -> int:
        with self.host.database.read() as session:
            asked = steps.moved_since(session, self.host.node, since, MOVING)
        unasked = {name: unit for name, unit in down.items() if name not in asked}
        if not unasked or world.systemd.is_going_down():
            return 0
        return sum(self._note(world, name, unit, now) for name, unit in unasked.items())

    def _note(self, world: World, name: AgentName, unit: Unit, now: datetime) -> bool:
        before = self._runs.get(name)
        result, status, said = _end_of(world, name, unit)
        crash = Crash(
            node=self.host.node,
            agent=name,
            invocation=before.invocation if before else unit.invocation,
            at=now,
            result=result,
            exit=status,
            said=said,
        )
        with self.host.database.write() as session:
            is_new = crashes.note(session, crash)
            if is_new:
                report(session, self.host.node, _told(crash), now=now)
        if is_new:
            log.warning("agent.crashed agent=%s result=%s exit=%s", name, crash.result, crash.exit)
        return is_new

    def _swept(self, now: datetime) -> bool:
        """Whether a sweep will look that has not begun yet."""
        new = of_node.sweep(self.host.node, by=BY)
        with self.host.database.write() as session:
            job, is_new = jobs.submit(session, new, now=now)
        self.host.bell.ring(job.node, job.id)
        return is_new


def _end_of(world: World, name: AgentName, unit: Unit) -> tuple[str, str, str]:
    """Result, exit status and last words of the run; systemd may have begun another one since."""
    result, status = unit.result, unit.exit_status
    try:
        if unit.is_active:
            result, status = world.systemd.last_end(name.container)
        return result, status, world.systemd.last_words(name.container, lines=LINES)
    except HiveError as error:
        return result, status, f"its journal cannot be read: {error.message}"


def _told(crash: Crash) -> Report:
    said = f"\n{crash.said}" if crash.said else ""
    return Report(
        "agent.crashed",
        f"{crash.agent} went down: {crash.result}, exit {crash.exit}{said}",
        once=f"crashed:{crash.agent}:{crash.invocation}",
        to=frozenset({Reader.MANAGER}),
        agent=crash.agent,
        data={"result": crash.result, "exit": crash.exit},
        topic="container_crash",
    )
