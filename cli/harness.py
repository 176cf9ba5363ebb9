"""What runs in a container whose agent brings nothing of its own."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.boundary import boundary
from cli.mcp import SOCKET


def harness(
    socket: Annotated[
        Path, typer.Option("--socket", metavar="PATH", help="The agent's own socket.")
    ] = SOCKET,
    address: Annotated[
        str, typer.Option("--address", metavar="IP", help="Where its port is answered.")
    ] = "127.0.0.1",
) -> None:
    """The default harness: notes and answers messages in a container, and thinks nothing."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s"
    )
    with boundary():
        from hive.client import Client
        from hive.harness.identity import Identity
        from hive.harness.run import run

        run(Identity.from_env(os.environ), Client.at(socket.absolute()), address)
