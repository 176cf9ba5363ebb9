"""From a row to what its job does."""

from __future__ import annotations

from hive.domain.job import Job
from hive.errors import Fault
from hive.jobs import catalog
from hive.jobs.recipe import Recipe
from hive.store import agents
from hive.store.session import Database


def recipe_of(database: Database, job: Job) -> Recipe:
    """Raises `Fault` where the row and this hive do not fit each other."""
    if job.agent is None:
        raise Fault(f"job {job.id} has no agent")
    with database.read() as session:
        agent = agents.find(session, job.node, job.agent)
    if agent is None:
        raise Fault(f"job {job.id} is about an agent that has no row: {job.agent}")
    return catalog.recipe(job, agent)
