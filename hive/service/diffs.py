"""What a proposal changes, over what is deployed now: commits, files, and packages once built."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hive.adapters.world import World
from hive.domain.closure import ClosureDifference, difference
from hive.domain.job import Job, JobId
from hive.domain.names import AgentName, Rev
from hive.domain.target import Recorded
from hive.errors import Refused
from hive.jobs.catalog import PROPOSING
from hive.queue.drive import find, refuse_elsewhere
from hive.queue.host import Host
from hive.service.ground import looked_at
from hive.steps.look import rev_of, system_of
from hive.steps.repos import SEEDED
from hive.steps.tags import PROPOSAL, tag


@dataclass(frozen=True, slots=True)
class FileChange:
    letter: str
    """A: added, D: deleted, M: modified, T: another type."""
    path: str


@dataclass(frozen=True, slots=True)
class DiffView:
    job: JobId
    agent: AgentName
    state: str
    rev: Rev
    deployed: Rev
    commits: tuple[str, ...]
    """New with it, newest first."""
    undone: tuple[str, ...]
    """Deployed, and not in it: it does not descend from what is deployed."""
    files: tuple[FileChange, ...]
    patch: str
    system: Path | None
    """None where it is not built."""
    closure: ClosureDifference | None

    @property
    def descends(self) -> bool:
        return not self.undone

    def as_json(self) -> dict[str, Any]:
        return {
            "job": self.job,
            "agent": self.agent,
            "state": self.state,
            "rev": self.rev,
            "deployed": self.deployed,
            "descends": self.descends,
            "commits": list(self.commits),
            "undone": list(self.undone),
            "files": [asdict(change) for change in self.files],
            "patch": self.patch,
            "closure": str(self.system) if self.system else None,
            "packages": self.closure and self.closure.as_json(),
        }


def of(host: Host, job_id: JobId) -> DiffView:
    """Raises `Refused` elsewhere than on the job's node, and for what proposes nothing."""
    job = find(host, job_id)
    refuse_elsewhere(host, job.node, "this looks at a host")
    if job.kind not in PROPOSING or job.agent is None:
        raise Refused(
            f"job {job_id} proposes nothing: it is a {job.kind}",
            code="no-diff",
            hint=f"see `hive job show {job_id}`",
        )
    world, agent = looked_at(host), job.agent
    applied, rev, deployed = world.layout.applied(agent), Rev(job.ask["rev"]), _deployed(world, job)
    system = _system(job)
    return DiffView(
        job=job.id,
        agent=agent,
        state=job.state.value,
        rev=rev,
        deployed=deployed,
        commits=world.git.commits(applied, deployed, rev),
        undone=world.git.commits(applied, rev, deployed),
        files=tuple(FileChange(*one) for one in world.git.changed_files(applied, deployed, rev)),
        patch=world.git.changes(applied, deployed, rev),
        system=system,
        closure=_closure(world, agent, system),
    )


def _deployed(world: World, job: Job) -> Rev:
    """What it would be deployed over: of an agent that never was, what it was seeded with."""
    assert job.agent is not None
    applied = world.layout.applied(job.agent)
    pinned = world.git.ref(applied, tag(PROPOSAL, job.id))
    deployed = rev_of(world, Recorded(job.agent)) or world.git.ref(applied, SEEDED)
    if pinned is None or deployed is None:
        raise Refused(
            f"job {job.id} has not pinned its commit yet",
            code="no-diff",
            hint=f"see `hive job show {job.id}`",
        )
    return deployed


def _system(job: Job) -> Path | None:
    said = (job.result or {}).get("closure") or (job.result or {}).get("system")
    return Path(said) if said else None


def _closure(world: World, agent: AgentName, system: Path | None) -> ClosureDifference | None:
    if system is None or not world.files.exists(system):
        return None
    before = system_of(world, Recorded(agent))
    known = world.nix.closure(before) if before else None
    return difference(known, world.nix.closure(system))
