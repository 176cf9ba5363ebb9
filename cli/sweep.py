"""`hive sweep`: look at every agent of the node, and enqueue what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.boundary import boundary, connected, node_name, requester
from cli.follow import AsJson, Key, OnNode, follow
from hive.errors import Refused

if TYPE_CHECKING:
    from hive.domain.job import Job
    from hive.queue.host import Host

Wait = Annotated[
    bool, typer.Option("--wait", help="Until it has ended, and all that it has enqueued.")
]
AllNodes = Annotated[bool, typer.Option("--all-nodes", help="One for each node of the fleet.")]


def sweep(
    wait: Wait = False,
    all_nodes: AllNodes = False,
    key: Key = None,
    node: OnNode = None,
    as_json: AsJson = False,
) -> None:
    """Look at every agent of the node, and enqueue a job for each that differs.

    Where no worker serves the node, this command does the work.
    """
    where = node_name(node)
    if all_nodes and (node or key):
        with boundary():
            raise Refused("--all-nodes takes no --node and no --key", code="usage")
    with connected() as host:
        from hive.service import sweeps
        from hive.service.lifecycle import Asked

        if all_nodes:
            found = sweeps.sweep_all(host, Asked(requester()))
        else:
            found = [sweeps.sweep(host, Asked(requester(), key, where))[0]]
        for job in found:
            _see_to(host, job, wait=wait, as_json=as_json)


def _see_to(host: Host, job: Job, *, wait: bool, as_json: bool) -> None:
    """Another node's is left to it, and one that a worker takes, unless it is waited for."""
    from hive.service import jobs, sweeps

    is_ours = job.node == host.node and not jobs.is_served(host)
    follow(host, job, detach=not (wait or is_ours), as_json=as_json)
    for other in sweeps.left(host) if is_ours else ():
        jobs.run(host, other.id)
