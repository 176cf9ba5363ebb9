"""What every command asks: the same answers, key for key, over the API and in the database."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from cli.hive import PAGE, Hive, is_pending, is_served, newest
from hive.client import answers
from hive.domain.event import NewEvent
from hive.domain.job import JobId, JobState
from hive.errors import HiveError, IllegalMove, NotFound, Refused
from hive.store import events, logs
from hive.store.logs import NewLine
from tests.asking import Served
from tests.contract.store_samples import a_job
from tests.pretend import environment
from tests.unit.client.test_answers import differences

NAMES = ["alice", "bob", "hm1nd"]


def is_a(kind: Any, value: Any) -> bool:  # noqa: ANN401 - a type, and JSON
    assert differences(kind, json.loads(json.dumps(value))) == []
    return True


def are(kind: Any, page: Any) -> bool:  # noqa: ANN401 - a type, and a page
    return bool(page["items"]) and all(is_a(kind, one) for one in page["items"])


def test_the_fleet(hive: Hive, served: Served) -> None:
    assert hive.node == served.host.node
    assert is_a(answers.Status, hive.status())
    assert are(answers.Agent, hive.agents())
    assert [one["name"] for one in hive.agents()["items"]] == NAMES
    assert is_a(answers.Agent, hive.agent("bob"))
    assert hive.kept()["items"] == []
    assert hive.workers()["items"] == []
    hive.pause(hive.node)
    (node,) = hive.nodes()["items"]
    assert is_a(answers.Node, node)
    assert node["paused_at"] is not None
    hive.resume(hive.node)
    assert hive.nodes()["items"][0]["paused_at"] is None


def test_settings_are_changed_and_a_limit_is_a_job(hive: Hive) -> None:
    changed = hive.set_agent("alice", "model=x")
    assert is_a(answers.ChangedAgent, changed)
    assert (changed["settings"]["model"], changed["limit"]) == ("x", None)
    limit = hive.set_agent("alice", "memory_max=1G")["limit"]
    assert limit is not None
    assert limit["kind"] == "limit"


def test_a_job_from_the_ask_to_the_end(hive: Hive) -> None:
    made = hive.submit("stop", "alice", key="mine")
    assert is_a(answers.Submitted, made)
    assert made["new"]
    again = hive.submit("stop", "alice", key="mine")
    assert (again["id"], again["new"]) == (made["id"], False)
    found = hive.job(made["id"])
    assert is_a(answers.Job, found)
    assert is_pending(found)
    assert [job["id"] for job in hive.jobs(agent="alice", kind="stop")["items"]] == [made["id"]]
    assert hive.jobs(state=JobState.RUNNING)["items"] == []
    assert hive.children(made["id"])["items"] == []
    assert is_a(answers.Job, hive.cancel(made["id"]))
    assert hive.job(made["id"])["state"] == "cancelled"
    assert list(hive.follow_logs(made["id"])) == []
    assert hive.retry(made["id"])["state"] == "queued"


def test_many_jobs_come_by_pages(hive: Hive) -> None:
    made = [hive.submit("stop", name)["id"] for name in NAMES]
    first = hive.jobs(limit=2)
    assert [job["id"] for job in first["items"]] == [made[2], made[1]]
    rest = hive.jobs(limit=2, cursor=first["next"])
    assert ([job["id"] for job in rest["items"]], rest["next"]) == ([made[0]], None)


def test_more_jobs_than_a_page_are_found_all(hive: Hive, served: Served) -> None:
    with served.host.database.write() as session:
        made = [a_job(session).id for _ in range(PAGE + 51)]
    assert [job["id"] for job in newest(hive, limit=10_000)] == made[::-1]
    assert [job["id"] for job in newest(hive, limit=60)] == made[::-1][:60]
    assert len(hive.jobs()["items"]) == 50


def test_one_word_is_a_job_for_each(hive: Hive) -> None:
    assert [job["agent"] for job in hive.rebuild_all()["items"]] == NAMES
    (sweep,) = hive.sweep_all()["items"]
    assert (sweep["kind"], sweep["node"]) == ("reconcile", hive.node)


def test_a_decision_about_what_does_not_wait_is_refused(hive: Hive) -> None:
    job = hive.submit("stop", "alice")["id"]
    assert hive.pending()["items"] == []
    decisions: list[Callable[[int], object]] = [hive.approve, hive.deny, hive.withdraw]
    for decide in decisions:
        with pytest.raises(IllegalMove):
            decide(job)
    with pytest.raises(Refused) as refused:
        hive.diff(job)
    assert refused.value.code == "no-diff"


def test_plans(hive: Hive) -> None:
    assert are(answers.PlannedStep, hive.plan("start", agent="alice"))
    assert are(answers.PlannedStep, hive.plan("spawn", agent="carol"))
    assert are(answers.PlannedStep, hive.plan("update-base"))
    sweep = hive.plan_sweep()
    assert is_a(answers.Sweep, sweep)
    assert sweep["agents"] == len(NAMES)
    with pytest.raises(Refused) as refused:
        hive.plan("start", agent="alice", node="elsewhere")
    assert refused.value.code == "other-node"


def test_lines_as_they_come(hive: Hive, served: Served) -> None:
    job = hive.submit("stop", "alice")["id"]
    host = served.host
    with host.database.write() as session:
        at = host.clock.now()
        said = [NewLine(JobId(job), 1, "Built", "out", at, text) for text in ("one", "two")]
        logs.append(session, said)
    written = hive.logs(job)
    assert are(answers.Line, written)
    behind = hive.logs(job, after=written["items"][0]["seq"])["items"]
    assert [line["text"] for line in behind] == ["two"]
    heard: list[str] = []
    reader = threading.Thread(
        target=lambda: heard.extend(line["text"] for line in hive.follow_logs(job))
    )
    reader.start()
    hive.cancel(job)
    reader.join(30)
    assert heard == ["one", "two"]


def test_events_behind_a_number_and_as_they_happen(hive: Hive, served: Served) -> None:
    hive.submit("stop", "alice")
    found = hive.events()["items"]
    assert is_a(answers.Event, found[0])
    assert found[0]["kind"] == "job.submit"
    last = found[-1]["seq"]
    assert hive.events(after=last)["items"] == []
    follow = hive.follow_events(after=last, kind="told")
    host = served.host
    with host.database.write() as session:
        events.tell(session, NewEvent(host.clock.now(), "told", host.node, data={"a": 1}))
    (told,) = islice(follow, 1)
    assert told["data"] == {"a": 1}


def test_messages(hive: Hive) -> None:
    sent = hive.send("alice", "hello", key="mine")
    assert is_a(answers.Message, sent)
    assert hive.send("alice", "hello", key="mine")["id"] == sent["id"]
    assert sent["from"] == "operator"
    assert hive.waiting("alice") == {"waiting": 1}
    assert are(answers.Message, hive.inbox("alice"))
    assert [one["id"] for one in hive.take("alice", limit=5)["items"]] == [sent["id"]]
    assert hive.take("alice")["items"] == []
    assert hive.ack([sent["id"]]) == {"acked": 1}
    assert hive.waiting("alice") == {"waiting": 0}
    assert [one["id"] for one in hive.inbox("alice", acked=True)["items"]] == [sent["id"]]


def test_schedules(hive: Hive) -> None:
    added = hive.add_schedule("often", "*/5 * * * *", "sweep", zone="Europe/Berlin")
    assert is_a(answers.AddedSchedule, added)
    assert added["new"]
    assert not hive.add_schedule("often", "*/5 * * * *", "sweep", zone="Europe/Berlin")["new"]
    assert not hive.disable_schedule("often")["enabled"]
    assert hive.enable_schedule("often")["enabled"]
    assert are(answers.Schedule, hive.schedules())
    (job,) = hive.run_schedule("often")["items"]
    assert job["kind"] == "reconcile"
    hive.remove_schedule("often")
    assert "often" not in [one["name"] for one in hive.schedules()["items"]]


def test_tokens(hive: Hive) -> None:
    made = hive.add_token("viewer", expires=timedelta(days=1))
    assert is_a(answers.MadeToken, made)
    assert are(answers.Token, hive.tokens())
    hive.remove_token(made["id"])
    assert hive.tokens()["items"][0]["revoked_at"] is not None


WRONG: list[tuple[type[HiveError], str, Callable[[Hive], object]]] = [
    (NotFound, "no-such-agent", lambda hive: hive.agent("nobody")),
    (NotFound, "no-such-agent", lambda hive: hive.submit("stop", "nobody")),
    (NotFound, "no-such-agent", lambda hive: hive.send("nobody", "hello")),
    (NotFound, "no-such-job", lambda hive: hive.job(999)),
    (NotFound, "no-such-job", lambda hive: hive.children(999)),
    (NotFound, "no-such-schedule", lambda hive: hive.run_schedule("never")),
    (NotFound, "no-such-token", lambda hive: hive.remove_token(999)),
    (Refused, "bad-name", lambda hive: hive.agent("No Name")),
    (Refused, "bad-setting", lambda hive: hive.set_agent("alice", "colour=red")),
    (Refused, "manager-stays", lambda hive: hive.submit("destroy", "hm1nd")),
    (Refused, "bad-request", lambda hive: hive.submit("stop")),
    (Refused, "message-empty", lambda hive: hive.send("alice", " ")),
]


@pytest.mark.parametrize(("kind", "code", "ask"), WRONG, ids=[code for _, code, _ in WRONG])
def test_what_is_wrong_is_the_same_error(
    hive: Hive, kind: type[HiveError], code: str, ask: Callable[[Hive], object]
) -> None:
    with pytest.raises(HiveError) as wrong:
        ask(hive)
    assert (type(wrong.value), wrong.value.code) == (kind, code)


def test_what_nobody_works_on_is_worked_on_here(
    hive: Hive, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no worker alive the command is the worker."""
    for name, value in environment(served.pretend.state).items():
        monkeypatch.setenv(name, value)
    job = hive.submit("stop", "alice")["id"]
    assert not is_served(hive, hive.node)
    hive.see_through(job)
    assert hive.job(job)["state"] == "succeeded"


def test_what_has_ended_is_seen_through_at_once(hive: Hive) -> None:
    job = hive.cancel(hive.submit("stop", "alice")["id"])["id"]
    hive.see_through(job)
    assert hive.job(job)["attempt"] == 0
