"""A token: who brings it is somebody, until it expires or is revoked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hive.domain.authority import Caller, Role
from hive.domain.names import MANAGER, AgentName
from hive.errors import Refused

SHAPE: Final = re.compile(r"hive_([0-9]{1,9})_([A-Za-z0-9_-]{43})", re.ASCII)
"""Its number, to look it up by, and its secret: 32 random bytes."""


@dataclass(frozen=True, slots=True)
class Token:
    """A row. Of the secret only a hash is kept."""

    id: int
    role: Role
    agent: AgentName | None
    digest: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    used_at: datetime | None  #: to the minute
    revoked_at: datetime | None

    @property
    def caller(self) -> Caller:
        """An agent goes by its own name, which its messages bear too."""
        return Caller(self.role, self.agent or f"token:{self.id}", self.agent)

    def is_good(self, now: datetime) -> bool:
        lives = self.expires_at is None or now < self.expires_at
        return lives and self.revoked_at is None


def agent_of(role: Role, agent: AgentName | None) -> AgentName | None:
    """Whose token it is: an agent's has to say so, and the manager is one. Raises `Refused`."""
    if role is Role.MANAGER:
        wanted = agent is None or agent.is_manager
    elif role is Role.AGENT:
        wanted = agent is not None and not agent.is_manager
    else:
        wanted = agent is None
    if not wanted:
        raise Refused(
            f"a token of the role {role} is not for {agent or 'nobody in particular'}",
            code="bad-token",
            hint="--agent NAME goes with --role agent, and with nothing else",
        )
    return AgentName(MANAGER) if role is Role.MANAGER else agent
