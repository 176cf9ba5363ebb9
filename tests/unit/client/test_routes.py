"""Each route of the table, by the method that asks for it: what is sent, and what comes back."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from hive.client import Client
from hive.domain.job import JobState
from hive.errors import Refused
from tests import fake_api
from tests.fake_api import FakeApi, Said, an_api
from tests.unit.client import samples
from tests.unit.client.samples import (
    a_job,
    a_line,
    a_message,
    a_token,
    an_agent,
    an_event,
    me,
    sent,
)

Ask = Callable[[Client], Any]
MINUTE = timedelta(minutes=1)
NONE: dict[str, str] = {}


def page(*items: Any, following: str | None = None) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"items": list(items), "next": following}


SCHEDULE = sent(samples.SCHEDULE.as_json())
NODE = sent(samples.NODE.as_json())
WORKER = sent(samples.WORKER.as_json())
KEPT = sent(samples.KEPT.as_json())
GONE = Said(status=204)
WORD = {"at": "2026", "kind": "agent.status", "agent": "alice", "data": {"text": "busy"}}
STEP = {"name": "Built", "holds": True, "because": "it is"}
SWEEP = {"agents": 2, "differ": [], "orphans": [], "reports": []}
ROUTES: list[tuple[str, Ask, dict[str, str], Any, Any]] = [
    # line, how it is asked, the query, the body, the answer
    ("GET /v1/whoami", lambda c: c.whoami(), NONE, None, me()),
    ("GET /v1/status", lambda c: c.status(), NONE, None, sent(samples.STATUS.as_json())),
    ("POST /v1/status", lambda c: c.tell_status("busy"), NONE, {"text": "busy"}, WORD),
    ("GET /v1/agents", lambda c: c.agents(), NONE, None, page(an_agent())),
    ("GET /v1/agents/alice", lambda c: c.agent("alice"), NONE, None, an_agent()),
    (
        "PATCH /v1/agents/alice",
        lambda c: c.set_agent("alice", "model=x", "health=port"),
        NONE,
        {"settings": ["model=x", "health=port"]},
        an_agent(limit=None),
    ),
    ("GET /v1/kept", lambda c: c.kept(), NONE, None, page(KEPT)),
    ("GET /v1/jobs", lambda c: c.jobs(), NONE, None, page(a_job(), following="7")),
    (
        "GET /v1/jobs",
        lambda c: c.jobs(
            state=JobState.FAILED, agent="alice", kind="apply", limit=5, cursor="7"
        ),
        {"state": "failed", "agent": "alice", "kind": "apply", "limit": "5", "cursor": "7"},
        None,
        page(),
    ),
    (
        "POST /v1/jobs",
        lambda c: c.submit("propose", "alice", rev="abcdef0", message="why"),
        NONE,
        {"kind": "propose", "agent": "alice", "rev": "abcdef0", "message": "why"},
        a_job(new=True),
    ),
    (
        "POST /v1/jobs",
        lambda c: c.submit("rollback", "alice", node="there", to=3, restart="never"),
        NONE,
        {"kind": "rollback", "agent": "alice", "node": "there", "to": 3, "restart": "never"},
        a_job(new=False),
    ),
    ("POST /v1/jobs", lambda c: c.rebuild_all(), NONE, {"kind": "rebuild"}, page(a_job())),
    (
        "POST /v1/jobs",
        lambda c: c.sweep_all(),
        NONE,
        {"kind": "reconcile", "all_nodes": True},
        page(a_job()),
    ),
    ("GET /v1/jobs/7", lambda c: c.job(7), NONE, None, a_job()),
    ("GET /v1/jobs/7/children", lambda c: c.children(7), NONE, None, page(a_job())),
    ("POST /v1/jobs/7/cancel", lambda c: c.cancel(7), NONE, {}, a_job()),
    ("POST /v1/jobs/7/retry", lambda c: c.retry(7), NONE, {}, a_job()),
    ("GET /v1/pending", lambda c: c.pending(), NONE, None, page(a_job())),
    ("GET /v1/jobs/7/diff", lambda c: c.diff(7), NONE, None, sent(samples.DIFF.as_json())),
    (
        "POST /v1/jobs/7/approve",
        lambda c: c.approve(7, expected="/nix/store/x"),
        NONE,
        {"expected": "/nix/store/x"},
        a_job(),
    ),
    ("POST /v1/jobs/7/deny", lambda c: c.deny(7, note="no"), NONE, {"note": "no"}, a_job()),
    ("POST /v1/jobs/7/withdraw", lambda c: c.withdraw(7), NONE, {}, a_job()),
    (
        "GET /v1/plan/rollback",
        lambda c: c.plan("rollback", agent="alice", to=3),
        {"agent": "alice", "to": "3"},
        None,
        page(STEP),
    ),
    (
        "GET /v1/plan/reconcile",
        lambda c: c.plan_sweep(node="there"),
        {"node": "there"},
        None,
        SWEEP,
    ),
    (
        "GET /v1/jobs/7/logs",
        lambda c: c.logs(7, after=4, limit=2),
        {"after": "4", "limit": "2"},
        None,
        page(a_line()),
    ),
    (
        "GET /v1/events",
        lambda c: c.events(after=0, kind="job.finish", agent="alice", job=7, limit=9),
        {"after": "0", "kind": "job.finish", "agent": "alice", "job": "7", "limit": "9"},
        None,
        page(an_event()),
    ),
    ("GET /v1/inbox/operator", lambda c: c.inbox("operator"), NONE, None, page(a_message())),
    (
        "GET /v1/inbox/alice",
        lambda c: c.inbox("alice", acked=True, limit=3, node="there"),
        {"acked": "true", "limit": "3", "node": "there"},
        None,
        page(),
    ),
    ("GET /v1/inbox/alice/count", lambda c: c.waiting("alice"), NONE, None, {"waiting": 3}),
    (
        "POST /v1/inbox/alice/take",
        lambda c: c.take("alice", limit=3, wait=MINUTE),
        NONE,
        {"limit": 3, "wait": 60.0},
        page(a_message()),
    ),
    (
        "POST /v1/messages",
        lambda c: c.send("bob", "hi", reply_to=4),
        NONE,
        {"to": "bob", "text": "hi", "reply_to": 4},
        a_message(),
    ),
    ("POST /v1/messages/ack", lambda c: c.ack([4, 5]), NONE, {"ids": [4, 5]}, {"acked": 2}),
    ("GET /v1/schedules", lambda c: c.schedules(), NONE, None, page(SCHEDULE)),
    (
        "POST /v1/schedules",
        lambda c: c.add_schedule("night", "0 3 * * *", "sweep"),
        NONE,
        {
            "name": "night", "cron": "0 3 * * *", "verb": "sweep", "zone": "UTC",
            "catch_up": "last",
        },
        SCHEDULE | {"new": True},
    ),
    ("DELETE /v1/schedules/night", lambda c: c.remove_schedule("night"), NONE, None, GONE),
    ("POST /v1/schedules/night/enable", lambda c: c.enable_schedule("night"), NONE, {}, SCHEDULE),
    ("POST /v1/schedules/night/disable", lambda c: c.disable_schedule("night"), NONE, {}, SCHEDULE),
    ("POST /v1/schedules/night/run", lambda c: c.run_schedule("night"), NONE, {}, page(a_job())),
    ("GET /v1/workers", lambda c: c.workers(), NONE, None, page(WORKER)),
    ("GET /v1/nodes", lambda c: c.nodes(), NONE, None, page(NODE)),
    ("POST /v1/nodes/here/pause", lambda c: c.pause("here"), NONE, {}, NODE),
    ("POST /v1/nodes/here/resume", lambda c: c.resume("here"), NONE, {}, NODE),
    ("GET /v1/tokens", lambda c: c.tokens(), NONE, None, page(a_token())),
    (
        "POST /v1/tokens",
        lambda c: c.add_token("agent", agent="alice", expires=MINUTE),
        NONE,
        {"role": "agent", "agent": "alice", "expires": 60},
        a_token(token="hive_1_x"),
    ),
    ("DELETE /v1/tokens/3", lambda c: c.remove_token(3), NONE, None, GONE),
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[FakeApi]:
    with an_api() as api:
        yield api


@pytest.fixture
def api(server: FakeApi) -> FakeApi:
    server.heard.clear()
    server.answers.clear()
    return server


@pytest.mark.parametrize(
    ("line", "ask", "query", "body", "answer"), ROUTES, ids=[route[0] for route in ROUTES]
)
def test_a_method_asks_for_its_route(
    api: FakeApi,
    line: str,
    ask: Ask,
    query: dict[str, str],
    body: Any,  # noqa: ANN401 - JSON
    answer: Any,  # noqa: ANN401 - JSON
) -> None:
    api.on(line, answer)
    assert ask(Client.at(api.place)) == (None if isinstance(answer, Said) else answer)
    (heard,) = api.heard
    assert (heard.line, heard.query, heard.body) == (line, query, body)


def test_every_method_is_asked_here_or_follows_a_stream() -> None:
    asked = {name for _, ask, *_ in ROUTES for name in ask.__code__.co_names}
    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"}
    assert public - asked == {"follow_logs", "follow_events"}


def test_a_name_cannot_lead_to_another_route(api: FakeApi) -> None:
    client = Client.at(api.place)
    for ask in (lambda: client.agent("../jobs"), lambda: client.pause("a/../b")):
        with pytest.raises(Refused, match="is not"):
            ask()
    assert api.heard == []
    api.on("GET /v1/inbox/a%2Fb%3F", page())
    client.inbox("a/b?")
    assert api.asked == ["GET /v1/inbox/a%2Fb%3F"]


def test_who_waits_for_a_message_gives_hive_that_time_on_top(api: FakeApi) -> None:
    def slow(_: fake_api.Heard) -> Any:  # noqa: ANN401 - JSON
        threading.Event().wait(0.4)
        return page(a_message())

    api.on("POST /v1/inbox/alice/take", slow)
    client = Client.at(api.place, within=timedelta(seconds=0.2))
    assert client.take("alice", wait=timedelta(seconds=2))["items"]


def test_hive_is_never_asked_to_wait_longer_than_it_does(api: FakeApi) -> None:
    api.on("POST /v1/inbox/alice/take", page())
    Client.at(api.place).take("alice", wait=timedelta(hours=1))
    assert api.heard[0].body == {"wait": 180.0}
