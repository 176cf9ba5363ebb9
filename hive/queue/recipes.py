"""From a row to what its job does."""

from __future__ import annotations

from hive.adapters.clock import Clock
from hive.domain.agent import AgentSettings
from hive.domain.approval import Policy
from hive.domain.job import Job
from hive.jobs import catalog
from hive.jobs.catalog import Known
from hive.jobs.recipe import Recipe
from hive.jobs.reconcile import Reconcile
from hive.jobs.tidy import Tidy
from hive.jobs.update_base import UpdateBase
from hive.steps.tidy import DEPLOYS
from hive.store import agents, jobs, rosters
from hive.store.session import Database, Session


def recipe_of(
    database: Database, policy: Policy, defaults: AgentSettings, clock: Clock, job: Job
) -> Recipe:
    """Raises `Fault` where the row and this hive do not fit each other."""
    with database.read() as session:
        agent = agents.find(session, job.node, job.agent) if job.agent is not None else None
        known = _known(session, defaults, clock, job)
    return catalog.recipe(job, agent, builds_first=policy.builds_first, known=known)


def _known(session: Session, defaults: AgentSettings, clock: Clock, job: Job) -> Known:
    """What else of the database this kind of job is handed."""
    match job.kind:
        case Reconcile.kind:
            seen = rosters.roster(session, job.node, clock.now(), beside=catalog.BESIDE)
            return Known(roster=seen, settings=defaults)
        case Tidy.kind if job.agent is not None:
            kept = rosters.deployed(session, job.node, job.agent, last=DEPLOYS)
            live = jobs.live_of(session, job.node, job.agent)
            return Known(kept=kept, waits=any(one.is_waiting for one in live))
        case UpdateBase.kind:
            return Known(failed_on=rosters.failed_on(session, job.node))
        case _:
            return Known()
