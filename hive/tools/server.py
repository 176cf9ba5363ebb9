"""The MCP server of an agent: the tools that its socket has the authority for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from typing_extensions import override

from hive.client import Client
from hive.client.answers import Me
from hive.errors import HiveError, Refused, Transient
from hive.tools.agent import AgentTools, Tool
from hive.tools.overseer import ManagerTools

PATIENCE: Final = timedelta(minutes=1)
"""A container may be up before hive answers again."""
AGAIN: Final = 1.0
WELCOME: Final = (
    "hive runs you in a container of your own. With `recv` you wait for messages, with `send` you"
    " answer, with `ack` you say that a message is seen to. An error ends with a code in brackets;"
    " its hint says what to do next."
)


class ToolServer(MCPServer[Any]):
    """Says of an error of hive's what hive says: message, code and hint."""

    @override
    async def call_tool(self, *asked: Any, **named: Any) -> Any:
        try:
            return await super().call_tool(*asked, **named)
        except ToolError as error:
            if isinstance(error.__cause__, HiveError):
                raise ToolError(told(error.__cause__)) from None
            raise


def told(error: HiveError) -> str:
    lines = [f"{error.message} [{error.code}]"]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    if isinstance(error, Transient):
        lines.append("The same may work later.")
    return "\n".join(lines)


def server_of(hive: Client, me: Me) -> ToolServer:
    server = ToolServer("hive", instructions=WELCOME, log_level="WARNING")
    for tool in _tools(hive, me):
        server.add_tool(tool, structured_output=False)
    return server


def _tools(hive: Client, me: Me) -> tuple[Tool, ...]:
    """Raises `Refused`, code `no-tools`, for who is no agent."""
    match me["role"]:
        case "agent":
            return AgentTools(hive, me["agent"] or me["name"]).all
        case "manager":
            return (*AgentTools(hive, me["agent"] or me["name"]).all, *ManagerTools(hive).all)
        case role:
            raise Refused(
                f"these tools are an agent's, and this is the place of a {role}",
                code="no-tools",
                hint="run it inside a container, where /run/hive is the agent's own",
            )


def serve(
    hive: Client, *, wait: Callable[[float], object] = lambda s: threading.Event().wait(s)
) -> None:
    """On stdin and stdout, until stdin ends."""
    server_of(hive, _met(hive, wait)).run("stdio")


def _met(hive: Client, wait: Callable[[float], object]) -> Me:
    until = time.monotonic() + PATIENCE.total_seconds()
    while True:
        try:
            return hive.whoami()
        except Transient:
            if time.monotonic() > until:
                raise
        wait(AGAIN)
