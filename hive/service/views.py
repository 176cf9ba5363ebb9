"""What a face shows of jobs and agents: values, and their JSON with keys that stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hive.domain.agent import AgentSettings, Desired
from hive.domain.instant import instant
from hive.domain.job import Job, JobId, StepRecord
from hive.domain.names import AgentName, ContainerName, NodeName, Rev


@dataclass(frozen=True, slots=True)
class JobView:
    """A job, and the steps of its last attempt."""

    job: Job
    steps: tuple[StepRecord, ...]
    note: str | None = None
    """What keeps it from going on just now."""

    def as_json(self) -> dict[str, Any]:
        job, error = self.job, self.job.error
        return {
            "id": job.id,
            "kind": job.kind,
            "node": job.node,
            "agent": job.agent,
            "state": job.state.value,
            "attempt": job.attempt,
            "steps": [_step(step) for step in self.steps],
            "result": job.result,
            "error": error and {"code": error.code, "message": error.message, "hint": error.hint},
            "ask": dict(job.ask),
            "requested_by": job.requested_by,
            "approved_by": job.approved_by,
            "approved_at": instant(job.approved_at),
            "created_at": instant(job.created_at),
            "started_at": instant(job.started_at),
            "finished_at": instant(job.finished_at),
            "note": self.note,
            "failures": job.failures,
            "losses": job.losses,
            "restoring": job.restoring,
            "worker": job.worker,
            "parent": job.parent_id,
            "superseded_by": job.superseded_by,
            "run_at": instant(job.run_at),
            "cancel_requested_at": instant(job.cancel_requested_at),
        }


@dataclass(frozen=True, slots=True)
class DeployedView:
    """The job that deployed, and the commit that it deployed."""

    job: JobId | None
    sha: Rev


@dataclass(frozen=True, slots=True)
class AgentView:
    """An agent: what is wanted of it, and what is so on its host."""

    name: AgentName
    node: NodeName
    container: ContainerName
    port: int
    url: str | None
    desired: Desired
    running: bool | None
    """None: on another node, where this one cannot look."""
    state: str
    """The unit's, in systemd's word."""
    privileged: bool
    system: Path | None
    deployed: DeployedView | None
    job: JobId | None
    failed_at: datetime | None
    settings: AgentSettings
    """The operator's; `model` and `allowed_tools` win over what `agent.nix` says."""

    def as_json(self) -> dict[str, Any]:
        deployed = self.deployed
        return {
            "name": self.name,
            "node": self.node,
            "container": self.container,
            "port": self.port,
            "url": self.url,
            "desired": self.desired.value,
            "running": self.running,
            "state": self.state,
            "privileged": self.privileged,
            "system": str(self.system) if self.system else None,
            "deployed": deployed and {"job": deployed.job, "sha": deployed.sha},
            "job": self.job,
            "failed_at": instant(self.failed_at),
            "settings": self.settings.as_json(),
        }


def _step(step: StepRecord) -> dict[str, Any]:
    return {
        "name": step.name,
        "state": step.state.value,
        "because": step.because,
        "seconds": step.seconds,
    }
