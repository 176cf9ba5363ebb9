"""Messages, as a person types them: sent, taken, acknowledged, and told by jobs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.message import LEASE, Message
from hive.domain.names import MANAGER, AgentName
from hive.domain.ports import port_of
from hive.service import inbox
from hive.service.inbox import LONGEST, Inbox
from hive.store import agents, messages
from hive.store.session import Database
from tests.acceptance.test_lifecycle import committed
from tests.acceptance.test_spawn import Person, a_person, refused
from tests.fleet import Fleet, a_fleet
from tests.pretend import ALICE, BOB

OPERATORS = Inbox(None, "operator")


@pytest.fixture(params=["sqlite", "postgres"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    """A host that knows of alice and the manager, and of bob, who was destroyed."""
    more: dict[str, str] = {}
    if request.param == "postgres":
        more["HIVE_DATABASE_URL"] = request.getfixturevalue("migrated_postgres_url")
    with a_fleet(tmp_path, **more) as fleet:
        with fleet.host.database.write() as session:
            for name in (ALICE, AgentName(MANAGER), BOB):
                desired = Desired.DESTROYED if name == BOB else Desired.STOPPED
                agent = Agent(fleet.host.node, name, port_of(name), desired, AgentSettings())
                agents.put(session, agent, now=fleet.host.clock.now())
        yield fleet


@pytest.fixture
def person(fleet: Fleet) -> Person:
    """Who types on that host."""
    database = {key: value for key, value in fleet.env.items() if key == "HIVE_DATABASE_URL"}
    return Person(fleet.folder, database)


def shown(person: Person, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in person.does("inbox", *words, "--json").splitlines()]


def texts(person: Person, *words: str) -> list[str]:
    return [message["text"] for message in shown(person, *words)]


def lease_over(database: Database) -> None:
    """Every lease ends now."""
    gone = messages.MESSAGES.update().where(messages.C.leased_until.is_not(None))
    with database.write() as session:
        session.execute(gone.values(leased_until=messages.C.sent_at))


def test_a_message_is_sent_taken_and_acknowledged(person: Person) -> None:
    number = person.does("send", "alice", "the tests are red").strip()
    (message,) = shown(person, "alice")
    assert (message["id"], message["text"]) == (int(number), "the tests are red")
    assert (message["from"], message["to"], message["node"]) == ("operator", "alice", "here")
    assert (message["deliveries"], message["acked_at"]) == (1, None)
    again = person.hive("inbox", "alice")
    assert (again.exit_code, again.out) == (0, "")
    assert "--peek" in again.tail
    person.does("ack", number)
    assert "0; 1 were before" in person.hive("ack", number).tail
    assert texts(person, "alice", "--peek") == []
    (seen,) = shown(person, "alice", "--all")
    assert seen["acked_at"] is not None


def test_what_is_printed_says_who_when_what_and_that_it_comes_again(
    person: Person, fleet: Fleet
) -> None:
    number = int(person.does("send", "operator", "first\nsecond\x1b[2J"))
    reply = int(person.does("send", "operator", "yes", "--reply-to", str(number)))
    out = person.does("inbox")
    first, second, third = out.splitlines()
    assert first.split()[0] == str(number)
    assert first.split()[1].endswith("Z")
    assert first.split()[2:] == ["operator", "first"]
    assert second == "        second\\x1b[2J", "no line of its looks like another message"
    assert third.split()[-3:] == ["[to", f"{number}]", "yes"]
    lease_over(fleet.host.database)
    assert "[again] first" in person.does("inbox", "--ack")
    assert person.does("inbox", "--peek") == ""
    assert f"[acknowledged, to {number}] yes" in person.does("inbox", "--all")
    assert [message["id"] for message in shown(person, "--all")] == [number, reply]


def test_who_only_looks_takes_nothing(person: Person) -> None:
    person.does("send", "hm1nd", "hello")
    assert texts(person, "hm1nd", "--peek") == texts(person, "hm1nd", "--all") == ["hello"]
    assert texts(person, "hm1nd") == ["hello"]
    assert texts(person, "hm1nd") == []
    refused(person.hive("inbox", "--peek", "--ack"), 2, "usage")


def test_a_message_said_again_under_its_key_is_the_same_one(person: Person) -> None:
    sent = {person.does("send", "alice", "hello", "--key", "k") for _ in range(2)}
    assert len(sent) == 1
    assert texts(person, "alice", "--peek") == ["hello"]
    refused(person.hive("send", "alice", "other", "--key", "k"), 2, "key-reused")


def test_what_cannot_be_sent_is_refused(person: Person) -> None:
    refused(person.hive("send", "carol", "hello"), 2, "no-such-agent", "agents")
    refused(person.hive("inbox", "carol"), 2, "no-such-agent", "agents")
    refused(person.hive("send", "bob", "hello"), 2, "agent-destroyed", "spawn")
    refused(person.hive("send", "Bad Name", "hello"), 2, "bad-name")
    refused(person.hive("send", "alice", "x" * (LONGEST + 1)), 2, "message-too-long")
    refused(person.hive("send", "alice", " \n"), 2, "message-empty")
    refused(person.hive("send", "alice", "yes", "--reply-to", "4711"), 2, "no-such-message")
    refused(person.hive("ack", "4711"), 2, "no-such-message")
    assert person.does("inbox", "bob") == "", "what was left there can still be read"
    full = {"HIVE_INBOX_CAP": "1"}
    assert person.hive("send", "alice", "x" * LONGEST, **full).exit_code == 0
    refused(person.hive("send", "alice", "two", **full), 2, "inbox-full", "--ack")
    for name in ("operator", "hive"):
        refused(person.hive("spawn", name), 2, "reserved-name")
        refused(person.hive("plan", "spawn", name), 2, "reserved-name")


def test_acknowledging_what_is_not_there_acknowledges_nothing(person: Person) -> None:
    number = person.does("send", "alice", "hello").strip()
    refused(person.hive("ack", number, "4711"), 2, "no-such-message")
    assert texts(person, "alice") == ["hello"]


def test_one_that_follows_shows_what_comes_and_acknowledges_it(fleet: Fleet) -> None:
    follower = fleet.hive("inbox", "--follow", "--ack")
    for word in ("one", "two"):
        inbox.send(fleet.host, "operator", word, sender="alice")
        fleet.until(lambda word=word: word in follower.out, f"{word} is shown")  # type: ignore[misc]
    fleet.until(lambda: inbox.count(fleet.host, OPERATORS) == 0, "both are acknowledged")
    follower.kill()


def test_what_a_killed_reader_had_taken_is_delivered_again(fleet: Fleet, person: Person) -> None:
    inbox.send(fleet.host, "operator", "mind the gap", sender="alice")
    reader = fleet.hive("inbox", "--follow")
    fleet.until(lambda: "mind the gap" in reader.out, "it is shown")
    reader.kill()
    assert texts(person) == [], "nobody else has it while the lease lasts"
    now = fleet.host.clock.now()
    with fleet.host.database.read() as session:
        (message,) = messages.waiting(session, None, "operator", limit=9)
        assert not messages.is_due(session, None, "operator", now=now)
        assert messages.is_due(session, None, "operator", now=now + LEASE)
    assert message.reader != fleet.host.worker
    lease_over(fleet.host.database)
    assert "[again] mind the gap" in person.does("inbox")


def test_one_that_is_killed_before_it_acknowledges_has_acknowledged_nothing(fleet: Fleet) -> None:
    """It hangs where it prints: nobody reads what it says, and a pipe holds one message."""
    for _ in range(3):
        inbox.send(fleet.host, "operator", "x" * LONGEST, sender="alice")
    pipe = fleet.folder / f"{len(fleet.running)}-inbox.out"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        reader = fleet.hive("inbox", "--ack")
        fleet.until(lambda: {m.deliveries for m in waiting(fleet)} == {1}, "all are taken")
        assert reader.is_there
        reader.kill()
    finally:
        os.close(end)
    with fleet.host.database.write() as session:
        later = fleet.host.clock.now() + LEASE
        again = messages.take(
            session, None, "operator", reader="r2", now=later, leased_until=later, limit=9
        )
    assert [message.is_again for message in again] == [True] * 3


def waiting(fleet: Fleet) -> list[Message]:
    with fleet.host.database.read() as session:
        return messages.waiting(session, None, "operator", limit=9)


def test_jobs_tell_the_manager_and_the_operator(tmp_path: Path) -> None:
    with a_person(tmp_path) as person:
        person.does("spawn", "hm1nd")
        person.does("spawn", "alice")
        rev = committed(person, GREETING="hello")
        person.does("propose", "alice", rev, "-m", "a greeting")
        (wanted,) = shown(person)
        assert (wanted["topic"], wanted["data"]["job"]) == ("approval_wanted", 3)
        assert "a greeting" in wanted["text"]
        person.does("approve", "3")
        person.does("propose", "alice", committed(person, GREETING="bye"))
        person.does("deny", "4", "--note", "too short")
        person.does("rebuild", "alice")
        person.does("stop", "alice")
        person.does("destroy", "alice", "--yes")
        found = shown(person, "hm1nd", "--ack")
        topics = [message["topic"] for message in found]
        assert topics == [
            "spawned", "spawned", "approval_resolved", "approval_resolved", "rebuilt", "stopped",
            "destroyed",
        ]  # fmt: skip
        assert [found[at]["data"]["tag"] for at in (0, 1, 4)] == [
            "deployed/1", "deployed/2", "deployed/3",
        ]  # fmt: skip
        agreed, denied = found[2]["data"], found[3]["data"]
        assert (agreed["sha"], agreed["state"], agreed["tag"]) == (rev, "succeeded", "deployed/3")
        assert (denied["state"], denied["note"], denied["tag"]) == (
            "denied",
            "too short",
            "denied/4",
        )
        tags = person.git("applied/alice", "tag", "--list").split()
        assert {agreed["tag"], denied["tag"]} <= set(tags)
        assert all(one["data"].get("ok", True) for one in found)
