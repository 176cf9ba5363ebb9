"""The verb by which an agent comes to be."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.boundary import agent_name, asked, node_name
from cli.follow import AsJson, Detach, Key, OnNode, submitted

Name = Annotated[str, typer.Argument(metavar="NAME", help="1 to 9 of a-z, 0-9 and -.")]


def spawn(
    name: Name,
    key: Key = None,
    node: OnNode = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Make an agent, from nothing to an answer on its port. Twice is once."""
    agent_name(name), node_name(node)
    with asked() as hive:
        made = hive.submit("spawn", name, key=key, node=node)
        submitted(hive, made, detach=detach, as_json=as_json)
