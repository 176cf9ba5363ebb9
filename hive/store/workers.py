"""Workers and nodes at rest: who is at work where, and where nothing new may begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import Row, Select, Table, bindparam, delete, exists, select, text, update

from hive.domain.fullness import Fullness
from hive.domain.job import Job, JobId
from hive.domain.names import NodeName
from hive.domain.worker import Node, Process, Role, Worker
from hive.store.claims import but_for_its_lock
from hive.store.jobs import JOBS, READ, all_of, job_of, selected
from hive.store.jobs import C as J
from hive.store.session import Session, insert_into
from hive.store.tables import QUEUED_ONLY, RUNNING_ONLY, NodeRow, WorkerRow

WORKERS: Final = cast(Table, WorkerRow.__table__)
W: Final = WORKERS.c
NODES: Final = cast(Table, NodeRow.__table__)
N: Final = NODES.c
_NODE: Final = select(NODES).where(N.name == bindparam("b_name"))


@dataclass(frozen=True, slots=True)
class Held:
    """What a worker must know of a job that it runs."""

    job: JobId
    attempt: int
    is_cancelled: bool
    is_outranked: bool
    """A more urgent job of its lock is due."""


def register(session: Session, worker: Worker) -> None:
    """It is there, and says so; said again, it says what is so now. Its node was seen, too."""
    process = worker.process
    row = {
        **{field.name: getattr(process, field.name) for field in fields(process)},
        "role": worker.role,
        "version": worker.version,
        "concurrency": worker.concurrency,
        "draining": worker.draining,
        "since": worker.since,
        "beat_at": worker.beat_at,
    }
    added = insert_into(session, WORKERS).values(id=worker.id, **row)
    session.execute(added.on_conflict_do_update(index_elements=[W.id], set_=row))
    if worker.role is not Role.COMMAND:
        _seen(session, process.node, worker.beat_at)


def leave(session: Session, worker: str) -> None:
    session.execute(delete(WORKERS).where(W.id == worker))


def leave_idle(session: Session, worker: str) -> None:
    """As `leave`, but for one that a running job still names: it tells who that was."""
    busy = select(J.id).where(J.worker == worker, text(f"jobs.{RUNNING_ONLY}"))
    session.execute(delete(WORKERS).where(W.id == worker, ~busy.exists()))


def listed(session: Session, node: NodeName | None = None) -> list[Worker]:
    """By node, the oldest first."""
    rows = select(WORKERS).order_by(W.node, W.since, W.id)
    return [
        _worker(row)
        for row in session.execute(rows if node is None else rows.where(W.node == node))
    ]


def beat(session: Session, held: Sequence[JobId], worker: str, *, leased_until: datetime) -> None:
    """The leases of these jobs reach to `leased_until`, of those that are this worker's still.

    Their rows are locked by number, as `turns.turn_over` does it, which may be at it just then.
    """
    mine = select(J.id).where(J.id.in_(held), J.worker == worker, text(f"jobs.{RUNNING_ONLY}"))
    in_order = mine.order_by(J.id).with_for_update()
    session.execute(update(JOBS).where(J.id.in_(in_order)).values(leased_until=leased_until))


def held(session: Session, worker: str, now: datetime) -> dict[JobId, Held]:
    """Every job that the rows say is this worker's."""
    return {
        row[0]: Held(*row) for row in session.execute(_held(), {"b_worker": worker, "b_now": now})
    }


@cache
def _held() -> Select[Any]:
    """An urgent job that could not be claimed either makes nobody give way."""
    other = JOBS.alias("other")
    urgent = exists().where(
        other.c.lock == J.lock,
        text(f"other.{QUEUED_ONLY}"),
        other.c.priority < J.priority,
        *but_for_its_lock(other),
    )
    said = (J.id, J.attempt, J.cancel_requested_at.is_not(None), urgent.correlate(JOBS))
    return select(*said).where(J.worker == bindparam("b_worker"), text(f"jobs.{RUNNING_ONLY}"))


def running(session: Session) -> list[tuple[Job, Worker | None, datetime | None]]:
    """Every job that runs, with who runs it, where that one has registered, and its lease."""
    joined = (
        select(*READ, J.leased_until, *(column.label(f"w_{column.name}") for column in W))
        .outerjoin(WORKERS, W.id == J.worker)
        .where(text(f"jobs.{RUNNING_ONLY}"))
        .order_by(J.id)
    )
    return [_run(row) for row in session.execute(joined)]


def of(session: Session, worker: str) -> list[Job]:
    """What it runs."""
    return all_of(session, selected(J.worker == worker, text(RUNNING_ONLY)).order_by(J.id))


def nodes(session: Session) -> list[Node]:
    return [_node(row) for row in session.execute(select(NODES).order_by(N.name))]


def node(session: Session, name: NodeName) -> Node | None:
    row = session.execute(_NODE, {"b_name": name}).first()
    return None if row is None else _node(row)


def disk_of(session: Session, node: NodeName) -> Fullness | None:
    """As it was found last; None where nobody has looked."""
    return _fullness(session.scalar(select(N.disk).where(N.name == node)))


def set_disk(session: Session, node: NodeName, disk: Fullness) -> bool:
    """Whether that is new: of two that found it out, one says so."""
    added = insert_into(session, NODES).values(name=node, disk=disk.value)
    changed = added.on_conflict_do_update(
        index_elements=[N.name],
        set_={"disk": disk.value},
        where=N.disk.is_distinct_from(disk.value),
    )
    return session.execute(changed.returning(N.name)).first() is not None


def pause(session: Session, node: NodeName, *, by: str, now: datetime) -> None:
    """Nothing new is claimed there. Twice is once: the first says since when."""
    said = {"paused_at": now, "paused_by": by}
    added = insert_into(session, NODES).values(name=node, **said)
    session.execute(
        added.on_conflict_do_update(index_elements=[N.name], set_=said, where=N.paused_at.is_(None))
    )


def resume(session: Session, node: NodeName) -> None:
    session.execute(update(NODES).where(N.name == node).values(paused_at=None, paused_by=None))


def _node(row: Row[Any]) -> Node:
    return Node(NodeName(row.name), row.seen_at, row.paused_at, row.paused_by, _fullness(row.disk))


def _fullness(said: str | None) -> Fullness | None:
    return None if said is None else Fullness(said)


def _seen(session: Session, node: NodeName, now: datetime) -> None:
    added = insert_into(session, NODES).values(name=node, seen_at=now)
    session.execute(added.on_conflict_do_update(index_elements=[N.name], set_={"seen_at": now}))


def _worker(row: Row[Any], prefix: str = "") -> Worker:
    said = {column.name: getattr(row, f"{prefix}{column.name}") for column in W}
    process = {field.name: said.pop(field.name) for field in fields(Process)}
    del said["id"]
    return Worker(process=Process(**{**process, "node": NodeName(process["node"])}), **said)


def _run(row: Row[*tuple[Any, ...]]) -> tuple[Job, Worker | None, datetime | None]:
    worker = None if row.w_id is None else _worker(row, "w_")
    return job_of(row), worker, row.leased_until
