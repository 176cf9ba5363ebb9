"""Reading an inbox, with a hive that answers, does not, or says no."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.clock import SystemClock, wait_until
from hive.client import Client
from hive.domain.names import AgentName
from hive.errors import HiveError
from hive.harness import reader
from hive.harness.identity import Identity
from hive.harness.notes import NAME
from hive.harness.reader import Reader
from hive.harness.standing import Standing
from tests.fake_api import FakeApi, Heard, an_api, problem
from tests.unit.client.samples import a_message, me

TAKE, ACK = "POST /v1/inbox/alice/take", "POST /v1/messages/ack"
SEND, STATUS = "POST /v1/messages", "POST /v1/status"


@dataclass
class Box:
    """alice's inbox: what is not acknowledged comes again, here at once."""

    api: FakeApi
    waiting: list[dict[str, Any]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    """Somebody asked and there was nothing."""
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.api.on("GET /v1/whoami", me())
        self.api.on(TAKE, self.take)
        self.api.on(ACK, self.ack)
        self.api.on(SEND, lambda heard: a_message(text=heard.body["text"]))
        told = {"at": "2026", "kind": "agent.status", "agent": "alice", "data": {}}
        self.api.on(STATUS, told)

    def put(self, number: int, **overrides: Any) -> None:  # noqa: ANN401 - any key
        plain = {"topic": None, "data": None, "reply_to": None, "from": "bob", "acked_at": None}
        self.waiting.append(a_message(id=number, **plain | overrides))

    def take(self, heard: Heard) -> dict[str, Any]:
        found = self.waiting[: heard.body["limit"]]
        if not found:
            self.asked.set()
            self.over.wait(0.05)
        return {"items": found, "next": None}

    def ack(self, heard: Heard) -> dict[str, int]:
        self.waiting = [one for one in self.waiting if one["id"] not in heard.body["ids"]]
        return {"acked": len(heard.body["ids"])}

    def said(self, line: str) -> list[Heard]:
        return [one for one in self.api.heard if one.line == line]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with an_api(tmp_path / "hive.sock") as api:
        yield Box(api)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(reader, "LONGEST_WAIT", 0.05)


def a_reader(box: Box, folder: Path, **also: Any) -> Reader:  # noqa: ANN401 - Reader's
    who = Identity(AgentName("alice"), 8879, folder)
    return Reader(Client.at(box.api.place), Standing(who), **also)


@contextmanager
def reading(one: Reader) -> Iterator[None]:
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield
    finally:
        one.stop(timedelta(seconds=10))
        thread.join()


def until(condition: Any, what: str) -> None:  # noqa: ANN401 - a callable
    found = wait_until(SystemClock(), condition, timedelta(seconds=30), timedelta(milliseconds=5))
    assert found, what


def noted(folder: Path) -> list[int]:
    file = folder / NAME
    return (
        [json.loads(line)["id"] for line in file.read_text().splitlines()] if file.exists() else []
    )


def test_a_message_is_noted_answered_and_then_acknowledged(box: Box, tmp_path: Path) -> None:
    seen: list[list[int]] = []

    def ack(heard: Heard) -> dict[str, int]:
        seen.append(noted(tmp_path))
        return box.ack(heard)

    box.api.on(ACK, ack)
    box.put(1)
    box.put(2, **{"from": "operator"})
    with reading(a_reader(box, tmp_path)):
        until(lambda: not box.waiting and box.asked.is_set(), "both are seen to")
    assert seen == [[1, 2]]
    first, second = box.said(SEND)
    assert (first.body["to"], first.body["reply_to"]) == ("bob", 1)
    assert (second.body["to"], second.body["reply_to"]) == ("operator", 2)
    assert "nobody reads it" in first.body["text"]
    order = [one.line for one in box.api.heard if one.line in (SEND, ACK)]
    assert order == [SEND, SEND, ACK]


@pytest.mark.parametrize(
    "told", [{"reply_to": 3}, {"topic": "spawned"}, {"from": "hive"}, {"from": "alice"}]
)
def test_what_is_an_answer_or_no_persons_word_is_noted_and_not_answered(
    box: Box, tmp_path: Path, told: dict[str, Any]
) -> None:
    box.put(1, **told)
    with reading(a_reader(box, tmp_path)):
        until(lambda: not box.waiting, "it is acknowledged")
    assert noted(tmp_path) == [1]
    assert box.said(SEND) == []


def test_a_sender_who_cannot_be_answered_stops_nothing(
    box: Box, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box.api.on(SEND, problem(409, "inbox-full", "the inbox of bob is full"))
    box.put(1)
    with reading(a_reader(box, tmp_path)):
        until(lambda: not box.waiting, "it is acknowledged")
    assert [one.getMessage() for one in caplog.records if "answer.refused" in one.getMessage()]


def test_a_message_that_comes_again_is_noted_once_and_answered_under_one_key(
    box: Box, tmp_path: Path
) -> None:
    box.api.on(ACK, problem(503, "database-unavailable"), box.ack)
    box.put(1)
    for _ in range(2):  # the second one knows nothing of what the first has done
        one = a_reader(box, tmp_path)
        with reading(one):
            until(lambda: not box.waiting or len(box.said(ACK)) == 1, "it got so far")
            if len(box.said(ACK)) == 1:
                one.over.set()
    with reading(a_reader(box, tmp_path)):
        until(lambda: not box.waiting, "it is acknowledged")
    assert noted(tmp_path) == [1]
    keys = {one.headers["Idempotency-Key"] for one in box.said(SEND)}
    assert len(keys) == 1
    texts = {one.body["text"] for one in box.said(SEND)}
    assert len(texts) == 1, "under one key hive takes one text alone"


def test_an_acknowledgement_that_is_refused_keeps_nobody_from_the_next(
    box: Box, tmp_path: Path
) -> None:
    """It was pruned, or its database is another one by now."""

    def ack(heard: Heard) -> Any:  # noqa: ANN401 - JSON, or a problem
        acked = box.ack(heard)
        return problem(404, "no-such-message") if 1 in heard.body["ids"] else acked

    box.api.on(ACK, ack)
    box.put(1)
    with reading(a_reader(box, tmp_path)):
        until(lambda: not box.waiting, "the first is refused")
        box.put(2)
        until(lambda: not box.waiting, "the second is seen to")
    assert noted(tmp_path) == [1, 2]


def test_a_hive_that_is_away_is_said_once_and_found_again(
    box: Box, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hive.harness")
    away = [problem(503, "database-unavailable")] * 5
    box.api.on(TAKE, *away, box.take)
    box.put(1)
    one = a_reader(box, tmp_path)
    with reading(one):
        until(lambda: not box.waiting and one.standing.trouble is None, "it goes on")
    said = [record.getMessage().split()[0] for record in caplog.records]
    assert said == ["reader.waits", "reader.goes-on"]
    waits = [heard.body["wait"] for heard in box.said(TAKE)]
    assert waits[:7] == [60, 0, 0, 0, 0, 0, 60], "whether it passed is known at once"


def test_waits_grow_up_to_a_limit_and_begin_anew(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "FIRST_WAIT", 0.5)
    monkeypatch.setattr(reader, "LONGEST_WAIT", 2.0)
    waits: list[float] = []

    class Over(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            if len(waits) == 6:
                self.set()
            return self.is_set()

    away = problem(503, "database-unavailable")
    box.api.on(TAKE, away, away, away, away, {"items": [], "next": None}, away)
    a_reader(box, tmp_path, over=Over()).run()
    assert waits == [0.5, 1.0, 2.0, 2.0, 0.5, 1.0]


def test_where_nothing_can_be_noted_nothing_is_acknowledged_and_the_operator_is_told(
    box: Box, tmp_path: Path
) -> None:
    box.put(1)
    folder = tmp_path / "state"
    with reading(a_reader(box, folder)):
        until(lambda: box.said(STATUS), "it is told")
        assert "[not-noted]" in box.said(STATUS)[0].body["text"]
        assert box.said(ACK) == box.said(SEND) == []
        folder.mkdir()
        until(lambda: not box.waiting, "it is acknowledged")
    assert noted(folder) == [1]


def test_a_status_is_told_once_a_minute_and_only_when_it_changed(box: Box, tmp_path: Path) -> None:
    now = [0.0]
    with reading(a_reader(box, tmp_path, clock=lambda: now[0])):
        until(lambda: len(box.said(STATUS)) == 1, "the first is told")
        now[0] = 1000.0
        looks_again(box)
        assert len(box.said(STATUS)) == 1
        box.put(1)
        until(lambda: len(box.said(STATUS)) == 2, "the count is told")
        now[0] = 1059.0
        box.put(2)
        until(lambda: not box.waiting, "it is seen to")
        looks_again(box)
        assert len(box.said(STATUS)) == 2
        now[0] = 1061.0
        until(lambda: len(box.said(STATUS)) == 3, "the last count is told")
    assert "2 so far" in box.said(STATUS)[-1].body["text"]


def looks_again(box: Box) -> None:
    """Twice: it may have been asked for between a message and its status."""
    for _ in range(2):
        box.asked.clear()
        until(box.asked.is_set, "it has looked again")


def test_at_the_socket_of_another_agent_nothing_is_read(box: Box, tmp_path: Path) -> None:
    box.api.on("GET /v1/whoami", me("agent", "bob"))
    with pytest.raises(HiveError) as raised:
        a_reader(box, tmp_path).run()
    assert raised.value.code == "other-agent"
    assert box.api.asked == ["GET /v1/whoami"]
