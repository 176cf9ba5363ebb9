"""What a face may ask about the node as a whole: a sweep, and what it would find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hive.domain.job import Job
from hive.domain.names import NodeName
from hive.jobs import catalog
from hive.jobs.survey import Survey, survey
from hive.queue import of_node, submit
from hive.queue.drive import refuse_elsewhere
from hive.queue.host import Host
from hive.queue.submit import Submitted
from hive.service.ground import looked_at
from hive.service.lifecycle import LOOKS, Asked
from hive.store import rosters


@dataclass(frozen=True, slots=True)
class SweepView:
    """What a sweep finds right now."""

    survey: Survey

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
            "reports": [
                {"kind": one.kind, "agent": one.agent, "said": one.body} for one in found.reports
            ],
        }  # fmt: skip


def sweep(host: Host, asked: Asked) -> Submitted:
    """A look at every agent of a node, as a job."""
    return submit.submit(host, of_node.sweep(asked.at(host), by=asked.by, key=asked.key))


def sweep_all(host: Host, asked: Asked) -> list[Job]:
    """One for each node that has agents, or was ever heard of."""
    with host.database.read() as session:
        known = of_node.nodes(session, host.node)
    return [submit.submit(host, of_node.sweep(node, by=asked.by)).job for node in known]


def planned(host: Host, *, node: NodeName | None = None) -> SweepView:
    """What a sweep would find right now; nothing is touched."""
    refuse_elsewhere(host, node or host.node, LOOKS)
    world = looked_at(host)
    with host.database.read() as session:
        seen = rosters.roster(session, host.node, host.clock.now(), beside=catalog.BESIDE)
    return SweepView(survey(world, seen))
