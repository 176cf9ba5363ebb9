"""How a harness is doing, as its page and its status tell it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hive.domain.instant import instant
from hive.errors import HiveError
from hive.harness.identity import Identity


@dataclass(slots=True)
class Standing:
    """Written by the reader alone, and read by every answer on the port."""

    identity: Identity
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    noted: int = 0
    noted_at: datetime | None = None
    trouble: HiveError | None = None

    @property
    def status(self) -> str:
        """One line for the operator, which changes only when something else is so."""
        if self.trouble is not None:
            return f"default harness: {self.trouble.message} [{self.trouble.code}]"
        return f"default harness: reads messages and notes them, {self.noted} so far"

    def as_json(self) -> dict[str, Any]:
        """No word of any message: whoever is on this host may read it."""
        who = self.identity
        return {
            "agent": who.agent,
            "port": who.port,
            "model": who.model,
            "allowed_tools": who.allowed_tools,
            "dashboard_port": who.dashboard_port,
            "status": self.status,
            "since": instant(self.since),
            "noted": self.noted,
            "noted_at": instant(self.noted_at),
        }
