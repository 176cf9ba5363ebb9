"""What goes on while somebody listens: events, logs, and a parked take."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hive.api import streams
from hive.domain.authority import Role
from hive.domain.event import NewEvent
from hive.domain.job import FINISH, Job
from hive.queue import submit
from hive.service import tokens
from hive.store import events, jobs, logs, moves
from hive.store.logs import NewLine
from tests.asking import MIND, Served
from tests.contract.store_samples import NOW, a_running_job, new_job
from tests.pretend import ALICE, BOB

SOON = 5.0
"""Seconds: far more than a look takes, far less than a wait that nobody ends."""


def a_line(served: Served, job: Job, text: str) -> None:
    line = NewLine(job.id, job.attempt, "Built", "out", NOW, text)
    with served.host.database.progress() as session:
        logs.append(session, [line])


def running(served: Served) -> Job:
    with served.host.database.write() as session:
        return a_running_job(session)


def finish(served: Served, job: Job) -> None:
    with served.host.database.write() as session:
        moves.make(session, job.id, FINISH, now=NOW)


def test_an_event_is_told_as_it_happens_and_who_comes_back_misses_none(served: Served) -> None:
    with served.operator.stream("/events/live?kind=agent.status") as stream:
        served.agent(ALICE).post("/status", {"text": "one"})
        first = stream.next()
    assert first["event"] == "agent.status"
    assert json.loads(first["data"])["data"] == {"text": "one"}
    for text in ("two", "three"):
        served.agent(BOB).post("/status", {"text": text})
    with served.operator.stream("/events/live", Last_Event_ID=first["id"]) as stream:
        found = [json.loads(stream.next()["data"])["data"]["text"] for _ in range(2)]
    assert found == ["two", "three"]


def test_only_what_was_asked_for_is_told(served: Served) -> None:
    with served.operator.stream("/events/live?agent=bob&after=0") as stream:
        served.agent(ALICE).post("/status", {"text": "of alice"})
        served.agent(BOB).post("/status", {"text": "of bob"})
        assert json.loads(stream.next()["data"])["agent"] == "bob"


def test_many_events_behind_are_all_told_in_order(served: Served) -> None:
    with served.host.database.write() as session:
        for number in range(1300):
            events.tell(session, NewEvent(NOW, "x", served.host.node, data={"n": number}))
    with served.operator.stream("/events/live?after=0&kind=x") as stream:
        found = [json.loads(stream.next()["data"])["data"]["n"] for _ in range(1300)]
    assert found == list(range(1300))


def test_the_lines_of_a_job_are_told_until_it_has_ended(served: Served) -> None:
    job = running(served)
    a_line(served, job, "before")
    with served.operator.stream(f"/jobs/{job.id}/logs/live") as stream:
        assert json.loads(stream.next()["data"])["text"] == "before"
        a_line(served, job, "after")
        line = stream.next()
        assert json.loads(line["data"])["text"] == "after"
        finish(served, job)
        end = stream.next()
        assert (end["event"], json.loads(end["data"])) == (
            "end", {"job": job.id, "state": "succeeded"},
        )  # fmt: skip
        assert list(stream) == []
    with served.operator.stream(f"/jobs/{job.id}/logs/live", Last_Event_ID=line["id"]) as stream:
        assert [one["event"] for one in stream] == ["end"]


def test_a_job_that_is_not_there_has_no_log_to_listen_to(served: Served) -> None:
    assert served.operator.get("/jobs/4711/logs/live").code == "no-such-job"
    assert served.agent(MIND).get("/jobs/4711/logs/live").code == "no-such-job"


def test_a_parked_take_ends_when_a_message_comes(served: Served) -> None:
    with ThreadPoolExecutor(1) as beside:
        begun = time.monotonic()
        parked = beside.submit(served.agent(ALICE).post, "/inbox/alice/take", {"wait": 60})
        served.operator.post("/messages", {"to": "bob", "text": "not for alice"})
        served.operator.post("/messages", {"to": "alice", "text": "hello"})
        assert [one["text"] for one in parked.result(30).items] == ["hello"]
    assert time.monotonic() - begun < 2 * SOON


def test_a_parked_take_that_nobody_wants_any_more_takes_nothing(served: Served) -> None:
    connection = served.agent(ALICE).connection()
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/inbox/alice/take", '{"wait": 60}', headers)
    time_for_a_look = threading.Event()
    time_for_a_look.wait(0.3)
    connection.close()
    time_for_a_look.wait(1.5)  # it is looked each second whether somebody waits
    served.operator.post("/messages", {"to": "alice", "text": "hello"})
    (message,) = served.agent(ALICE).post("/inbox/alice/take").items
    assert message["deliveries"] == 1


def test_a_take_waits_no_longer_than_it_was_told_and_never_more_than_three_minutes(
    served: Served,
) -> None:
    assert served.agent(ALICE).post("/inbox/alice/take", {"wait": 0.2}).items == []
    assert served.agent(ALICE).post("/inbox/alice/take", {"wait": 181}).code == "bad-request"


def test_listeners_take_no_room_from_who_asks(served: Served) -> None:
    streams = [served.operator.stream("/events/live") for _ in range(60)]
    for stream in streams:
        stream.__enter__()
    begun = time.monotonic()
    assert served.operator.get("/whoami").status == 200
    assert time.monotonic() - begun < SOON
    for stream in streams:
        stream.__exit__(None, None, None)


def test_an_api_that_stops_ends_what_is_listened_to(served: Served) -> None:
    with served.operator.stream("/events/live") as stream:
        served.over.set()
        assert list(stream) == []


def test_what_another_process_submits_is_told_too(served: Served) -> None:
    with served.operator.stream("/events/live?kind=job.submit") as stream:
        submit.submit(served.host, new_job(node=served.host.node))
        assert json.loads(stream.next()["data"])["data"]["kind"] == "spawn"


def test_who_is_not_known_any_more_hears_no_more(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "ALIVE", 0.1)
    client = served.tcp(Role.VIEWER)
    headers = {"Authorization": f"Bearer {client.token}"}
    with client.stream("/events/live", **headers) as stream:
        served.agent(ALICE).post("/status", {"text": "one"})
        assert stream.next()
        (view,) = tokens.listed(served.host)
        tokens.revoke(served.host, view.token.id)
        assert list(stream) == []


def test_what_is_listened_to_may_go_and_the_others_hear_on(served: Served) -> None:
    job = running(served)
    with (
        served.operator.stream(f"/jobs/{job.id}/logs/live") as log,
        served.operator.stream("/events/live") as happens,
    ):
        with served.host.database.write() as session:
            session.execute(jobs.JOBS.delete())
        assert list(log) == []
        served.agent(ALICE).post("/status", {"text": "still here"})
        assert "still here" in happens.next()["data"]
