"""What happened: told in the same transaction as the move that it tells, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from hive.domain.instant import instant
from hive.domain.job import JobId
from hive.domain.names import AgentName, NodeName

FENCED: Final = "job.fenced"
"""A write was refused, as another attempt has the job."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that has no place in the sequence yet."""

    at: datetime
    kind: str
    """`job.<move>`, or what else happened, in words with dots."""
    node: NodeName
    job_id: JobId | None = None
    agent: AgentName | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One row: `seq` only rises, and who reads behind a number misses none."""

    seq: int
    at: datetime
    kind: str
    node: NodeName
    job_id: JobId | None
    agent: AgentName | None
    data: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """By keys that stay; the instant in UTC, to the millisecond."""
        return {
            "seq": self.seq,
            "at": instant(self.at),
            "kind": self.kind,
            "node": self.node,
            "agent": self.agent,
            "job": self.job_id,
            "data": dict(self.data),
        }
