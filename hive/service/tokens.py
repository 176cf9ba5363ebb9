"""What a face may ask about tokens: to make one, to know who brings it, to revoke it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hive.domain.authority import Caller, Role
from hive.domain.instant import instant
from hive.domain.names import AgentName
from hive.domain.token import SHAPE, Token, agent_of
from hive.errors import NotFound, Refused
from hive.queue.host import Host
from hive.service import lifecycle
from hive.store import tokens


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token without its secret."""

    token: Token

    def as_json(self) -> dict[str, Any]:
        token = self.token
        return {
            "id": token.id,
            "role": token.role.value,
            "agent": token.agent,
            "created_at": instant(token.created_at),
            "created_by": token.created_by,
            "expires_at": instant(token.expires_at),
            "used_at": instant(token.used_at),
            "revoked_at": instant(token.revoked_at),
        }


def create(
    host: Host,
    role: Role,
    *,
    by: str,
    agent: AgentName | None = None,
    expires: timedelta | None = None,
) -> tuple[TokenView, str]:
    """The token, and what its owner brings: that is said here and never again."""
    whose = agent_of(role, agent)
    if role is Role.AGENT and whose is not None:
        lifecycle.known(host, whose, host.node)
    secret, now = secrets.token_urlsafe(32), host.clock.now()
    until = now + expires if expires else None
    with host.database.write() as session:
        made = tokens.add(
            session, role, whose, _digest(secret), by=by, now=now, expires_at=until
        )  # fmt: skip
    return TokenView(made), f"hive_{made.id}_{secret}"


def listed(host: Host) -> list[TokenView]:
    """Oldest first; revoked ones too."""
    with host.database.read() as session:
        return [TokenView(token) for token in tokens.listed(session)]


def revoke(host: Host, number: int) -> None:
    """From the next request on. Twice is once."""
    with host.database.write() as session:
        if not tokens.revoke(session, number, now=host.clock.now()):
            raise NotFound(
                f"there is no token {number}", code="no-such-token", hint="see `hive token list`"
            )


def caller(host: Host, said: str) -> Caller:
    """Who brings this. Raises `Refused`, code `no-token`, whatever is wrong with it."""
    found, now = SHAPE.fullmatch(said), host.clock.now()
    number, secret = (int(found[1]), found[2]) if found else (0, "")
    with host.database.read() as session:
        token = tokens.find(session, number)
    digest = token.digest if token else _digest("")
    is_it = hmac.compare_digest(digest, _digest(secret))
    if token is None or not is_it or not token.is_good(now):
        raise Refused("this token is not good", code="no-token", hint="see `hive token list`")
    if token.used_at is None or now - token.used_at >= tokens.SELDOM:
        with host.database.write() as session:
            tokens.used(session, token.id, now=now)
    return token.caller


def _digest(secret: str) -> str:
    """Of 32 random bytes: nobody guesses them, so that no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
