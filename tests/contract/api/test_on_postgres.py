"""On PostgreSQL nothing tells that somebody has written: the reader asks, and hears it too."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.asking import Served, a_served_host
from tests.pretend import ALICE


def test_events_logs_and_parked_takes_are_heard(tmp_path: Path, migrated_postgres_url: str) -> None:
    with a_served_host(tmp_path, HIVE_DATABASE_URL=migrated_postgres_url) as served:
        _an_event_is_heard(served)
        _a_message_ends_a_parked_take(served)
        _figures_are_told(served)


def _an_event_is_heard(served: Served) -> None:
    with served.operator.stream("/events/live?kind=agent.status") as stream:
        served.agent(ALICE).post("/status", {"text": "one"})
        first = stream.next()
    served.agent(ALICE).post("/status", {"text": "two"})
    with served.operator.stream("/events/live", Last_Event_ID=first["id"]) as stream:
        assert json.loads(stream.next()["data"])["data"] == {"text": "two"}


def _a_message_ends_a_parked_take(served: Served) -> None:
    with ThreadPoolExecutor(1) as beside:
        parked = beside.submit(served.agent(ALICE).post, "/inbox/alice/take", {"wait": 60})
        served.operator.post("/messages", {"to": "alice", "text": "hello"}, key="m")
        assert [one["text"] for one in parked.result(30).items] == ["hello"]


def _figures_are_told(served: Served) -> None:
    number = served.operator.post("/jobs", {"kind": "stop", "agent": "alice"}).json["id"]
    cancelled = [served.operator.post(f"/jobs/{number}/cancel", key="c") for _ in range(2)]
    assert cancelled[0].body == cancelled[1].body
    figures = served.operator.get("/metrics").body.decode()
    assert 'hive_jobs{kind="stop",state="cancelled"} 1' in figures
