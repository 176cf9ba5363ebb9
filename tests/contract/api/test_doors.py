"""The doors: made, re-made and gone; and what hostile clients get of them."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from hive.adapters.clock import SystemClock, wait_until
from hive.api import connection, sockets
from hive.api.connection import Connection, Room
from hive.api.identity import Door, Kind
from hive.api.server import EVERY, Api, Opened
from hive.api.sockets import TRIES
from hive.domain.agent import Desired
from hive.domain.authority import Role
from hive.errors import Refused
from hive.steps.daemon import OldDaemonGone
from hive.testing import FakeClock
from tests.asking import WITHIN, Client, Served, a_free_port, a_served_host, running
from tests.pretend import ALICE, BOB

CLOCK = SystemClock()


def becomes(condition: object, what: str) -> None:
    assert wait_until(CLOCK, condition, 20 * EVERY, EVERY / 20), what  # type: ignore[arg-type]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_door_lets_in_whom_it_is_for_and_nobody_else(served: Served) -> None:
    layout = served.host.layout
    assert mode(layout.host_socket) == 0o660
    assert mode(layout.socket(ALICE)) == 0o600
    assert mode(layout.sockets) == 0o700
    assert list(layout.sockets.iterdir()) == []


def test_an_api_that_begins_anew_makes_its_doors_anew(tmp_path: Path) -> None:
    with a_served_host(tmp_path) as served:
        layout = served.host.layout
        served.over.set()
        becomes(lambda: not layout.host_socket.exists(), "the sockets are gone")
        for path in (layout.host_socket, layout.socket(ALICE)):  # as kill -9 leaves them
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(str(path))
        with running(Api(served.host), threading.Event()):
            assert served.operator.get("/whoami").json["role"] == "operator"
            assert served.agent(ALICE).get("/whoami").json["agent"] == "alice"


def test_a_door_that_an_agent_took_away_is_made_again(served: Served) -> None:
    path = served.host.layout.socket(ALICE)
    path.unlink()
    becomes(path.exists, "it is made again")
    assert served.agent(ALICE).get("/whoami").json["agent"] == "alice"


def test_a_link_that_an_agent_put_there_is_replaced_and_never_followed(
    served: Served, tmp_path: Path
) -> None:
    path, secret = served.host.layout.socket(ALICE), tmp_path / "secret"
    secret.write_text("mine")
    secret.chmod(0o400)
    path.unlink()
    path.symlink_to(secret)
    becomes(path.is_socket, "the door is back")
    assert not path.is_symlink()
    assert (mode(secret), secret.read_text()) == (0o400, "mine")


def test_an_agent_that_comes_has_a_door_and_one_that_goes_has_none(served: Served) -> None:
    carol = type(ALICE)("carol")
    served.has(carol)
    path = served.host.layout.socket(carol)
    becomes(path.exists, "carol has a door")
    assert served.agent(carol).get("/whoami").json["agent"] == "carol"
    served.has(carol, desired=Desired.DESTROYED)
    becomes(lambda: not path.exists(), "carol's door is gone")
    assert served.agent(BOB).get("/whoami").status == 200


def test_a_second_api_waits_until_the_first_has_ended(served: Served) -> None:
    over, ready = threading.Event(), threading.Event()
    second = threading.Thread(target=Api(served.host).run, args=(over, ready.set))
    second.start()
    assert not ready.wait(1.5 * EVERY.total_seconds())
    served.over.set()
    assert ready.wait(20)
    assert served.operator.get("/whoami").status == 200
    over.set()
    second.join()


def test_our_own_api_is_not_taken_for_the_old_daemon(served: Served) -> None:
    found = OldDaemonGone().check(served.pretend.world())
    assert "somebody answers" not in found.because


def test_an_address_in_use_is_tried_twelve_times_and_then_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        clock = FakeClock()
        began = clock.monotonic()
        with pytest.raises(Refused) as refused:
            sockets.on_tcp(f"127.0.0.1:{other.getsockname()[1]}", clock, lambda: False)
    assert refused.value.code == "not-listening"
    assert TRIES == 12
    assert 10 < clock.monotonic() - began < 25


def test_an_address_that_was_just_left_is_taken_at_once() -> None:
    port = a_free_port()
    first = sockets.on_tcp(f"127.0.0.1:{port}", FakeClock(), lambda: False)
    assert first is not None
    client = socket.create_connection(("127.0.0.1", port))
    connection, _ = _accepted(first)
    connection.close()  # the server closes first: the address rests in TIME_WAIT
    first.close()
    client.close()
    second = sockets.on_tcp(f"127.0.0.1:{port}", FakeClock(), lambda: False)
    assert second is not None
    assert second.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
    second.close()


def _accepted(listening: socket.socket) -> tuple[socket.socket, object]:
    listening.setblocking(True)
    return listening.accept()


@pytest.mark.parametrize("address", ["", "7000", ":7000", "host:", "host:x", "host:99999"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Refused) as refused:
        sockets.parsed(address)
    assert refused.value.code == "bad-listen"


def test_a_body_beyond_a_mebibyte_is_refused_before_it_is_read(served: Served) -> None:
    connection = served.operator.connection()
    connection.putrequest("POST", "/v1/jobs")
    connection.putheader("Content-Length", str(1024 * 1024 + 1))
    connection.endheaders()
    with closing(connection), connection.getresponse() as got:
        assert (got.status, json.loads(got.read())["code"]) == (413, "too-large")


def test_a_body_that_does_not_say_how_long_it_is_ends_at_the_limit_too(served: Served) -> None:
    connection = served.operator.connection()
    chunks = (b"x" * 65_536 for _ in range(17))
    with closing(connection):
        connection.request("POST", "/v1/jobs", chunks, {"Content-Type": "application/json"})
        with connection.getresponse() as got:
            assert (got.status, json.loads(got.read())["code"]) == (413, "too-large")


def test_a_client_that_dawdles_over_its_request_is_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WITHIN", 0.3)
    with a_served_host(tmp_path) as served:
        for begun in (b"", b"GET /v1/whoami HTTP/1.1\r\nHost:", b"POST /v1/jobs HTTP/1.1\r\n"
                      b"Host: x\r\nContent-Length: 10\r\n\r\n{"):  # fmt: skip
            with socket.create_connection(("127.0.0.1", served.port), timeout=10) as slow:
                slow.sendall(begun)
                while slow.recv(4096):
                    pass
        with served.operator.stream("/events/live") as stream:
            threading.Event().wait(0.6)
            served.agent(ALICE).post("/status", {"text": "x"})
            assert stream.next()


def test_a_bug_is_told_without_a_traceback(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the secret of the house")

    monkeypatch.setattr("hive.service.tokens.listed", broken)
    said = served.operator.get("/tokens")
    assert (said.status, said.code) == (500, "fault")
    assert b"secret" not in said.body
    assert b"Traceback" not in said.body


def test_a_token_is_in_no_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    client = served.tcp(Role.VIEWER)
    assert client.token is not None
    client.get("/whoami")
    client.get("/nothing")
    client.post("/tokens", {"role": client.token})
    Client(port=served.port, token=client.token + "x").get("/whoami")
    assert client.token.rpartition("_")[2] not in caplog.text


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/docs", "/v1/../v1/jobs", "/v1/jobs/x", "/v1/agents/..%2f..",
     "/v1/jobs/99999999999999999999"],
)  # fmt: skip
def test_a_path_that_is_none_is_a_problem_like_any_other(served: Served, path: str) -> None:
    said = served.operator.ask("GET", path)
    assert said.status in (404, 422)
    assert said.code


@pytest.mark.parametrize("path", ["/", "/v1/nothing", "/v1/openapi.json", "/healthz", "/metrics"])
def test_who_brings_no_token_learns_not_even_what_there_is(served: Served, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        said = served.tcp(None).ask(method, path, b"{" if method == "POST" else None)
        assert (said.status, said.code) == (401, "no-token")


def test_the_description_is_there_for_who_may_ask(served: Served) -> None:
    assert served.tcp(Role.AGENT, ALICE).get("/openapi.json").json["info"]["title"] == "hive"


def test_who_was_let_in_as_the_door_closes_is_not_forgotten(tmp_path: Path) -> None:
    """Between the accept and the transport lies one turn of the loop."""

    async def close_behind_a_client() -> bytes:
        state, path = ServerState(), tmp_path / "door"
        loop = asyncio.get_running_loop()
        make = partial(Connection, Door(Kind.HOST), Config(nothing), state, Room())
        server = await loop.create_unix_server(make, path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            for _ in range(2):  # a turn in which the loop hears of it, and one to accept it
                await asyncio.sleep(0)
            await Opened(Door(Kind.HOST), server, state, None).close()
            client.setblocking(False)
            return await asyncio.wait_for(loop.sock_recv(client, 1), WITHIN)

    async def nothing(_scope: object, _receive: object, _send: object) -> None: ...

    assert asyncio.run(close_behind_a_client()) == b""
