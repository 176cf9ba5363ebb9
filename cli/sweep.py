"""`hive sweep`: look at every agent of the node, and enqueue what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.boundary import asked, boundary, node_name
from cli.follow import AsJson, Key, OnNode, follow
from cli.hive import is_served, newest
from hive.domain.job import PENDING
from hive.errors import Refused

if TYPE_CHECKING:
    from cli.hive import Hive
    from hive.client.answers import Job

ALL: Final = 100_000
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
    node_name(node)
    if all_nodes and (node or key):
        with boundary():
            raise Refused("--all-nodes takes no --node and no --key", code="usage")
    with asked() as hive:
        if all_nodes:
            found = hive.sweep_all()["items"]
        else:
            found = [hive.submit("reconcile", key=key, node=node)]
        for job in found:
            _see_to(hive, job, wait=wait, as_json=as_json)


def _see_to(hive: Hive, job: Job, *, wait: bool, as_json: bool) -> None:
    """Another node's is left to it, and one that a worker takes, unless it is waited for."""
    node = hive.node
    is_ours = job["node"] == node and not is_served(hive, node)
    follow(hive, job, detach=not (wait or is_ours), as_json=as_json)
    if is_ours:
        for other in _left(hive, node):
            hive.see_through(other["id"])


def _left(hive: Hive, node: str) -> list[Job]:
    """What sweeps have enqueued for this node, and what has not ended: one was killed, perhaps."""
    from hive.domain.roster import SWEEP

    live = [job for state in PENDING for job in newest(hive, state=state, limit=ALL)]
    asked_by_sweeps = (job for job in live if job["requested_by"] == SWEEP and job["node"] == node)
    return sorted(asked_by_sweeps, key=lambda job: job["id"])
