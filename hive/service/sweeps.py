"""What a face may ask about the node as a whole: a sweep, and what it would find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hive.domain.job import Job
from hive.domain.names import NodeName
from hive.domain.roster import SWEEP
from hive.jobs import catalog
from hive.jobs.survey import Survey, survey
from hive.queue import of_node, submit
from hive.queue.drive import refuse_elsewhere
from hive.queue.host import Host
from hive.service.ground import looked_at
from hive.service.lifecycle import LOOKS, Asked, Submitted
from hive.store import jobs, rosters


@dataclass(frozen=True, slots=True)
class SweepView:
    """What a sweep finds right now."""

    survey: Survey

    @property
    def is_nothing(self) -> bool:
        return not self.survey.differences and not self.survey.orphans

    def lines(self) -> list[tuple[str, str, str]]:
        """Agent, kind of job and reason; what is only told comes last."""
        found = self.survey
        return [
            *((one.agent, one.kind or "-", one.because) for one in found.differences),
            *(("-", f"job {job}", "agent state dir missing") for job in found.orphans),
            *((one.agent or "-", "-", one.body) for one in found.reports),
        ]

    def as_json(self) -> dict[str, Any]:
        found = self.survey
        return {
            "agents": found.looked_at,
            "differ": [
                {"agent": one.agent, "job": one.kind, "because": one.because,
                 "wait": one.wait.total_seconds(), "gives_up": one.gives_up}
                for one in found.differences
            ],
            "orphans": list(found.orphans),
            "reports": [{"kind": one.kind, "said": one.body} for one in found.reports],
        }  # fmt: skip


def sweep(host: Host, asked: Asked) -> Submitted:
    """A look at every agent of a node, as a job."""
    return submit.submit(host, of_node.sweep(asked.at(host), by=asked.by, key=asked.key))


def sweep_all(host: Host, asked: Asked) -> list[Job]:
    """One for each node that has agents, or was ever heard of."""
    with host.database.read() as session:
        known = of_node.nodes(session, host.node)
    return [submit.submit(host, of_node.sweep(node, by=asked.by))[0] for node in known]


def left(host: Host) -> list[Job]:
    """What sweeps have enqueued for this node, and what has not ended: one was killed, perhaps."""
    with host.database.read() as session:
        live = jobs.live(session)
    asked = (job for job in live if job.node == host.node and job.requested_by == SWEEP)
    return [job for job in asked if not job.is_waiting]


def planned(host: Host, *, node: NodeName | None = None) -> SweepView:
    """What a sweep would find right now; nothing is touched."""
    refuse_elsewhere(host, node or host.node, LOOKS)
    world = looked_at(host)
    with host.database.read() as session:
        seen = rosters.roster(session, host.node, host.clock.now(), beside=catalog.BESIDE)
    return SweepView(survey(world, seen))
