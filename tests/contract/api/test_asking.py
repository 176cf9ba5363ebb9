"""What is asked over the API is what the service does, said as its views say it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from docs.command_line import keys
from hive.api import shapes
from hive.domain.authority import Role
from hive.domain.event import FENCED, NewEvent
from hive.domain.job import JobId
from hive.domain.names import NodeName
from hive.domain.token import Token
from hive.service import jobs as service
from hive.service.diffs import DiffView
from hive.service.fleet import NodeView, WorkerView
from hive.service.inbox import message_as_json
from hive.service.jobs import line_as_json
from hive.service.kept import KeptView
from hive.service.schedules import ScheduleView
from hive.service.status import AgentStatus, Status
from hive.service.tokens import TokenView
from hive.service.views import AgentView, JobView
from hive.store import agents, events, moves
from tests.asking import MIND, Served, a_served_host
from tests.contract.store_samples import NOW, a_running_job, an_agent
from tests.pretend import ALICE, BOB

VIEWS: list[tuple[type[BaseModel], Any]] = [
    (shapes.Job, JobView.as_json), (shapes.Agent, AgentView.as_json),
    (shapes.Worker, WorkerView.as_json), (shapes.Node, NodeView.as_json),
    (shapes.Message, message_as_json), (shapes.Schedule, ScheduleView.as_json),
    (shapes.Token, TokenView.as_json), (shapes.Kept, KeptView.as_json),
    (shapes.Diff, DiffView.as_json), (shapes.Line, line_as_json),
    (shapes.AgentStatus, AgentStatus.as_json), (shapes.Status, Status.as_json),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "view"), VIEWS)
def test_a_shape_has_the_keys_of_its_view(shape: type[BaseModel], view: Any) -> None:  # noqa: ANN401
    named = [field.alias or name for name, field in shape.model_fields.items()]
    assert named == list(keys(view))


def test_a_token_keeps_its_hash_to_itself() -> None:
    assert "digest" in Token.__dataclass_fields__
    assert "digest" not in shapes.Token.model_fields


def test_a_job_is_accepted_with_its_key_and_is_the_same_one_again(served: Served) -> None:
    first = served.operator.post("/jobs", {"kind": "spawn", "agent": "carol"}, key="k1")
    again = served.operator.post("/jobs", {"kind": "spawn", "agent": "carol"}, key="k1")
    assert (first.status, again.status) == (202, 202)
    assert (first.json["new"], again.json["new"]) == (True, False)
    assert first.json["id"] == again.json["id"]
    assert first.json["state"] == "queued"
    other = served.operator.post("/jobs", {"kind": "stop", "agent": "alice"}, key="k1")
    assert (other.status, other.code) == (409, "key-reused")


def test_nobody_uses_up_the_key_of_another(served: Served) -> None:
    asked = {"kind": "stop", "agent": "alice"}
    mind = served.agent(MIND).post("/jobs", asked, key="k")
    operator = served.operator.post("/jobs", {"kind": "stop", "agent": "bob"}, key="k")
    assert (mind.status, operator.status) == (202, 202)


def test_what_the_manager_spawns_waits_for_an_operator_by_its_gate(served: Served) -> None:
    spawned = served.agent(MIND).post("/jobs", {"kind": "spawn", "agent": "carol"}).json
    assert spawned["ask"] == {"gate": True}
    assert spawned["requested_by"] == "hm1nd"
    assert served.operator.post("/jobs", {"kind": "spawn", "agent": "dave"}).json["ask"] == {}


def test_without_a_gate_in_the_policy_the_managers_spawn_passes(tmp_path: Path) -> None:
    with a_served_host(tmp_path, HIVE_APPROVAL="none") as served:
        spawned = served.agent(MIND).post("/jobs", {"kind": "spawn", "agent": "carol"}).json
    assert spawned["ask"] == {}


def test_who_asked_over_the_hosts_socket_is_known_by_the_kernels_word(served: Served) -> None:
    asked = served.operator.post("/jobs", {"kind": "stop", "agent": "alice"}).json
    assert asked["requested_by"] == getpass.getuser()


def test_a_job_is_shown_and_cancelled_and_queued_again(served: Served) -> None:
    ask = served.operator
    number = ask.post("/jobs", {"kind": "restart", "agent": "alice"}).json["id"]
    assert ask.get(f"/jobs/{number}").json == service.show(served.host, JobId(number)).as_json()
    assert ask.post(f"/jobs/{number}/cancel").json["state"] == "cancelled"
    assert ask.post(f"/jobs/{number}/cancel").code == "illegal-move"
    assert ask.post(f"/jobs/{number}/retry").json["state"] == "queued"
    assert ask.get(f"/jobs/{number}/children").items == []
    assert ask.get(f"/jobs/{number}/logs").items == []


def test_jobs_are_paged_newest_first_and_each_is_met_once(served: Served) -> None:
    for _ in range(5):
        for kind in ("stop", "start"):
            made = served.operator.post("/jobs", {"kind": kind, "agent": "alice"}).json["id"]
            served.operator.post(f"/jobs/{made}/cancel")
    met, cursor = [], ""
    while cursor is not None:
        page = served.operator.get(f"/jobs?limit=3{cursor and f'&cursor={cursor}'}")
        met += [one["id"] for one in page.items]
        cursor = page.json["next"]
    assert met == sorted(met, reverse=True)
    assert len(met) == len(set(met)) == 10
    stops = served.operator.get("/jobs?kind=stop&state=cancelled&agent=alice").items
    assert {one["kind"] for one in stops} == {"stop"}
    assert len(stops) == 5


def test_what_waits_is_decided_about_once(served: Served) -> None:
    number = at_its_gate(served, BOB)
    ask = served.operator
    assert [one["id"] for one in ask.get("/pending").items] == [number]
    wrong = ask.post(f"/jobs/{number}/approve", {"expected": "/nix/store/other"})
    assert (wrong.status, wrong.code) == (409, "other-closure")
    approved = ask.post(f"/jobs/{number}/approve", {"expected": "/nix/store/this"})
    assert (approved.status, approved.json["state"]) == (200, "queued")
    assert ask.post(f"/jobs/{number}/approve").code == "illegal-move"
    denied = at_its_gate(served, ALICE)
    assert ask.post(f"/jobs/{denied}/deny", {"note": "no"}).json["state"] == "denied"


def at_its_gate(served: Served, agent: Any) -> int:  # noqa: ANN401 - a name
    """As a worker would leave it there."""
    lock = f"agent:here/{agent}"
    with served.host.database.write() as session:
        job = a_running_job(session, kind="apply", agent=agent, lock=lock, ask={"rev": "0" * 40})
        moves.park(session, job, shown={"closure": "/nix/store/this"}, now=NOW)
    return job.id


@pytest.mark.parametrize(
    ("asked", "says"),
    [({"kind": "fly"}, "kind"), ({"kind": "stop"}, "say which"), ({}, "kind"),
     ({"kind": "stop", "agent": "alice", "force": 1}, "force"),
     ({"kind": "propose", "agent": "alice"}, "rev"),
     ({"kind": "rebuild", "agent": "alice", "restart": "now"}, "restart"),
     ({"kind": "stop", "agent": "No!"}, "name"),
     (b"{", "JSON"), (b"[]", "body")],
)  # fmt: skip
def test_what_cannot_be_asked_so_is_said_in_a_line(served: Served, asked: Any, says: str) -> None:  # noqa: ANN401
    answer = served.operator.post("/jobs", asked)
    assert answer.status == 422
    assert answer.code in ("bad-request", "bad-name")
    assert says in answer.json["detail"]
    assert served.operator.get("/jobs").items == []


def test_all_agents_of_a_node_are_rebuilt_by_a_job_each(served: Served) -> None:
    many = served.operator.post("/jobs", {"kind": "rebuild"})
    assert {one["agent"] for one in many.items} == {"alice", "bob", "hm1nd"}


def test_a_sweep_of_all_nodes_is_one_job_for_each_and_unique_while_it_is_live(
    served: Served,
) -> None:
    with served.host.database.write() as session:
        agents.put(session, an_agent(node=NodeName("there")), now=NOW)
    asked = {"kind": "reconcile", "all_nodes": True}
    first, again = (served.operator.post("/jobs", asked).items for _ in range(2))
    assert {one["node"] for one in first} == {served.host.node, "there"}
    assert [one["id"] for one in again] == [one["id"] for one in first]


def test_settings_are_changed_and_limits_by_a_job(served: Served) -> None:
    changed = served.operator.ask("PATCH", "/v1/agents/alice", {"settings": ["memory_max=4G"]})
    assert changed.json["settings"]["memory_max"] == 4 * 1024**3
    assert changed.json["limit"]["kind"] == "limit"
    plain = served.operator.ask("PATCH", "/v1/agents/alice", {"settings": ["model=opus"]})
    assert plain.json["limit"] is None
    wrong = served.operator.ask("PATCH", "/v1/agents/alice", {"settings": ["x=1"]})
    assert wrong.code == "bad-setting"


def test_agents_nodes_workers_kept_status_and_plans_are_looked_at(served: Served) -> None:
    ask = served.operator
    assert [one["name"] for one in ask.get("/agents").items] == ["alice", "bob", "hm1nd"]
    assert ask.get("/agents/alice").json["node"] == "here"
    assert ask.get("/agents/nobody").code == "no-such-agent"
    assert {one["name"] for one in ask.get("/status").json["agents"]} == {"alice", "bob", "hm1nd"}
    assert ask.get("/kept").items == []
    assert ask.get("/workers").items == []
    assert ask.post("/nodes/here/pause").json["paused_by"]
    assert ask.post("/nodes/here/resume").json["paused_by"] is None
    assert [one["name"] for one in ask.get("/nodes").items] == ["here"]
    assert ask.get("/plan/spawn?agent=carol").items[0]["holds"] is False
    assert ask.get("/plan/stop").code == "bad-request"
    assert "differ" in ask.get("/plan/reconcile").json


def test_messages_are_sent_taken_and_acknowledged(served: Served) -> None:
    alice = served.agent(ALICE)
    sent = served.operator.post("/messages", {"to": "alice", "text": "hello"}, key="m1")
    again = served.operator.post("/messages", {"to": "alice", "text": "hello"}, key="m1")
    assert (sent.status, sent.json["id"]) == (201, again.json["id"])
    assert [one["text"] for one in served.operator.get("/inbox/alice").items] == ["hello"]
    (taken,) = alice.post("/inbox/alice/take").items
    assert taken["from"] == "operator"
    assert alice.post("/inbox/alice/take", {"limit": 5}).items == []
    assert served.agent(BOB).post("/messages/ack", {"ids": [taken["id"]]}).code == "no-such-message"
    assert alice.post("/messages/ack", {"ids": [taken["id"]]}).json == {"acked": 1}
    assert alice.post("/messages/ack", {"ids": [taken["id"]]}).json == {"acked": 0}
    alice.post("/messages", {"to": "operator", "text": "done"})
    assert [one["from"] for one in served.operator.get("/inbox/operator").items] == ["alice"]


def test_an_agents_own_word_is_an_event(served: Served) -> None:
    said = served.agent(ALICE).post("/status", {"text": "reading"})
    assert (said.status, said.json["data"]) == (202, {"text": "reading"})
    (event,) = served.operator.get("/events?kind=agent.status&agent=alice&after=0").items
    assert event["data"] == {"text": "reading"}
    assert served.agent(ALICE).post("/status", {"text": "x" * 501}).code == "bad-status"


def test_what_an_agent_says_of_its_login_is_told_to_the_manager_once_until_it_changes(
    served: Served,
) -> None:
    alice = served.agent(ALICE)
    for about in ("needs_login", "needs_login", "logged_in", None, "logged_in", "needs_login"):
        said = alice.post("/status", {"text": "see", **({"about": about} if about else {})})
        assert said.json["kind"] == f"agent.{(about or 'status').replace('_', '-')}"
    told = served.operator.get("/inbox/hm1nd").items
    assert [one["topic"] for one in told] == ["needs_login", "logged_in", "needs_login"]
    assert {(one["from"], one["data"]["agent"]) for one in told} == {("alice", "alice")}
    assert alice.post("/status", {"text": "see", "about": "rich"}).status == 422


def test_where_there_is_no_manager_the_operator_hears_of_a_login(served: Served) -> None:
    with served.host.database.write() as session:
        agents.forget(session, served.host.node, MIND)
    served.agent(ALICE).post("/status", {"text": "see", "about": "needs_login"})
    (told,) = served.operator.get("/inbox/operator").items
    assert (told["topic"], told["from"]) == ("needs_login", "alice")


def test_schedules_are_added_switched_run_and_removed(served: Served) -> None:
    ask = served.operator
    new = {"name": "nightly", "cron": "0 4 * * *", "verb": "sweep"}
    assert (ask.post("/schedules", new).json["new"], ask.post("/schedules", new).json["new"]) == (
        True, False,
    )  # fmt: skip
    assert ask.post("/schedules", {**new, "cron": "1 4 * * *"}).status == 409
    assert ask.post("/schedules/nightly/disable").json["enabled"] is False
    assert ask.post("/schedules/nightly/enable").json["enabled"] is True
    assert [one["kind"] for one in ask.post("/schedules/nightly/run").items] == ["reconcile"]
    assert ask.delete("/schedules/nightly").status == 204
    assert ask.delete("/schedules/nightly").code == "no-such-schedule"


def test_tokens_are_made_used_and_revoked(served: Served) -> None:
    ask = served.operator
    made = ask.post("/tokens", {"role": "viewer", "expires": 60})
    client = served.tcp(None)
    client.token = made.json["token"]
    assert client.get("/whoami").json["role"] == "viewer"
    assert not any("token" in one or "digest" in one for one in ask.get("/tokens").items)
    assert ask.delete(f"/tokens/{made.json['id']}").status == 204
    assert client.get("/whoami").status == 401
    assert ask.post("/tokens", {"role": "agent", "agent": "nobody"}).code == "no-such-agent"


def test_the_probes_answer_where_they_are_looked_for(served: Served) -> None:
    for path in ("/healthz", "/readyz", "/v1/healthz"):
        assert served.operator.ask("GET", path).json["ok"] is True
    figures = served.operator.ask("GET", "/metrics").body.decode()
    assert 'hive_agents_desired{node="here",desired="running"} 3' in figures


def test_figures_count_the_writes_that_the_fence_has_refused(served: Served) -> None:
    assert "\nhive_fenced_writes 0\n" in served.operator.get("/metrics").body.decode()
    for attempt in (1, 2):
        with served.host.database.write() as session:
            told = NewEvent(NOW, FENCED, served.host.node, data={"attempt": attempt})
            events.tell(session, told)
    assert "\nhive_fenced_writes 2\n" in served.operator.get("/metrics").body.decode()


def test_figures_tell_of_jobs_and_how_old_the_queue_is(served: Served) -> None:
    served.operator.post("/jobs", {"kind": "stop", "agent": "alice"})
    figures = served.operator.get("/metrics").body.decode()
    assert 'hive_jobs{kind="stop",state="queued"} 1' in figures
    assert 'hive_queue_age_seconds{node="here"}' in figures
    for line in figures.splitlines():
        assert line.startswith("# ") or float(line.rpartition(" ")[2]) >= 0


def test_a_viewer_looks_over_tcp(served: Served) -> None:
    client = served.tcp(Role.VIEWER)
    assert len(client.get("/agents").items) == 3
    assert client.post("/jobs", {"kind": "stop", "agent": "alice"}).status == 403
