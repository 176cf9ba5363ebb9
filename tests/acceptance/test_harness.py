"""`hive harness` as a container's service starts it: a process, ended and killed at any time."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.http import Http
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.ports import port_of
from hive.harness.notes import NAME
from hive.service import inbox
from hive.service.inbox import Inbox
from hive.store import agents
from tests.acceptance.test_inbox import OPERATORS
from tests.asking import Client, a_free_port
from tests.contract.harness.test_reader import ACK, SEND, TAKE, Box
from tests.fake_api import Heard, an_api
from tests.fleet import Fleet, Running, a_fleet
from tests.pretend import ALICE

HERE = "127.0.0.1"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with a_fleet(tmp_path) as fleet:
        (tmp_path / "home").mkdir()
        yield fleet


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with an_api(tmp_path / "fake.sock") as api:
        yield Box(api)


@pytest.fixture
def port() -> int:
    return a_free_port()


def told(fleet: Fleet, port: int) -> dict[str, str]:
    """What the meta flake and the container tell a harness."""
    state = str(fleet.folder / "home")
    return {"HIVE_LABEL": "alice", "HIVE_PORT": str(port), "HYPERHIVE_STATE_DIR": state}


def a_harness(fleet: Fleet, at: str | Path, port: int) -> Running:
    return fleet.hive("harness", "--socket", str(at), **told(fleet, port))


def noted(fleet: Fleet) -> list[int]:
    file = fleet.folder / "home" / NAME
    return (
        [json.loads(line)["id"] for line in file.read_text().splitlines()] if file.exists() else []
    )


def test_it_notes_and_answers_what_real_hive_hands_it_and_says_how_it_is(
    fleet: Fleet, port: int
) -> None:
    host, alices = fleet.host, Inbox(fleet.host.node, ALICE)
    alice = Agent(host.node, ALICE, port_of(ALICE), Desired.STOPPED, AgentSettings())
    with host.database.write() as session:
        agents.put(session, alice, now=host.clock.now())
    host.layout.runtime(ALICE).mkdir(parents=True)
    first = inbox.send(host, "alice", "before anything runs", sender="operator")
    harness = a_harness(fleet, host.layout.socket(ALICE), port)
    fleet.said(harness, "reader.waits code=api-unreachable")
    api = fleet.hive("api")
    fleet.said(harness, "reader.goes-on after=api-unreachable")
    fleet.until(lambda: inbox.count(host, alices) == 0, "the first is acknowledged")
    (answer,) = inbox.look(host, OPERATORS, acked=False, limit=9)
    assert (answer.sender, answer.reply_to) == ("alice", first.seq)
    assert "nobody reads it" in answer.body
    second = inbox.send(host, "alice", "while it waits", sender="operator")
    fleet.until(lambda: inbox.count(host, alices) == 0, "the second is acknowledged")
    assert noted(fleet) == [first.seq, second.seq]

    (status, *_) = Client(host.layout.host_socket).get("/events?kind=agent.status").items
    assert status["data"]["text"] == "default harness: reads messages and notes them, 1 so far"
    page = Http().knock(HERE, port)
    assert page is not None
    assert page.headers["hive-agent"] == "alice"
    api.kill()
    third = inbox.send(host, "alice", "while hive is away", sender="operator")
    fleet.hive("api")
    fleet.until(lambda: inbox.count(host, alices) == 0, "the third is acknowledged")
    assert noted(fleet) == [first.seq, second.seq, third.seq]


@pytest.mark.parametrize("line", [TAKE, SEND, ACK])
def test_one_that_is_killed_loses_nothing_and_notes_nothing_twice(
    fleet: Fleet, box: Box, port: int, line: str
) -> None:
    """Killed while hive answers: the message is on its way, noted, or all but acknowledged."""
    victims: list[Running] = []
    usual = box.api.answers[line][0]

    def kill(heard: Heard) -> Any:  # noqa: ANN401 - JSON
        if victims and (line != TAKE or box.waiting):
            os.kill(victims.pop().pid, signal.SIGKILL)
            return {"never": "heard"}
        return usual(heard)

    box.api.on(line, kill)
    first = a_harness(fleet, box.api.place, port)
    victims.append(first)
    fleet.said(first, "harness.ready")
    box.put(1)
    assert first.ended() == -signal.SIGKILL
    assert [one["id"] for one in box.waiting] == [1], "it is not acknowledged"
    assert noted(fleet) == ([] if line == TAKE else [1])
    a_harness(fleet, box.api.place, port)
    fleet.until(lambda: not box.waiting, "it is acknowledged")
    assert noted(fleet) == [1]
    assert len({one.headers["Idempotency-Key"] for one in box.said(SEND)}) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("while_it", ["waits for messages", "finds nobody", "waits for its port"])
def test_a_signal_ends_it_within_two_seconds(
    fleet: Fleet, box: Box, port: int, number: signal.Signals, while_it: str
) -> None:
    box.over.clear()
    parked = fleet.folder / "parked"

    def park(heard: Heard) -> dict[str, Any]:
        parked.touch()
        box.over.wait(30)
        return {"items": [], "next": None}

    box.api.on(TAKE, park)
    other = socket.create_server((HERE, 0))
    with other:
        match while_it:
            case "waits for messages":
                harness = a_harness(fleet, box.api.place, port)
                fleet.until(parked.exists, "it waits")
            case "finds nobody":
                harness = a_harness(fleet, fleet.folder / "nobody.sock", port)
                fleet.said(harness, "reader.waits")
            case _:
                harness = a_harness(fleet, box.api.place, other.getsockname()[1])
                fleet.said(harness, "port.in-use")
        begun = time.monotonic()
        harness.signal(number)
        assert harness.ended() == 0, harness.err
        box.over.set()
    assert time.monotonic() - begun < 2


def test_one_that_is_ended_in_the_middle_sees_to_what_it_has_in_hand(
    fleet: Fleet, box: Box, port: int
) -> None:
    ended: list[Running] = []

    def answer(heard: Heard) -> dict[str, Any]:
        ended[0].signal(signal.SIGTERM)
        box.over.wait(0.3)
        return dict(box.waiting[0])

    box.api.on(SEND, answer)
    harness = a_harness(fleet, box.api.place, port)
    ended.append(harness)
    box.put(1)
    assert harness.ended() == 0
    assert box.waiting == []


def test_who_does_not_know_who_it_is_says_so(fleet: Fleet) -> None:
    harness = fleet.hive("harness")
    assert harness.ended() == 2
    assert "hive: HIVE_LABEL is not set [no-identity]" in harness.err
    assert "hint: " in harness.err


def test_at_anothers_socket_it_ends(fleet: Fleet, box: Box, port: int) -> None:
    box.api.on("GET /v1/whoami", {"role": "operator", "agent": None, "name": "root", "node": "here",
                                  "version": "0.1", "may": {}})  # fmt: skip
    harness = a_harness(fleet, box.api.place, port)
    assert harness.ended() == 2
    assert "[other-agent]" in harness.err
    assert noted(fleet) == []
