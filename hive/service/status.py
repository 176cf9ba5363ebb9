"""The fleet at one moment: its agents, what they use, what is at work on them, and its nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from hive.adapters.systemd import Unit
from hive.domain.agent import Agent, Desired
from hive.domain.event import Event
from hive.domain.instant import instant
from hive.domain.job import Job, JobId, JobState, StepRecord, StepState
from hive.domain.names import AgentName, NodeName
from hive.queue.host import Host
from hive.service.agents import on_host
from hive.service.fleet import NodeView
from hive.service.ground import looked_at
from hive.store import agents, events, jobs, steps, workers

Key = tuple[NodeName, AgentName]
FIRST: Final = (JobState.RUNNING, JobState.WAITING, JobState.QUEUED)
"""Which of several jobs of an agent is told."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """The job of an agent that has not ended, and the step that it stands at."""

    job: Job
    step: str | None

    def as_json(self) -> dict[str, Any]:
        job = self.job
        return {
            "id": job.id,
            "kind": job.kind,
            "state": job.state.value,
            "attempt": job.attempt,
            "step": self.step,
            "started_at": instant(job.started_at),
        }


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """An agent, and all that a look at the whole fleet tells of it."""

    agent: Agent
    unit: Unit | None
    """None on another node, where this one cannot look."""
    at_work: AtWork | None
    event: Event | None
    """The last that happened to it."""
    is_silent: bool
    """Nothing is heard of its node."""

    @property
    def key(self) -> Key:
        return self.agent.node, self.agent.name

    @property
    def state(self) -> str:
        """The unit's, in systemd's word."""
        return self.unit.state if self.unit else "elsewhere"

    @property
    def memory(self) -> int | None:
        return self.unit.memory if self.unit and self.unit.is_active else None

    @property
    def cpu(self) -> timedelta | None:
        """What its container has computed since it was started."""
        return self.unit.cpu if self.unit and self.unit.is_active else None

    @property
    def attention(self) -> tuple[str, ...]:
        """Why somebody should look at it; nothing where all is as it should be."""
        said = (
            (self.agent.failed_at is not None, f"given up at {_minute(self.agent.failed_at)}"),
            (self._waits, "waits for approval"),
            (self.unit is not None and self.unit.is_failed, "its container failed"),
            (self._is_down, "is down"),
            (self.is_silent, "its node is silent"),
        )
        return tuple(words for is_so, words in said if is_so)

    @property
    def _waits(self) -> bool:
        return self.at_work is not None and self.at_work.job.state is JobState.WAITING

    @property
    def _is_down(self) -> bool:
        """Though it should run, and nothing is at work on it."""
        wanted = self.agent.desired is Desired.RUNNING and self.at_work is None
        return wanted and self.state == "inactive"

    def as_json(self) -> dict[str, Any]:
        event, agent = self.event, self.agent
        return {
            "name": agent.name,
            "node": agent.node,
            "desired": agent.desired.value,
            "state": self.state,
            "job": self.at_work and self.at_work.as_json(),
            "memory": self.memory,
            "cpu_seconds": None if self.cpu is None else self.cpu.total_seconds(),
            "event": event and _event(event),
            "failed_at": instant(agent.failed_at),
            "attention": list(self.attention),
        }


@dataclass(frozen=True, slots=True)
class Status:
    """All of it, as it was at `at`."""

    at: datetime
    agents: tuple[AgentStatus, ...]
    nodes: tuple[NodeView, ...]
    jobs: dict[JobState, int]
    """How many are queued, running and waiting."""

    def as_json(self) -> dict[str, Any]:
        return {
            "at": instant(self.at),
            "agents": [agent.as_json() for agent in self.agents],
            "nodes": [node.as_json() for node in self.nodes],
            "jobs": {state.value: self.jobs[state] for state in FIRST},
        }


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


def _event(event: Event) -> dict[str, Any]:
    at = instant(event.at)
    return {"seq": event.seq, "at": at, "kind": event.kind, "job": event.job_id}


def status(host: Host) -> Status:
    """One look: one program, and a number of queries that does not grow with the agents."""
    world = looked_at(host)
    told = _read(host)
    here = on_host(host, world, told.rows)
    rows = [*here.values(), *(row for row in told.rows if row.node != host.node)]
    shown = world.systemd.units([name.container for name in here])
    units = {(host.node, name): shown[name.container] for name in here}
    found = [_agent(row, units.get((row.node, row.name)), told) for row in rows]
    return Status(
        at=told.at,
        agents=tuple(sorted(filter(_is_there, found), key=lambda one: one.key)),
        nodes=tuple(told.nodes.values()),
        jobs={state: told.counts[state] for state in FIRST},
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What the database says at one moment."""

    at: datetime
    rows: list[Agent]
    counts: Counter[JobState]
    at_work: dict[Key, AtWork]
    events: dict[Key, Event]
    nodes: dict[NodeName, NodeView]


def _read(host: Host) -> _Told:
    now = host.clock.now()
    with host.database.read() as session:
        live = jobs.live(session)
        ours = _of_agents(live)
        done = steps.of_all(session, [job.id for job in ours.values()])
        last = events.last_of_agents(session)
        rows, nodes = agents.listed(session), workers.nodes(session)
    return _Told(
        at=now,
        rows=rows,
        counts=Counter(job.state for job in live),
        at_work={key: AtWork(job, _standing(done, job.id)) for key, job in ours.items()},
        events={(event.node, event.agent): event for event in last if event.agent},
        nodes={node.name: NodeView(node, node.is_silent(now)) for node in nodes},
    )


def _of_agents(live: Sequence[Job]) -> dict[Key, Job]:
    """One of each agent: what runs before what waits, and that before what is queued."""
    found: dict[Key, Job] = {}
    for job in sorted(live, key=lambda job: (FIRST.index(job.state), job.priority, job.id)):
        if job.agent is not None:
            found.setdefault((job.node, job.agent), job)
    return found


def _standing(done: dict[JobId, tuple[StepRecord, ...]], job: JobId) -> str | None:
    """The step that is being applied, else the last that was seen to."""
    records: Iterable[StepRecord] = done.get(job, ())
    name = None
    for record in records:
        name = record.name
        if record.state is StepState.APPLYING:
            break
    return name


def _agent(row: Agent, unit: Unit | None, told: _Told) -> AgentStatus:
    key, node = (row.node, row.name), told.nodes.get(row.node)
    is_silent = unit is None and (node is None or node.is_silent)
    return AgentStatus(row, unit, told.at_work.get(key), told.events.get(key), is_silent)


def _is_there(one: AgentStatus) -> bool:
    """Of what was destroyed only what still runs is told."""
    is_active = one.unit is not None and one.unit.is_active
    return one.agent.desired is not Desired.DESTROYED or is_active or one.at_work is not None
