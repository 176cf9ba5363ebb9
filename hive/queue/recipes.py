"""From a row to what its job does."""

from __future__ import annotations

from hive.domain.approval import Policy
from hive.domain.job import Job
from hive.jobs import catalog
from hive.jobs.notify import Notify
from hive.jobs.recipe import Recipe
from hive.store import agents, notifiers
from hive.store.session import Database


def recipe_of(database: Database, policy: Policy, job: Job) -> Recipe:
    """Raises `Fault` where the row and this hive do not fit each other."""
    agent = notifier = None
    if job.agent is not None:
        with database.read() as session:
            agent = agents.find(session, job.node, job.agent)
    if job.kind == Notify.kind:
        with database.read() as session:
            notifier = notifiers.find(session, job.ask["notifier"])
    return catalog.recipe(job, agent, notifier=notifier, builds_first=policy.builds_first)
