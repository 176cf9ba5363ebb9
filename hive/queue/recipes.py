"""From a row to what its job does."""

from __future__ import annotations

from hive.domain.approval import Policy
from hive.domain.job import Job
from hive.jobs import catalog
from hive.jobs.recipe import Recipe
from hive.queue.prune import OldRows, Prune
from hive.store import agents
from hive.store.session import Database


def recipe_of(database: Database, policy: Policy, job: Job) -> Recipe:
    """Raises `Fault` where the row and this hive do not fit each other."""
    agent = None
    if job.agent is not None:
        with database.read() as session:
            agent = agents.find(session, job.node, job.agent)
    past = OldRows(Prune(database))
    return catalog.recipe(job, agent, builds_first=policy.builds_first, past=past)
