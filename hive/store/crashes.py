"""Crashes of containers: each noted once, whoever noticed it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final, cast

from sqlalchemy import Table, bindparam, delete, select, update

from hive.domain.crash import WITHIN, Crash
from hive.domain.names import AgentName, NodeName
from hive.store.session import Session, insert_into
from hive.store.tables import CrashRow

CRASHES: Final = cast(Table, CrashRow.__table__)
C: Final = CRASHES.c
_FORGIVE: Final = (
    update(CRASHES)
    .where(C.node == bindparam("b_node"), C.agent == bindparam("b_agent"))
    .where(C.at > bindparam("b_over", type_=C.at.type))
    .values(at=bindparam("b_over", type_=C.at.type))
)


def note(session: Session, crash: Crash) -> bool:
    """Whether it is new: of two that noticed it, one notes it."""
    added = insert_into(session, CRASHES).values(**asdict(crash)).on_conflict_do_nothing()
    return session.execute(added.returning(C.seq)).first() is not None


def since(session: Session, node: NodeName, at: datetime) -> dict[AgentName, tuple[datetime, ...]]:
    """When each agent of the node crashed after this moment, oldest first."""
    rows = select(C.agent, C.at).where(C.node == node, C.at >= at).order_by(C.at)
    found: dict[AgentName, tuple[datetime, ...]] = {}
    for row in session.execute(rows):
        name = AgentName(row.agent)
        found[name] = (*found.get(name, ()), row.at)
    return found


def forgive(session: Session, node: NodeName, agent: AgentName, *, now: datetime) -> None:
    """Those of the agent count no more. Their rows stay, or what is noted once would be again."""
    over = now - WITHIN - timedelta(seconds=1)
    session.execute(_FORGIVE, {"b_node": node, "b_agent": agent, "b_over": over})


def prune(session: Session, *, before: datetime, limit: int) -> int:
    """Take away at most `limit` of those before this moment; how many went."""
    old = select(C.seq).where(C.at < before).order_by(C.at).limit(limit)
    return len(session.execute(delete(CRASHES).where(C.seq.in_(old)).returning(C.seq)).all())
