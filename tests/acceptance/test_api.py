"""The API as processes: beside a worker and alone, killed, and found again by containers."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive.domain.job import JobId
from tests.asking import MIND, Client, a_free_port
from tests.fleet import Fleet, a_fleet
from tests.pretend import ALICE


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with a_fleet(tmp_path) as fleet:
        yield fleet


def operator(fleet: Fleet) -> Client:
    return Client(fleet.host.layout.host_socket)


def test_an_agent_is_spawned_watched_and_heard_over_the_api(fleet: Fleet) -> None:
    fleet.said(fleet.hive("up"), "api.ready")
    ask = operator(fleet)
    number = ask.post("/jobs", {"kind": "spawn", "agent": "alice"}, key="first").json["id"]
    with ask.stream(f"/jobs/{number}/logs/live") as stream:
        told = list(stream)
    assert json.loads(told[-1]["data"]) == {"job": number, "state": "succeeded"}
    assert ask.get("/agents/alice").json["running"] is True
    alice = Client(fleet.host.layout.socket(ALICE))
    fleet.until(fleet.host.layout.socket(ALICE).exists, "alice has a door")
    assert alice.get("/whoami").json["role"] == "agent"
    assert alice.get("/agents/alice").json["deployed"]["job"] == number
    fleet.ends(JobId(ask.post("/jobs", {"kind": "purge", "agent": "alice"}).json["id"]))
    fleet.until(lambda: not fleet.host.layout.socket(ALICE).exists(), "her door is gone")


def test_a_spawn_that_the_manager_asks_for_waits_and_goes_on_when_approved(fleet: Fleet) -> None:
    fleet.said(fleet.hive("up"), "api.ready")
    ask = operator(fleet)
    fleet.ends(JobId(ask.post("/jobs", {"kind": "spawn", "agent": MIND}).json["id"]))
    fleet.until(fleet.host.layout.socket(MIND).exists, "the manager has a door")
    mind = Client(fleet.host.layout.socket(MIND))
    number = mind.post("/jobs", {"kind": "spawn", "agent": "alice"}).json["id"]
    fleet.until(lambda: ask.get("/pending").items, "it waits")
    assert mind.post(f"/jobs/{number}/approve").code == "not-allowed"
    assert ask.get("/agents/alice").json["running"] is False
    assert ask.post(f"/jobs/{number}/approve").status == 200
    fleet.ends(JobId(number))
    assert ask.get("/agents/alice").json["running"] is True


def test_an_api_that_was_killed_is_found_again_at_the_same_sockets(fleet: Fleet) -> None:
    first = fleet.hive("api")
    fleet.said(first, "api.ready")
    assert operator(fleet).get("/healthz").status == 200
    first.kill()
    assert fleet.host.layout.host_socket.is_socket()
    fleet.said(fleet.hive("api"), "api.ready")
    assert operator(fleet).get("/healthz").status == 200


def test_a_signal_ends_it_cleanly_though_somebody_listens(fleet: Fleet) -> None:
    port = a_free_port()
    api = fleet.hive("api", "--listen", f"127.0.0.1:{port}")
    fleet.said(api, "api.ready")
    assert Client(port=port).get("/agents").code == "no-token"
    with operator(fleet).stream("/events/live") as stream:
        api.signal(signal.SIGTERM)
        assert list(stream) == []
    assert api.ended() == 0
    assert not fleet.host.layout.host_socket.exists()
    again = fleet.hive("api", "--listen", f"127.0.0.1:{port}")
    fleet.said(again, "api.ready")


def test_what_it_cannot_listen_at_is_refused(fleet: Fleet) -> None:
    for role in ("api", "up"):
        api = fleet.hive(role, "--listen", "nonsense")
        assert api.ended() == 2
        assert "[bad-listen]" in api.err


def test_a_token_is_made_shown_once_and_revoked_by_the_command_line(fleet: Fleet) -> None:
    made = fleet.hive("token", "create", "--role", "viewer", "--expires", "2h")
    assert made.ended() == 0, made.err
    said = made.out.strip()
    port = a_free_port()
    fleet.said(fleet.hive("api", "--listen", f"127.0.0.1:{port}"), "api.ready")
    client = Client(port=port, token=said)
    assert client.get("/whoami").json["role"] == "viewer"
    listed = fleet.hive("token", "list", "--json")
    assert listed.ended() == 0
    (shown,) = json.loads(listed.out)
    assert (shown["role"], shown["revoked_at"]) == ("viewer", None)
    assert said not in listed.out
    assert fleet.hive("token", "revoke", str(shown["id"])).ended() == 0
    assert client.get("/whoami").code == "no-token"
    assert fleet.hive("token", "create", "--role", "ci", "--expires", "soon").ended() == 2
