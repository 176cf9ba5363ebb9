"""More connections than a door has, and answers that nobody takes: all others are served on."""

from __future__ import annotations

import resource
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hive.adapters.clock import SystemClock, wait_until
from hive.api import connection, streams
from hive.api.connection import AT_ONCE
from hive.api.identity import Kind
from hive.api.server import EVERY
from hive.domain.authority import Role
from tests.asking import Served, Stream, a_served_host
from tests.contract.api.test_streams import a_line
from tests.contract.store_samples import a_running_job
from tests.pretend import ALICE, BOB

FULL = 8


@pytest.fixture(autouse=True)
def nothing_ends_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WITHIN", 1000.0)


def becomes(condition: object, what: str) -> None:
    assert wait_until(SystemClock(), condition, 20 * EVERY, EVERY / 20), what  # type: ignore[arg-type]


def idle(served: Served, stack: ExitStack, count: int) -> list[socket.socket]:
    at = ("127.0.0.1", served.port)
    return [stack.enter_context(socket.create_connection(at, 10)) for _ in range(count)]


def has_ended(one: socket.socket) -> bool:
    """The other end has closed it."""
    return bool(select.select([one], [], [], 0)[0]) and one.recv(1, socket.MSG_PEEK) == b""


@contextmanager
def listening(served: Served, count: int) -> Iterator[list[Stream]]:
    client = served.tcp(Role.VIEWER)
    headers = {"Authorization": f"Bearer {client.token}"}
    with ExitStack() as stack:
        yield [stack.enter_context(client.stream("/events/live", **headers)) for _ in range(count)]


def test_who_comes_is_served_though_idle_ones_fill_the_door(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AT_ONCE, Kind.TCP, FULL)
    client = served.tcp(Role.VIEWER)
    with ExitStack() as stack:
        crowd = idle(served, stack, 5 * FULL)
        for _ in range(3):
            assert client.get("/whoami").status == 200
        becomes(lambda: sum(map(has_ended, crowd)) >= 4 * FULL, "the first to come have gone")
        assert not has_ended(crowd[-1])
        assert served.operator.get("/whoami").status == 200


def test_who_is_being_answered_is_not_sent_away_for_who_comes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = served.tcp(Role.VIEWER)
    client.get("/whoami")
    with listening(served, FULL) as told:
        monkeypatch.setattr(connection, "AT_ONCE", {**AT_ONCE, Kind.TCP: FULL})
        said = client.get("/whoami")
        assert (said.status, said.code) == (503, "too-many-connections")
        assert said.json["hint"]
        served.agent(ALICE).post("/status", {"text": "one"})
        for stream in told:
            assert stream.next()["event"] == "agent.status"
        assert served.operator.get("/whoami").status == 200
    becomes(lambda: client.get("/whoami").status == 200, "there is room again")


def test_all_doors_together_take_no_more_than_the_process_has_files(tmp_path: Path) -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < connection.room() < files
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "room", lambda: FULL)
        with a_served_host(tmp_path) as served, ExitStack() as stack:
            crowd = idle(served, stack, 5 * FULL)
            assert served.operator.get("/whoami").status == 200
            becomes(lambda: sum(map(has_ended, crowd)) >= 4 * FULL, "the first have gone")


def test_who_takes_nothing_of_an_answer_is_left(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "UNREAD", 0.3)
    with served.host.database.write() as session:
        job = a_running_job(session)
    for _ in range(100):
        a_line(served, job, "x" * 60_000)
    asks = b"GET /v1/jobs/%d/logs HTTP/1.1\r\nHost: x\r\n\r\n" % job.id
    live = b"GET /v1/jobs/%d/logs/live HTTP/1.1\r\nHost: x\r\n\r\n" % job.id
    for asked in (asks, live):
        half_open = served.operator.connection()
        half_open.connect()
        half_open.sock.sendall(asked)
        hung_up = select.poll()
        hung_up.register(half_open.sock, 0)  # only that it is closed, never that there is more
        assert hung_up.poll(20_000), "the API waits for who takes nothing"
        half_open.close()
    assert served.operator.get("/whoami").status == 200
    assert len(served.operator.get(f"/jobs/{job.id}/logs").items) == 100


def test_who_may_not_listen_as_too_many_do_is_told_so(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST", dict.fromkeys(Kind, 2))
    with listening(served, 1), listening(served, 1) as (stream,):
        for path in ("/events/live", "/events/live?after=0"):
            said = served.tcp(Role.VIEWER).get(path)
            assert (said.status, said.code) == (503, "too-many-streams")
        with served.operator.stream("/events/live"):
            pass  # another door
        served.agent(ALICE).post("/status", {"text": "one"})
        assert stream.next()


def test_an_agent_that_listens_often_keeps_nobody_else_from_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many agents as there are wait for their messages, each at its own door."""
    monkeypatch.setattr(streams, "MOST", dict.fromkeys(Kind, 2))
    alice, bob = served.agent(ALICE), served.agent(BOB)
    with ThreadPoolExecutor(3) as parked:
        waits = [parked.submit(alice.post, "/inbox/alice/take", {"wait": 30}) for _ in range(3)]
        refused = next(as_completed(waits)).result()
        assert (refused.status, refused.code) == (503, "too-many-streams")
        assert bob.post("/inbox/bob/take", {"wait": 0.1}).items == []
        with listening(served, 1):
            for _ in range(2):
                served.operator.post("/messages", {"to": "alice", "text": "go on"})
        answered = [one.result() for one in waits]
        assert sorted(one.status for one in answered) == [200, 200, 503]
