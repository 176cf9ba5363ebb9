"""What a face may ask about workers and nodes, and about what has happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hive.domain.event import Event
from hive.domain.fullness import Fullness
from hive.domain.instant import instant
from hive.domain.job import BUILDING, Job, JobId, JobState
from hive.domain.names import AgentName, NodeName
from hive.domain.worker import Node, Worker
from hive.queue.drive import lives
from hive.queue.host import Host
from hive.store import events, workers
from hive.store.session import Session


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A process that works on jobs, and those that it runs."""

    worker: Worker
    is_alive: bool
    jobs: tuple[Job, ...]

    def as_json(self) -> dict[str, Any]:
        worker = self.worker
        return {
            "id": worker.id,
            "node": worker.process.node,
            "role": worker.role.value,
            "pid": worker.process.pid,
            "alive": self.is_alive,
            "draining": worker.draining,
            "concurrency": worker.concurrency,
            "version": worker.version,
            "since": instant(worker.since),
            "beat_at": instant(worker.beat_at),
            "jobs": [
                {"id": job.id, "kind": job.kind, "agent": job.agent, "attempt": job.attempt}
                for job in self.jobs
            ],
        }


@dataclass(frozen=True, slots=True)
class NodeView:
    """A host of the fleet, as far as the database tells."""

    node: Node
    is_silent: bool

    def as_json(self) -> dict[str, Any]:
        node = self.node
        return {
            "name": node.name,
            "silent": self.is_silent,
            "seen_at": instant(node.seen_at),
            "paused_at": instant(node.paused_at),
            "paused_by": node.paused_by,
            "disk": node.disk.value if node.disk else None,
        }

    def holds_up(self, job: Job) -> bool:
        """Its disk is too full for what this one does."""
        is_full = self.node.disk is Fullness.CRITICAL
        builds = job.kind in BUILDING and not job.restoring and not job.cancel_requested_at
        return is_full and builds and job.state is JobState.QUEUED


def listed(host: Host) -> list[WorkerView]:
    """Every worker that has registered and not left, of every node."""
    with host.database.read() as session:
        found = workers.listed(session)
        return [
            WorkerView(one, lives(host, one), tuple(workers.of(session, one.id))) for one in found
        ]


def nodes(host: Host) -> list[NodeView]:
    with host.database.read() as session:
        found = workers.nodes(session)
    now = host.clock.now()
    return [NodeView(node, node.is_silent(now)) for node in found]


def pause(host: Host, node: NodeName, *, by: str) -> None:
    """Nothing new is claimed there; what runs goes on."""
    with host.database.write() as session:
        workers.pause(session, node, by=by, now=host.clock.now())


def resume(host: Host, node: NodeName) -> None:
    """What is due there is claimed again; workers see it at their next look."""
    with host.database.write() as session:
        workers.resume(session, node)


@dataclass(frozen=True, slots=True)
class Hindrances:
    """What keeps jobs from going on, as the nodes are at one moment."""

    host: Host
    nodes: Mapping[NodeName, NodeView]
    now: datetime

    def of(self, job: Job) -> str | None:
        """Of one that is queued, or runs; None where nothing does."""
        if job.state not in (JobState.QUEUED, JobState.RUNNING):
            return None
        node = self.nodes.get(job.node)
        if node and node.node.paused_at and job.state is JobState.QUEUED:
            return f"node {job.node} is paused by {node.node.paused_by}"
        if node and node.holds_up(job):
            return f"the disk of node {job.node} is nearly full: nothing new is built there"
        if job.node != self.host.node and (node is None or node.is_silent):
            seen = instant(node.node.seen_at) if node else None
            since = f"is silent since {seen}" if seen else "was never heard of"
            return f"node {job.node} {since}: the job waits for it"
        if job.run_at is not None and job.run_at > self.now:
            return f"it runs again at {instant(job.run_at)}"
        return None


def hindrances(host: Host) -> Hindrances:
    with host.database.read() as session:
        return hindrances_of(host, workers.nodes(session))


def hindrances_of(host: Host, nodes: Iterable[Node]) -> Hindrances:
    """As some nodes were when they were looked at just now."""
    now = host.clock.now()
    return Hindrances(host, {one.name: NodeView(one, one.is_silent(now)) for one in nodes}, now)


def happened(
    host: Host,
    *,
    after: int | None = None,
    kind: str | None = None,
    job: JobId | None = None,
    agent: AgentName | None = None,
    limit: int = 1000,
) -> list[Event]:
    """The events behind `after`, oldest first; without it, those among the last `limit`."""
    with host.database.read() as session:
        since = max(0, events.last(session) - limit) if after is None else after
        return events.behind(session, since, kind=kind, job=job, agent=agent, limit=limit)


def newest(host: Host) -> int:
    """The number of the last event; 0 where nothing has happened."""
    with host.database.read() as session:
        return events.last(session)


def behind(
    session: Session,
    after: int,
    *,
    kind: str | None,
    agent: AgentName | None,
    job: JobId | None,
    limit: int,
) -> list[Event]:
    """The next events behind a number, in somebody's own look at the database."""
    return events.behind(session, after, kind=kind, agent=agent, job=job, limit=limit)
