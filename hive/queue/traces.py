"""What a verdict leaves to do on the agent's host, done there: the row only said that it is due."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hive.adapters.halt import Halt
from hive.adapters.shell import silent
from hive.adapters.world import World
from hive.domain.agent import Desired
from hive.domain.job import CANCEL, DENY, FAIL, Job
from hive.domain.names import Rev
from hive.domain.tally import Tally
from hive.errors import HiveError, Refused
from hive.jobs.catalog import ENDING, PROPOSING
from hive.queue.claim import locked
from hive.queue.host import Host
from hive.steps.tags import plant_verdict
from hive.store import agents, jobs, verdicts
from hive.store.session import Session

LONGEST: Final = 4000

log = logging.getLogger("hive.traces")


@dataclass(frozen=True, slots=True)
class Traces:
    """Each verdict on a job of this node, seen to under the lock of its agent."""

    host: Host

    def run_once(self, now: datetime) -> Tally:  # noqa: ARG002 - due is due
        with self.host.database.read() as session:
            due = verdicts.tags_due(session, self.host.node)
        return Tally(traced=sum(self._traced(job, verdict) for job, verdict in due))

    def _traced(self, job: Job, verdict: str) -> bool:
        """False while the agent's lock is someone else's: then later."""
        with locked(self.host, job.lock) as locks:
            if locks is None:
                return False
            try:
                world = self.host.world(silent, locks, Halt())
                is_new = verdict == CANCEL.end.value and self._left_nothing(job, world)
                is_there = job.kind in ENDING and _has_container(job, world)
                _plant(job, verdict, world)
            except HiveError as error:
                log.warning("trace.not-made job=%s because=%s", job.id, error.message)
                return False
            with self.host.database.write() as session:
                if is_new and job.agent and not jobs.live_of(session, job.node, job.agent):
                    agents.forget(session, job.node, job.agent)
                if is_there:
                    self._take_back(session, job)
                verdicts.tag_done(session, job.id, verdict)
        return True

    def _left_nothing(self, job: Job, world: World) -> bool:
        """Of an agent that was to be new nothing was made: its row may go, if it has not gone."""
        if not self._has_row(job):
            return False
        return self.host.recipe(job).left_nothing(world)

    def _take_back(self, session: Session, job: Job) -> None:
        """What was wanted of it before is wanted again, unless somebody wants something else.

        Where its port was taken meanwhile it cannot be: it stays as it is.
        """
        found = job.agent and agents.find(session, job.node, job.agent)
        live = jobs.live_of(session, job.node, job.agent) if job.agent else []
        if found and found.desired is Desired.DESTROYED and not {one.kind for one in live} & ENDING:
            was = Desired((job.seen or {}).get("was", Desired.RUNNING))
            with suppress(Refused):
                agents.set_desired(session, job.node, found.name, was, now=self.host.clock.now())

    def _has_row(self, job: Job) -> bool:
        with self.host.database.read() as session:
            return job.agent is not None and bool(agents.find(session, job.node, job.agent))


def _has_container(job: Job, world: World) -> bool:
    """Of an agent that was to go nothing went."""
    return job.agent is not None and world.containers.conf(job.agent.container) is not None


def _plant(job: Job, verdict: str, world: World) -> None:
    """In applied, where a proposal has its trail."""
    if job.agent is None or job.kind not in PROPOSING:
        return
    world.git.clear_corpses(world.layout.applied(job.agent))
    name = DENY.end.value if verdict == DENY.end.value else FAIL.end.value
    plant_verdict(world, job.agent, name, job.id, Rev(job.ask["rev"]), _end_of(job, verdict))


def _end_of(job: Job, verdict: str) -> str:
    """The code, and the end of the error."""
    if job.superseded_by is not None:
        return f"superseded: by job {job.superseded_by}\n"
    if job.error is None:
        return f"{verdict}\n"
    return f"{job.error.code}: {job.error.message[-LONGEST:]}\n"
