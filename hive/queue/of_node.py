"""Jobs that are about a whole node, as they are asked for by people, timers and schedules."""

from __future__ import annotations

from hive.domain.job import NewJob
from hive.domain.names import NodeName
from hive.jobs.catalog import base_lock, unique_key
from hive.jobs.prune import Prune
from hive.jobs.reconcile import Reconcile
from hive.jobs.update_base import UpdateBase
from hive.store import agents, workers
from hive.store.session import Session


def nodes(session: Session, here: NodeName) -> list[NodeName]:
    """Each that was heard of, or has agents, or had; by name."""
    heard_of = {node.name for node in workers.nodes(session)}
    return sorted({here} | heard_of | agents.nodes(session))


def sweep(node: NodeName, *, by: str, key: str | None = None) -> NewJob:
    """A look at every agent of the node; one at a time."""
    return _new(Reconcile.kind, node, f"{Reconcile.kind}:{node}", by, key)


def update_base(node: NodeName, *, by: str, key: str | None = None) -> NewJob:
    """The base is looked at anew, and each agent of the node is rebuilt on it."""
    return _new(UpdateBase.kind, node, base_lock(node), by, key)


def prune(node: NodeName, *, by: str, key: str | None = None) -> NewJob:
    """What is old in the database goes; the database is one, whichever node does it."""
    return _new(Prune.kind, node, f"{Prune.kind}:{node}", by, key)


def _new(kind: str, node: NodeName, lock: str, by: str, key: str | None) -> NewJob:
    return NewJob(
        kind=kind,
        node=node,
        agent=None,
        ask={},
        lock=lock,
        requested_by=by,
        unique_key=unique_key(kind, node, None, {}),
        idempotency_key=key,
    )
