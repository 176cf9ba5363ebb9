"""What the database knows of one node's agents, as a sweep needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from hive.domain.agent import Agent
from hive.domain.job import Job, JobId, JobState
from hive.domain.names import AgentName, NodeName

DEPLOYS: Final = 3
"""The closures of so many deploys are kept from the collector: a way back needs no build."""
SWEEP = "sweep"
"""Who asks for what a sweep found to do: `sweep`, whoever asked for the sweep."""


@dataclass(frozen=True, slots=True)
class Roster:
    """At one moment: who is wanted, what is under way, and what was tried."""

    node: NodeName
    at: datetime
    agents: tuple[Agent, ...] = ()
    """Every row, those of destroyed agents too."""
    live: tuple[Job, ...] = ()
    """Every job of the node that has not ended."""
    crashes: Mapping[AgentName, tuple[datetime, ...]] = field(default_factory=dict)
    """Those that count still."""
    last: Mapping[AgentName, Job] = field(default_factory=dict)
    """The newest job of each agent that has ended, and was not about what others left."""
    newest: Mapping[AgentName, Job] = field(default_factory=dict)
    """The newest job of each agent that has ended, whatever it was about."""
    kept: Mapping[AgentName, frozenset[Path]] = field(default_factory=dict)
    """Closures of each agent's last deploys, and of what waits for approval."""

    def busy(self, agent: AgentName) -> bool:
        """A job of it is queued or runs: what it finds different, it mends."""
        return any(job.agent == agent and not job.is_waiting for job in self.live)

    def runs(self, agent: AgentName) -> bool:
        """A job of it is at work; what is only queued may wait for long, as for room on a disk."""
        return any(job.agent == agent and job.state is JobState.RUNNING for job in self.live)

    def given_up(self, agent: AgentName) -> JobId | None:
        """The job by which the last sweep tried to mend it, and which failed."""
        return _failed(self.last.get(agent))

    def failed_at(self, agent: AgentName, kind: str) -> JobId | None:
        """As `given_up`, where that is the last of all that was done, and of this kind."""
        newest = self.newest.get(agent)
        return _failed(newest) if newest and newest.kind == kind else None

    def waiting(self, agent: AgentName) -> int:
        """How many jobs of it wait at a gate."""
        return sum(1 for job in self.live if job.agent == agent and job.is_waiting)


def _failed(job: Job | None) -> JobId | None:
    return job.id if job and job.has_failed and job.requested_by == SWEEP else None
