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
    live: Mapping[AgentName, tuple[Job, ...]] = field(default_factory=dict)
    """The jobs of each agent that have not ended."""
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
        return any(not job.is_waiting for job in self._live(agent))

    def runs(self, agent: AgentName) -> bool:
        """A job of it is at work; what is only queued may wait for long, as for room on a disk."""
        return any(job.state is JobState.RUNNING for job in self._live(agent))

    def given_up(self, agent: AgentName) -> JobId | None:
        """The job by which the last sweep tried to mend it, and which failed."""
        return _failed(self.last.get(agent))

    def failed_at(self, agent: AgentName, kind: str) -> JobId | None:
        """As `given_up`, where that is the last of all that was done, and of this kind."""
        newest = self.newest.get(agent)
        return _failed(newest) if newest and newest.kind == kind else None

    def waits(self, agent: AgentName) -> bool:
        """A job of it waits at a gate."""
        return any(job.is_waiting for job in self._live(agent))

    def _live(self, agent: AgentName) -> tuple[Job, ...]:
        return self.live.get(agent, ())


def _failed(job: Job | None) -> JobId | None:
    return job.id if job and job.has_failed and job.requested_by == SWEEP else None
