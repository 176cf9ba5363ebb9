from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import mcp
import pytest
from mcp.types import CallToolResult, TextContent

from hive.client import Client
from hive.client.answers import Me
from hive.errors import HiveError, Refused, Transient
from hive.tools import again, agent
from hive.tools.server import _met, server_of
from tests.fake_api import FakeApi, Heard, an_api, problem
from tests.unit.client.samples import a_job, a_line, a_message, an_event, me

OF_AN_AGENT = {"whoami", "set_status", "send", "recv", "ack"}
OF_THE_MANAGER = OF_AN_AGENT | {
    "request_spawn", "request_apply_commit", "get_job", "get_logs", "start", "stop", "restart",
    "update",
}  # fmt: skip
EMPTY: dict[str, Any] = {"items": [], "next": None}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with an_api(tmp_path / "hive.sock") as api:
        yield api


def whose(role: str) -> Me:
    return cast(Me, me(role, "hm1nd" if role == "manager" else "alice"))


def called(api: FakeApi, role: str, tool: str, **said: Any) -> CallToolResult:  # noqa: ANN401 - JSON
    """By a session of the official client, in memory."""

    async def call() -> CallToolResult:
        server = server_of(Client.at(api.place), whose(role))
        async with mcp.Client(server) as session:
            return await session.call_tool(tool, said)

    return asyncio.run(call())


def text(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def tools(role: str) -> list[mcp.Tool]:
    async def ask() -> list[mcp.Tool]:
        async with mcp.Client(server_of(Client.at("/nowhere"), whose(role))) as session:
            return (await session.list_tools()).tools

    return asyncio.run(ask())


@pytest.mark.parametrize(("role", "names"), [("agent", OF_AN_AGENT), ("manager", OF_THE_MANAGER)])
def test_tools_are_those_that_the_socket_has_the_authority_for(role: str, names: set[str]) -> None:
    assert {tool.name for tool in tools(role)} == names


def test_nobody_else_has_tools() -> None:
    with pytest.raises(Refused) as caught:
        server_of(Client.at("/nowhere"), whose("operator"))
    assert caught.value.code == "no-tools"


def test_a_tool_says_what_it_does_and_what_it_takes() -> None:
    for tool in tools("manager"):
        assert (tool.description or "").count(".") >= 1, tool.name
        assert len(tool.description or "") > 40, tool.name
        for name, schema in tool.input_schema.get("properties", {}).items():
            assert "type" in schema or "anyOf" in schema, (tool.name, name)


@pytest.mark.parametrize(
    ("tool", "said", "kind", "body"),
    [
        ("request_spawn", {}, "spawn", {}),
        (
            "request_apply_commit",
            {"commit_ref": "abcdef0", "description": "why"},
            "propose",
            {"rev": "abcdef0", "message": "why"},
        ),
        ("start", {}, "start", {}),
        ("stop", {}, "stop", {}),
        ("restart", {}, "restart", {}),
        ("update", {}, "rebuild", {}),
    ],
)
def test_what_changes_an_agent_is_a_job(
    api: FakeApi, tool: str, said: dict[str, str], kind: str, body: dict[str, str]
) -> None:
    api.on("POST /v1/jobs", a_job(new=True))
    result = called(api, "manager", tool, agent="bob", **said)
    assert not result.is_error
    assert '"id": 7' in text(result)
    assert api.heard[0].body == {"kind": kind, "agent": "bob", **body}


def test_a_job_and_its_log_can_be_read(api: FakeApi) -> None:
    api.on("GET /v1/jobs/7", a_job(state="failed"))
    api.on("GET /v1/jobs/7/logs", {"items": [a_line(seq=8, text="boom")], "next": None})
    assert '"state": "failed"' in text(called(api, "manager", "get_job", job=7))
    log = text(called(api, "manager", "get_logs", job=7, after=3))
    assert "Built out boom" in log
    assert '"after": 8' in log
    assert api.heard[-1].query == {"after": "3", "limit": "200"}


def test_messages_are_taken_sent_and_acknowledged(api: FakeApi) -> None:
    api.on("POST /v1/inbox/alice/take", {"items": [a_message()], "next": None})
    api.on("POST /v1/messages", a_message())
    api.on("POST /v1/messages/ack", {"acked": 1})
    assert '"text": "hello"' in text(called(api, "agent", "recv"))
    assert not called(api, "agent", "send", to="operator", text="hi", reply_to=4).is_error
    assert '"acked": 1' in text(called(api, "agent", "ack", ids=[4]))
    assert api.heard[1].body == {"to": "operator", "text": "hi", "reply_to": 4}


def test_who_one_is_and_what_one_does(api: FakeApi) -> None:
    api.on("GET /v1/whoami", me())
    api.on("POST /v1/status", an_event())
    assert '"role": "agent"' in text(called(api, "agent", "whoami"))
    assert not called(api, "agent", "set_status", text="reading").is_error
    assert api.heard[-1].body == {"text": "reading"}
    said = {"text": "no token", "about": "needs_login"}
    assert not called(api, "agent", "set_status", **said).is_error
    assert api.heard[-1].body == said


def test_a_wait_is_made_of_short_ones_until_there_is_a_message(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "SLICE", 0.05)
    api.on("POST /v1/inbox/hm1nd/take", EMPTY, EMPTY, {"items": [a_message()], "next": None})
    assert '"text": "hello"' in text(called(api, "manager", "recv", wait=100))
    assert [heard.body["wait"] for heard in api.heard] == [0.05] * 3


def test_a_wait_ends_without_a_message(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "LONGEST", 0.2)
    monkeypatch.setattr(agent, "SLICE", 0.1)

    def park(heard: Heard) -> dict[str, Any]:
        asyncio.run(asyncio.sleep(heard.body["wait"]))
        return EMPTY

    api.on("POST /v1/inbox/alice/take", park)
    assert '"messages": []' in text(called(api, "agent", "recv", wait=10_000))
    assert sum(heard.body["wait"] for heard in api.heard) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("wait", [0, -5])
def test_who_does_not_wait_looks_once(api: FakeApi, wait: int) -> None:
    api.on("POST /v1/inbox/alice/take", EMPTY)
    assert not called(api, "agent", "recv", wait=wait).is_error
    assert [heard.body for heard in api.heard] == [{"limit": 10, "wait": 0.0}]


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "not-allowed", "it is so [not-allowed]\nhint: do this"),
        (503, "database-full", "it is so [database-full]\nhint: do this\nThe same may work later."),
        (500, "fault", "it is so [fault]\nhint: do this"),
    ],
)
def test_an_error_is_told_with_its_code_and_hint(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, status: int, code: str, said: str
) -> None:
    monkeypatch.setattr(again, "WAITS", ())
    api.on("POST /v1/jobs", problem(status, code))
    result = called(api, "manager", "stop", agent="hm1nd")
    assert result.is_error
    assert text(result) == said


