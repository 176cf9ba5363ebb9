"""The client against hive's own API: every answer has exactly the keys that it is typed with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from hive.client import Client, answers
from hive.domain.names import MANAGER
from hive.errors import HiveError, IllegalMove, NotFound, Refused
from tests.unit.client.test_answers import differences

asking = pytest.importorskip("tests.asking", reason="there is no API on this branch")
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with asking.a_served_host(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture
def operator(served: Any) -> Client:  # noqa: ANN401 - of a module that may not be there
    return Client.at(served.host.layout.host_socket)


@pytest.fixture
def alice(served: Any) -> Client:  # noqa: ANN401 - of a module that may not be there
    return Client.at(socket_of(served, "alice"))


def socket_of(served: Any, name: str) -> Path:  # noqa: ANN401 - of a module that may not be there
    path: Path = served.host.layout.socket(name)
    return path


def is_a(kind: Any, value: Any) -> bool:  # noqa: ANN401 - a type, and JSON
    assert differences(kind, json.loads(json.dumps(value))) == []
    return True


def are(kind: Any, page: Any) -> bool:  # noqa: ANN401 - a type, and a page
    return bool(page["items"]) and all(is_a(kind, one) for one in page["items"])


def test_who_asks_is_told(operator: Client, alice: Client) -> None:
    assert is_a(answers.Me, operator.whoami())
    assert (operator.whoami()["role"], alice.whoami()["agent"]) == ("operator", "alice")


def test_the_fleet_is_told(operator: Client) -> None:
    assert is_a(answers.Status, operator.status())
    assert are(answers.Agent, operator.agents())
    assert is_a(answers.Agent, operator.agent("alice"))
    assert is_a(answers.ChangedAgent, operator.set_agent("alice", "model=x"))
    assert operator.kept()["items"] == []
    assert operator.workers()["items"] == []
    operator.pause(operator.whoami()["node"])
    operator.resume(operator.whoami()["node"])
    assert are(answers.Node, operator.nodes())


def test_a_job_is_asked_for_once_under_its_key(operator: Client) -> None:
    first = operator.submit("stop", "alice", key="one")
    assert is_a(answers.Submitted, first)
    assert operator.submit("stop", "alice", key="one")["id"] == first["id"]
    assert is_a(answers.Job, operator.job(first["id"]))
    assert operator.children(first["id"])["items"] == []
    assert operator.pending()["items"] == []
    assert operator.logs(first["id"])["items"] == []
    assert is_a(answers.Job, operator.cancel(first["id"]))
    assert list(operator.follow_logs(first["id"])) == []
    for decide in (operator.approve, operator.deny, operator.withdraw):
        with pytest.raises(IllegalMove):
            decide(first["id"])
    with pytest.raises(NotFound):
        operator.job(10_000)


def test_pages_lead_to_one_another(operator: Client) -> None:
    for agent in ("alice", "bob"):
        operator.submit("restart", agent)
    first = operator.jobs(limit=1)
    second = operator.jobs(limit=1, cursor=first["next"])
    assert are(answers.Job, first)
    assert second["items"][0]["id"] < first["items"][0]["id"]


def test_of_many_there_is_a_page(operator: Client) -> None:
    assert are(answers.Job, operator.rebuild_all())
    assert isinstance(operator.sweep_all()["items"], list)


def test_events_are_followed_from_a_number_on(operator: Client) -> None:
    for kind in ("restart", "rebuild"):
        operator.submit(kind, "bob")
    assert are(answers.Event, operator.events(limit=3))
    told = list(islice(operator.follow_events(after=0), 2))
    assert told == operator.events(after=0)["items"][:2]


def test_a_plan_touches_nothing_and_a_sweep_has_its_own(operator: Client) -> None:
    assert are(answers.PlannedStep, operator.plan("rebuild", agent="alice"))
    assert "differ" in operator.plan_sweep()


def test_messages_go_both_ways(operator: Client, alice: Client) -> None:
    sent = operator.send("alice", "hello", key="m")
    assert operator.send("alice", "hello", key="m")["id"] == sent["id"]
    assert are(answers.Message, operator.inbox("alice"))
    assert alice.take("alice")["items"][0]["from"] == "operator"
    assert is_a(answers.Acknowledged, alice.ack([sent["id"]]))
    assert alice.take("alice", wait=timedelta(seconds=0.2))["items"] == []
    assert is_a(answers.Message, alice.send("operator", "hi", reply_to=sent["id"]))
    assert is_a(answers.OwnWord, alice.tell_status("reading"))


def test_schedules_come_and_go(operator: Client) -> None:
    assert is_a(answers.AddedSchedule, operator.add_schedule("x1", "0 3 * * *", "sweep"))
    assert is_a(answers.Schedule, operator.disable_schedule("x1"))
    assert is_a(answers.Schedule, operator.enable_schedule("x1"))
    assert are(answers.Job, operator.run_schedule("x1"))
    assert are(answers.Schedule, operator.schedules())
    operator.remove_schedule("x1")
    with pytest.raises(NotFound):
        operator.remove_schedule("x1")


def test_a_token_lets_in_over_tcp_until_it_is_gone(
    served: Any,  # noqa: ANN401 - of a module that may not be there
    operator: Client,
) -> None:
    made = operator.add_token("viewer", expires=HOUR)
    assert is_a(answers.MadeToken, made)
    assert are(answers.Token, operator.tokens())
    viewer = Client.at(f"http://127.0.0.1:{served.port}", made["token"])
    assert viewer.whoami()["role"] == "viewer"
    with pytest.raises(Refused) as caught:
        viewer.submit("spawn", "carol")
    assert caught.value.code == "not-allowed"
    operator.remove_token(made["id"])
    with pytest.raises(Refused) as caught:
        viewer.whoami()
    assert caught.value.code == "no-token"


def test_what_the_manager_may_not_is_refused_by_hive(
    served: Any,  # noqa: ANN401 - of a module that may not be there
) -> None:
    mind = Client.at(socket_of(served, MANAGER))
    for ask in (
        lambda: mind.submit("destroy", "alice"),
        lambda: mind.submit("stop", MANAGER),
        lambda: mind.approve(1),
        lambda: mind.set_agent("alice", "model=x"),
    ):
        with pytest.raises(HiveError) as caught:
            ask()
        assert caught.value.code == "not-allowed"
