"""From a row to what its job does."""

from __future__ import annotations

from dataclasses import dataclass

from hive.adapters.clock import Clock
from hive.domain.agent import AgentSettings
from hive.domain.approval import Policy
from hive.domain.job import Job
from hive.domain.notifier import NotifierName
from hive.jobs import catalog
from hive.jobs.catalog import Known
from hive.jobs.notify import Notify
from hive.jobs.prune import Prune
from hive.jobs.recipe import Recipe
from hive.jobs.reconcile import Reconcile
from hive.jobs.tidy import Tidy
from hive.jobs.update_base import UpdateBase
from hive.queue import prune
from hive.store import agents, jobs, messages, notifiers, rosters
from hive.store.session import Database, Session


@dataclass(frozen=True, slots=True)
class Recipes:
    """What each job does, with what the database knows of it handed in."""

    database: Database
    clock: Clock
    policy: Policy
    defaults: AgentSettings
    """Of an agent that is new."""
    messages_kept: int = messages.KEPT

    def of(self, job: Job) -> Recipe:
        """Raises `Fault` where the row and this hive do not fit each other."""
        with self.database.read() as session:
            agent = agents.find(session, job.node, job.agent) if job.agent is not None else None
            known = self._known(session, job)
        return catalog.recipe(job, agent, builds_first=self.policy.builds_first, known=known)

    def _known(self, session: Session, job: Job) -> Known:
        """What else this kind of job is handed."""
        match job.kind:
            case Reconcile.kind:
                now = self.clock.now()
                seen = rosters.roster(session, job.node, now, beside=catalog.BESIDE)
                return Known(roster=seen, settings=self.defaults)
            case Tidy.kind if job.agent is not None:
                kept = rosters.deployed(session, job.node, job.agent)
                live = jobs.live_of(session, job.node, job.agent)
                return Known(kept=kept, waits=any(one.is_waiting for one in live))
            case UpdateBase.kind:
                return Known(failed_on=rosters.failed_on(session, job.node))
            case Prune.kind:
                old = prune.Prune(self.database, messages_kept=self.messages_kept)
                return Known(past=prune.OldRows(old))
            case Notify.kind:
                return Known(notifier=notifiers.known(session, NotifierName(job.ask["notifier"])))
            case _:
                return Known()
