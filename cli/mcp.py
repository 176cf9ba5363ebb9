"""The tools of an agent, inside its container."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.boundary import boundary

SOCKET = Path("/run/hive/hive.sock")


def mcp(
    socket: Annotated[
        Path, typer.Option("--socket", metavar="PATH", help="The agent's own socket.")
    ] = SOCKET,
) -> None:
    """Tools for the agent in this container: an MCP server on stdin and stdout."""
    with boundary():
        from hive.client import Client
        from hive.tools.server import serve

        serve(Client.at(socket.absolute()))