def test_what_is_asked_again_bears_the_same_key_and_another_request_another(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "WAITS", (0.01, 0.01))
    busy = problem(503, "database-unavailable")
    api.on("POST /v1/messages", busy, busy, a_message())
    api.on("POST /v1/jobs", busy, a_job(new=True))
    assert not called(api, "agent", "send", to="bob", text="hi").is_error
    assert not called(api, "manager", "start", agent="bob").is_error
    sent, asked = api.heard[:3], api.heard[3:]
    assert len({one.headers["Idempotency-Key"] for one in sent}) == 1
    assert len({one.headers["Idempotency-Key"] for one in asked}) == 1
    assert len({one.headers["Idempotency-Key"] for one in api.heard}) == 2


def test_a_name_that_is_none_is_refused_before_anything_is_asked(api: FakeApi) -> None:
    result = called(api, "manager", "stop", agent="../etc")
    assert result.is_error
    assert "[bad-name]" in text(result)
    assert api.heard == []


def test_what_a_tool_does_not_take_is_an_error_and_no_crash(api: FakeApi) -> None:
    for said in ({}, {"job": "seven"}):
        result = called(api, "manager", "get_job", **said)
        assert result.is_error
        assert "get_job" in text(result)


def test_hive_may_be_away_for_a_moment_when_it_begins(api: FakeApi) -> None:
    waited: list[float] = []
    api.on("GET /v1/whoami", problem(503, "database-unavailable"), me())
    assert _met(Client.at(api.place), waited.append)["name"] == "alice"
    assert waited == [1.0]


def test_who_is_refused_does_not_wait(api: FakeApi) -> None:
    waited: list[float] = []
    api.on("GET /v1/whoami", problem(401, "no-token"))
    with pytest.raises(HiveError) as caught:
        _met(Client.at(api.place), waited.append)
    assert not isinstance(caught.value, Transient)
    assert waited == []
