"""Tokens at rest: the hash of each, for whom it is, and whether it is still good."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import Row, Table, insert, or_, select, update

from hive.domain.authority import Role
from hive.domain.names import AgentName
from hive.domain.token import Token
from hive.store.session import Session
from hive.store.tables import TokenRow

TOKENS: Final = cast(Table, TokenRow.__table__)
C: Final = TOKENS.c
READ: Final = tuple(C[field.name] for field in fields(Token))
SELDOM: Final = timedelta(minutes=1)
"""A use is noted so often, or each request would be a write."""


def add(
    session: Session,
    role: Role,
    agent: AgentName | None,
    digest: str,
    *,
    by: str,
    now: datetime,
    expires_at: datetime | None,
) -> Token:
    row = {
        "role": role, "agent": agent, "digest": digest,
        "created_at": now, "created_by": by, "expires_at": expires_at,
    }  # fmt: skip
    return _token(session.execute(insert(TOKENS).values(row).returning(*READ)).one())


def find(session: Session, number: int) -> Token | None:
    row = session.execute(select(*READ).where(C.id == number)).first()
    return None if row is None else _token(row)


def listed(session: Session) -> list[Token]:
    """Oldest first; revoked ones too."""
    return [_token(row) for row in session.execute(select(*READ).order_by(C.id))]


def revoke(session: Session, number: int, *, now: datetime) -> bool:
    """False where there is none. Twice is once: the first says since when."""
    good = update(TOKENS).where(C.id == number, C.revoked_at.is_(None))
    session.execute(good.values(revoked_at=now))
    return find(session, number) is not None


def used(session: Session, number: int, *, now: datetime) -> None:
    """This only ever goes forward."""
    stale = or_(C.used_at.is_(None), C.used_at < now)
    session.execute(update(TOKENS).where(C.id == number, stale).values(used_at=now))


def _token(row: Row[Any]) -> Token:
    values = row._asdict()
    values["agent"] = None if row.agent is None else AgentName(row.agent)
    return Token(**values)
