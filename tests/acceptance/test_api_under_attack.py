"""The API as a process: what clients send costs it no memory; killed, it has lost nothing."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import redis
from sqlalchemy import select

from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.queue.host import Host
from hive.store import agents
from hive.store.jobs import JOBS
from tests.asking import Answer, Client, a_free_port
from tests.contract.conftest import DIALECTS
from tests.fleet import Fleet, Running, a_fleet
from tests.services import a_postgres, a_redis

MIB = 1024 * 1024
MORE = 48 * MIB
"""That the API may have grown by; far less than what is sent to it."""
PIECE = b"x" * MIB


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with a_fleet(tmp_path) as fleet:
        yield fleet


def memory(api: Running) -> int:
    """The most that it ever had, in bytes."""
    status = Path(f"/proc/{api.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def operator(fleet: Fleet) -> Client:
    return Client(fleet.host.layout.host_socket)


def test_a_hundred_megabytes_are_refused_and_kept_nowhere(fleet: Fleet) -> None:
    port = a_free_port()
    api = fleet.hive("api", "--listen", f"127.0.0.1:{port}")
    fleet.said(api, "api.ready")
    ask = operator(fleet)
    ask.get("/openapi.json")
    before = memory(api)
    for client, status in ((ask, 413), (Client(port=port), 401)):
        with ThreadPoolExecutor(4) as beside:
            said = list(beside.map(lambda _, client=client: a_great_body(client, 100), range(4)))
        assert {one for one in said if one is not None} <= {status}
    assert ask.get("/whoami").status == 200
    assert memory(api) - before < MORE


def a_great_body(client: Client, count: int) -> int | None:
    """In chunks, so that nobody knows how much will come; None where it was cut off."""
    connection = client.connection()
    headers = {"Content-Type": "application/json"}
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/v1/jobs", (PIECE for _ in range(count)), headers)
        return connection.getresponse().status
    except (http.client.HTTPException, ConnectionResetError):
        return None
    finally:
        connection.close()


def test_a_thousand_idle_connections_and_who_comes_is_served(fleet: Fleet) -> None:
    """Though the process may open no more than 800 files."""
    port, hive = a_free_port(), Path(sys.executable).with_name("hive")
    few = ("/bin/sh", "-c", 'ulimit -n 800 && exec "$@"', "sh")
    api = fleet.program(*few, str(hive), "api", "--listen", f"127.0.0.1:{port}")
    fleet.said(api, "api.ready")
    ask = operator(fleet)
    token = ask.post("/tokens", {"role": "viewer"}).json["token"]
    ask.get("/openapi.json")
    before = memory(api)
    with ExitStack() as stack:
        for number in range(1000):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            if number % 2:
                idle.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Le")  # a slow writer
        assert Client(port=port, token=token).get("/whoami").json["role"] == "viewer"
        assert ask.get("/whoami").json["role"] == "operator"
        assert memory(api) - before < MORE
    assert "Traceback" not in api.err


KINDS = ("stop", "start", "restart", "rebuild")
JOBS_ASKED = 1000
KILLS = 3
KEPT = 20


@pytest.mark.parametrize("dialect", DIALECTS)
def test_of_a_thousand_jobs_that_are_asked_for_while_it_is_killed_each_is_there_once(
    tmp_path: Path, dialect: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("migrated_postgres_url") if dialect == "postgres" else None
    with a_fleet(tmp_path, **({"HIVE_DATABASE_URL": url} if url else {})) as fleet:
        api = fleet.hive("api")
        fleet.said(api, "api.ready")
        names = some_agents(fleet.host, JOBS_ASKED // len(KINDS))
        wanted = [(kind, name) for name in names for kind in KINDS]
        is_told = threading.Semaphore(0)
        with ThreadPoolExecutor(8) as clients:
            asked = [clients.submit(surely, fleet, one, is_told) for one in wanted]
            for _ in range(KILLS):
                for _ in range(JOBS_ASKED // (KILLS + 1)):
                    assert is_told.acquire(timeout=60), "nothing more is accepted"
                api.kill()
                api = fleet.hive("api")
                fleet.said(api, "api.ready")
            numbers = [one.result() for one in asked]
            for number in numbers[:KEPT]:  # and of these no equal work is live any more
                assert operator(fleet).post(f"/jobs/{number}/cancel").status == 200
            again = [surely(fleet, one, is_told) for one in wanted[:KEPT]]
        assert again == numbers[:KEPT]
        assert len(set(numbers)) == JOBS_ASKED
        with fleet.host.database.read() as session:
            there = session.execute(select(JOBS.c.id, JOBS.c.kind, JOBS.c.agent)).all()
        assert sorted(there) == sorted(
            (number, *one) for number, one in zip(numbers, wanted, strict=True)
        )


def surely(fleet: Fleet, wanted: tuple[str, str], is_told: threading.Semaphore) -> int:
    """The number of the job, asked for under one key until an answer comes."""
    kind, name = wanted
    asks = {"kind": kind, "agent": name}
    while True:
        try:
            said = operator(fleet).post("/jobs", asks, key=f"{kind}-{name}")
        except (OSError, http.client.HTTPException):
            fleet.until(lambda: answers(fleet), "somebody answers again")
            continue
        assert said.status == 202, said.body
        is_told.release()
        number: int = said.json["id"]
        return number


def answers(fleet: Fleet) -> bool:
    try:
        return operator(fleet).get("/healthz").status == 200
    except (OSError, http.client.HTTPException):
        return False


def some_agents(host: Host, count: int) -> list[str]:
    """So many rows of agents, each with a port of its own; nothing else of them is there."""
    made: dict[int, AgentName] = {}
    for number in range(10 * count):
        name = AgentName(f"a{number}")
        made.setdefault(port_of(name), name)
        if len(made) == count:
            break
    with host.database.write() as session:
        for port, name in made.items():
            row = Agent(host.node, name, port, Desired.RUNNING, AgentSettings())
            agents.put(session, row, now=host.clock.now())
    return list(made.values())


def test_without_its_database_it_says_so_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    with a_postgres() as server:
        server.start()
        with a_fleet(tmp_path, HIVE_DATABASE_URL=server.url) as fleet:
            port = a_free_port()
            api = fleet.hive("api", "--listen", f"127.0.0.1:{port}")
            fleet.said(api, "api.ready")
            ask = operator(fleet)
            viewer = Client(port=port, token=ask.post("/tokens", {"role": "viewer"}).json["token"])
            first = ask.post("/jobs", {"kind": "spawn", "agent": "alice"}, key="k").json["id"]
            with ask.stream("/events/live?after=0") as stream:
                stream.next()
                server.end(signal.SIGQUIT)  # at once, and all that serve
                for client in (ask, viewer):
                    for path in ("/agents", "/jobs", "/readyz", "/metrics", "/events"):
                        is_unavailable(client.get(path))
                is_unavailable(ask.post("/jobs", {"kind": "spawn", "agent": "bob"}, key="k2"))
                is_unavailable(ask.post(f"/jobs/{first}/cancel", key="k3"))
                assert ask.get("/healthz").status == 200
                server.start()
                assert ask.get("/readyz").status == 200
                assert viewer.get("/agents").status == 200
                again = ask.post("/jobs", {"kind": "spawn", "agent": "alice"}, key="k")
                assert (again.json["id"], again.json["new"]) == (first, False)
                second = ask.post("/jobs", {"kind": "spawn", "agent": "bob"}, key="k2").json["id"]
                heard = (json.loads(one["data"])["job"] for one in stream)
                assert second in heard  # by who listened all the while
            assert api.is_there


def is_unavailable(said: Answer) -> None:
    assert (said.status, said.code) == (503, "database-unavailable")
    assert "HIVE_DATABASE_URL" in said.json["hint"]
    assert said.headers["retry-after"] == "1"


def test_without_redis_it_accepts_and_rings_again_when_it_is_back(tmp_path: Path) -> None:
    with a_redis() as server:
        server.start()
        with a_fleet(tmp_path, HIVE_REDIS_URL=server.url) as fleet:
            api = fleet.hive("api")
            fleet.said(api, "api.ready")
            ask = operator(fleet)
            for number, act in enumerate((None, server.end, server.start)):
                if act is not None:
                    act()
                said = ask.post("/jobs", {"kind": "spawn", "agent": f"a{number}"}, key=f"k{number}")
                assert (said.status, said.json["new"]) == (202, True)
                assert ask.get("/readyz").status == 200
            assert len(ask.get("/jobs").items) == 3
            with redis.Redis.from_url(server.url) as client:

                def is_rung() -> bool:
                    """After a ring that failed none is tried for a moment."""
                    job = ask.post("/jobs", {"kind": "restart", "agent": "a0"}).json["id"]
                    assert ask.post(f"/jobs/{job}/cancel").status == 200
                    return bool(client.dbsize())

                fleet.until(is_rung, "it is rung again")
