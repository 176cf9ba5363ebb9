"""`hive mcp` as a harness starts it: a process with the protocol on its stdin and stdout."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import mcp
import pytest

from hive.adapters.shell import LocalShell
from tests.fake_api import FakeApi, an_api, problem
from tests.unit.client.samples import a_message, me

WORDS = ("-c", "from cli.app import main; main()", "mcp", "--socket")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with an_api(tmp_path / "hive.sock") as api:
        yield api


def test_an_agent_speaks_to_hive_over_its_own_socket(api: FakeApi) -> None:
    api.on("GET /v1/whoami", me())
    api.on("POST /v1/inbox/alice/take", {"items": [a_message()], "next": None})
    api.on("POST /v1/jobs", problem(403, "not-allowed"))
    told = mcp.StdioServerParameters(
        command=sys.executable, args=[*WORDS, str(api.place)], env=dict(os.environ)
    )

    async def talk() -> None:
        async with mcp.Client(told) as session:
            names = {tool.name for tool in (await session.list_tools()).tools}
            assert names == {"whoami", "set_status", "send", "recv", "ack"}
            assert not (await session.call_tool("recv", {"wait": 0})).is_error
            assert (await session.call_tool("request_spawn", {"agent": "bob"})).is_error

    asyncio.run(talk())
    assert api.asked == ["GET /v1/whoami", "POST /v1/inbox/alice/take"]


def test_who_is_no_agent_is_refused_and_stdout_stays_empty(api: FakeApi) -> None:
    api.on("GET /v1/whoami", me("operator", None))
    ran = LocalShell(os.environ).run(sys.executable, *WORDS, api.place, accept=(2,))
    assert ran.out == ""
    assert "[no-tools]" in ran.tail
