"""Agents at rest: what is wanted of each, and who has which port."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Row, Table, bindparam, delete, select, text, update
from sqlalchemy.exc import IntegrityError

from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.names import AgentName, NodeName
from hive.errors import NotFound, Refused
from hive.store.session import Session, guarded, insert_into
from hive.store.tables import PORT_TAKEN_ONLY, AgentRow

AGENTS: Final = cast(Table, AgentRow.__table__)
C: Final = AGENTS.c
_IT: Final = (C.node == bindparam("b_node"), C.name == bindparam("b_name"))
_OF_NAME: Final = select(AGENTS).where(*_IT)
_WANT: Final = (
    update(AGENTS)
    .where(*_IT)
    .values(desired=bindparam("desired"), changed_at=bindparam("changed_at"))
    .returning(C.name)
)
_TAKE_UP: Final = update(AGENTS).where(*_IT, C.failed_at.is_not(None)).values(failed_at=None)


def put(session: Session, agent: Agent, *, now: datetime) -> None:
    """The agent's row says this, from now on. The unique index refuses a port that is taken."""
    said = {
        "port": agent.port,
        "desired": agent.desired,
        "settings": agent.settings.as_json(),
        "failed_at": agent.failed_at,
        "changed_at": now,
    }
    row = insert_into(session, AGENTS).values(
        node=agent.node, name=agent.name, created_at=now, **said
    )
    try:
        with guarded(session):
            session.execute(row.on_conflict_do_update(index_elements=[C.node, C.name], set_=said))
    except IntegrityError as error:
        raise _taken(session, agent) or error from error


def find(session: Session, node: NodeName, name: AgentName) -> Agent | None:
    row = session.execute(_OF_NAME, {"b_node": node, "b_name": name}).first()
    return None if row is None else _agent(row)


def is_there(session: Session, node: NodeName, name: AgentName) -> bool:
    """It has a row, and is not destroyed."""
    of_it = select(C.name).where(C.node == node, C.name == name, C.desired != Desired.DESTROYED)
    return session.scalar(of_it) is not None


def listed(session: Session, node: NodeName | None = None) -> list[Agent]:
    """By node and name; those that were destroyed too."""
    rows = select(AGENTS).order_by(C.node, C.name)
    return [
        _agent(row) for row in session.execute(rows if node is None else rows.where(C.node == node))
    ]


def nodes(session: Session) -> set[NodeName]:
    """Where agents are, or were before they were destroyed."""
    return {NodeName(node) for node in session.scalars(select(C.node).distinct())}


def change(
    session: Session,
    node: NodeName,
    name: AgentName,
    changed: Callable[[AgentSettings], AgentSettings],
    *,
    now: datetime,
) -> Agent:
    """The agent with its settings changed, and nothing else; what another changes waits."""
    one = select(AGENTS).where(C.node == node, C.name == name).with_for_update()
    row = session.execute(one).first()
    if row is None:
        raise NotFound(f"there is no agent {name}", code="no-such-agent", hint="see `hive agents`")
    agent = replace(_agent(row), settings=changed(AgentSettings.from_json(row.settings)))
    said = {"settings": agent.settings.as_json(), "changed_at": now}
    session.execute(update(AGENTS).where(C.node == node, C.name == name).values(said))
    return agent


def set_desired(
    session: Session, node: NodeName, name: AgentName, desired: Desired, *, now: datetime
) -> bool:
    """Whether there is such an agent. Refused where its port was taken since it was destroyed."""
    said = {"b_node": node, "b_name": name, "desired": desired, "changed_at": now}
    try:
        with guarded(session):
            return session.execute(_WANT, said).first() is not None
    except IntegrityError as error:
        found = find(session, node, name)
        raise (found and _taken(session, found)) or error from error


def give_up(session: Session, node: NodeName, name: AgentName, *, now: datetime) -> None:
    """Until an operator acts, nobody starts it again. Twice is once: the first says since when."""
    mine = update(AGENTS).where(C.node == node, C.name == name, C.failed_at.is_(None))
    session.execute(mine.values(failed_at=now))


def take_up(session: Session, node: NodeName, name: AgentName) -> None:
    """An operator acts on it: what was before is over."""
    session.execute(_TAKE_UP, {"b_node": node, "b_name": name})


def forget(session: Session, node: NodeName, name: AgentName) -> None:
    """There is no row of this agent."""
    session.execute(delete(AGENTS).where(C.node == node, C.name == name))


def _taken(session: Session, agent: Agent) -> Refused | None:
    holder = session.scalar(
        select(C.name).where(C.node == agent.node, C.port == agent.port, text(PORT_TAKEN_ONLY))
    )
    return (
        None
        if holder is None
        else Refused(
            f"port {agent.port} is already taken by '{holder}'",
            code="port-taken",
            hint="rename one of them and retry",
        )
    )


def _agent(row: Row[Any]) -> Agent:
    return Agent(
        node=NodeName(row.node),
        name=AgentName(row.name),
        port=row.port,
        desired=row.desired,
        settings=AgentSettings.from_json(row.settings),
        failed_at=row.failed_at,
    )
