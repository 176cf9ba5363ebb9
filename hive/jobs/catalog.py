"""Every kind of job that hive knows."""

from __future__ import annotations

from hive.domain.agent import Agent
from hive.domain.job import Job
from hive.domain.names import AgentName, NodeName
from hive.errors import Fault
from hive.jobs.recipe import Recipe
from hive.jobs.spawn import Spawn

KINDS = (Spawn.kind,)


def recipe(job: Job, agent: Agent) -> Recipe:
    """The recipe of a job, with what the database knows of its agent handed in."""
    match job.kind:
        case Spawn.kind:
            return Spawn(agent.name, agent.settings, agent.desired, job.id)
        case _:
            raise Fault(f"job {job.id} is of a kind that this hive does not know: {job.kind}")


def lock_of(node: NodeName, agent: AgentName) -> str:
    """The lock that one running job of an agent holds."""
    return f"agent:{node}/{agent}"
