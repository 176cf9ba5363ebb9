"""The command as the worker: with nobody else to run a job, this process does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from hive.adapters.processes import is_alive
from hive.domain.job import PENDING, Job, JobId
from hive.domain.names import NodeName
from hive.domain.worker import LEASE, SERVING, Role, Worker
from hive.errors import Refused
from hive.queue.disks import Disks
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.queue.work import work
from hive.store import jobs, workers

EVERY: Final = timedelta(milliseconds=100)


def drive(host: Host, job_id: JobId, *, until: Callable[[], bool] = lambda: False) -> Job:
    """See the job to its end, or to its gate, and its children after it.

    While a worker serves this node, or another process holds the job's lock, that one is at work,
    as the workers of another node are on its jobs: the job is followed. Otherwise this process runs
    what stands first in the lock. Returns the job as it is then, or as it is when `until` says so.
    """
    with Heart(host, Role.COMMAND) as heart:
        try:
            job = _driven(host, heart, job_id, until)
            for child in _children(host, job_id):
                _driven(host, heart, child, until)
        finally:
            heart.leave()
    return job


def find(host: Host, job_id: JobId) -> Job:
    with host.database.read() as session:
        return jobs.find(session, job_id)


def refuse_elsewhere(host: Host, node: NodeName, what: str) -> None:
    """What looks at a host, or works on it, is done there."""
    if node != host.node:
        raise Refused(
            f"{what}: it is for the node {node}, and this is {host.node}",
            code="other-node",
            hint=f"run it on {node}; HIVE_NODE says which node this host is",
        )


def is_served(host: Host) -> bool:
    """A `hive worker` or `hive up` lives on this node; other commands do not count."""
    with host.database.read() as session:
        here = workers.listed(session, host.node)
    return any(one.role in SERVING and lives(host, one) for one in here)


def lives(host: Host, worker: Worker) -> bool:
    """By its pid, where that can be looked up; else by its last beat."""
    process = worker.process
    if process.shares_pids_with(host.process):
        return is_alive(process.pid, process.started)
    return host.clock.now() - worker.beat_at <= LEASE


def _driven(host: Host, heart: Heart, job_id: JobId, until: Callable[[], bool]) -> Job:
    while (job := find(host, job_id)).state in PENDING and not until():
        is_ours = job.node == host.node and not is_served(host)
        if is_ours and work(host, heart, job.lock):
            continue
        if is_ours:
            Disks(host).again(host.clock.now())
        host.clock.sleep(EVERY)
    return job


def _children(host: Host, job_id: JobId) -> list[JobId]:
    with host.database.read() as session:
        return jobs.children(session, job_id)
