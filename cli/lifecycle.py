"""The verb by which an agent comes to be."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.boundary import agent_name, connected, node_name, requester, say
from cli.follow import AsJson, Detach, Key, OnNode, follow

Name = Annotated[str, typer.Argument(metavar="NAME", help="1 to 9 of a-z, 0-9 and -.")]


def spawn(
    name: Name,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Make an agent, from nothing to an answer on its port. Twice is once."""
    checked, where = agent_name(name), node_name(node)
    with connected() as host:
        from hive.service import agents

        job, is_new = agents.spawn(host, checked, requested_by=requester(), key=key, node=where)
        if not is_new:
            say(f"job {job.id} does this already")
        follow(host, job, detach=detach, as_json=as_json)
