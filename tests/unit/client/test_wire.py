from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hive.client import Client, wire
from hive.client.places import place_of
from hive.errors import Fault, HiveError, IllegalMove, NotFound, Refused, Transient
from tests.fake_api import FakeApi, Said, a_rude_server, an_api, problem
from tests.unit.client.samples import me

Rude = Callable[[socket.socket], None]
SOON = timedelta(seconds=0.3)
ME = me()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(params=["loopback", "socket"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeApi]:
    with an_api(tmp_path / "hive.sock" if request.param == "socket" else None) as api:
        yield api


def test_an_answer_comes_back_over_a_socket_and_over_tcp(api: FakeApi) -> None:
    api.on("GET /v1/whoami", ME)
    assert dict(Client.at(api.place).whoami()) == ME


def test_a_token_and_a_key_stand_in_headers_and_nothing_else_does(api: FakeApi) -> None:
    api.on("POST /v1/jobs", problem(422, "refused"))
    with pytest.raises(Refused):
        Client.at(api.place, "hive_1_secret").submit("spawn", "alice", key="once")
    (heard,) = api.heard
    assert heard.headers["Authorization"] == "Bearer hive_1_secret"
    assert heard.headers["Idempotency-Key"] == "once"
    assert heard.body == {"kind": "spawn", "agent": "alice"}


def test_without_a_token_none_is_sent(api: FakeApi) -> None:
    api.on("GET /v1/whoami", ME)
    Client.at(api.place).whoami()
    assert "Authorization" not in api.heard[0].headers


def test_a_url_may_have_a_path_before_the_routes() -> None:
    with an_api() as api:
        api.on("GET /hive/v1/whoami", ME)
        assert Client.at(f"{api.place}/hive/").whoami()["name"] == "alice"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "no-such-job", NotFound),
        (409, "illegal-move", IllegalMove),
        (409, "port-taken", Refused),
        (422, "bad-name", Refused),
        (403, "not-allowed", Refused),
        (401, "no-token", Refused),
        (503, "database-unavailable", Transient),
        (429, "too-many", Transient),
        (500, "fault", Fault),
    ],
)
def test_a_problem_is_the_error_that_it_was(
    api: FakeApi, status: int, code: str, kind: type[HiveError]
) -> None:
    api.on("GET /v1/jobs/7", problem(status, code, "what is so", "what to do"))
    with pytest.raises(HiveError) as caught:
        Client.at(api.place).job(7)
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.code) == ("what is so", code)
    assert caught.value.hint == "what to do"


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        (Said(b"<h1>Bad Gateway</h1>", 502, "text/html"), Transient, "api-unreachable"),
        (Said(b"oops", 500, "text/plain"), Fault, "fault"),
        (Said(b"<h1>who?</h1>", 404, "text/html"), Refused, "not-hive"),
        (Said(b"{}", 404, "application/json"), Refused, "not-hive"),
        (Said(b"", 301, "text/html"), Refused, "not-hive"),
        (Said(b"<h1>hello</h1>", 200, "text/html"), Refused, "not-hive"),
        (Said(b"[1]"), Refused, "not-hive"),
        (Said(b"{nonsense"), Refused, "not-hive"),
        (Said(b"\xff\xfe"), Refused, "not-hive"),
        (Said(b"[" * 1_000_000), Refused, "not-hive"),
        (Said(b'{"role": "agent"}'), Refused, "not-hive"),
        (Said(b'{"code": 1, "detail": []}', 422, "application/problem+json"), Refused, "refused"),
    ],
)
def test_what_is_not_hives_answer_is_called_so(
    api: FakeApi, said: Said, kind: type[HiveError], code: str
) -> None:
    api.on("GET /v1/whoami", said)
    with pytest.raises(HiveError) as caught:
        Client.at(api.place).whoami()
    assert (type(caught.value), caught.value.code) == (kind, code)


def test_a_list_whose_items_lack_a_key_is_not_hives(api: FakeApi) -> None:
    api.on("GET /v1/workers", {"items": [{"id": "x"}], "next": None})
    api.on("GET /v1/nodes", {"nodes": []})
    with pytest.raises(Refused, match="lacks 'alive' of worker"):
        Client.at(api.place).workers()
    with pytest.raises(Refused, match="no list"):
        Client.at(api.place).nodes()


def test_where_nobody_listens_it_may_be_tried_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    for place in (url, stale, tmp_path / "missing.sock"):
        with pytest.raises(Transient) as caught:
            Client.at(place).whoami()
        assert caught.value.code == "api-unreachable"
        assert str(place) in caught.value.message
        assert caught.value.hint


def silent(connection: socket.socket) -> None:
    connection.recv(1)


def dripping(connection: socket.socket) -> None:
    """A byte at a time, for ever: no single wait is long."""
    connection.settimeout(0.02)
    while True:
        connection.sendall(b"x")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue


def dripping_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    dripping(connection)


def dripping_body(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
    dripping(connection)


def dripping_chunk(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n")
    dripping(connection)


@pytest.mark.parametrize("rude", [silent, dripping_headers, dripping_body, dripping_chunk])
def test_an_answer_that_does_not_come_to_an_end_is_given_up(
    rude: Callable[[socket.socket], None],
) -> None:
    with a_rude_server(rude) as url, pytest.raises(Transient) as caught:
        Client.at(url, within=SOON).whoami()
    assert caught.value.code == "api-silent"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"nonsense\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_half_an_answer_is_none(said: bytes) -> None:
    with a_rude_server(lambda connection: connection.sendall(said)) as url:
        client = Client.at(url, within=timedelta(seconds=5))
        with pytest.raises(Transient) as caught:
            client.whoami()
    assert caught.value.code == "api-broke-off"
    assert "look before you ask again" in caught.value.hint


def test_an_answer_that_is_too_long_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "LIMIT", 1 << 20)

    def endless(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        while True:
            connection.sendall(b" " * 65536)

    with a_rude_server(endless) as url, pytest.raises(Refused, match="more than 1048576 bytes"):
        Client.at(url).whoami()


def test_who_answers_before_the_request_is_whole_is_heard() -> None:
    said = problem(413, "too-large", "it is too long")
    head = f"HTTP/1.1 413 No\r\nContent-Type: {said.kind}\r\nContent-Length: {len(said.body)}\r\n"

    def refuse(connection: socket.socket) -> None:
        connection.sendall(head.encode() + b"\r\n" + said.body)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass

    with a_rude_server(refuse) as url, pytest.raises(Refused, match="it is too long"):
        Client.at(url).send("alice", "x" * 1_000_000)


@pytest.mark.parametrize(
    "where",
    ["", "hive.sock", "ftp://host/", "http://", "https://user:pw@host/", "http://host:x/"],
)
def test_a_place_that_is_none_is_refused_and_not_quoted(where: str) -> None:
    with pytest.raises(Refused) as caught:
        Client.at(where)
    assert caught.value.code == "bad-api-url"
    assert "pw" not in caught.value.message


def test_a_place_says_its_port() -> None:
    assert str(place_of("https://host/hive/")) == "https://host:443/hive"
    assert str(place_of("http://[::1]")) == "http://[::1]:80"
    assert str(place_of("/run/hive/hive.sock")) == "/run/hive/hive.sock"


@pytest.mark.parametrize("token", ["a\r\nX: y", "ü", "a\x00"])
def test_a_token_that_would_be_more_than_a_header_is_refused(token: str) -> None:
    with pytest.raises(Refused) as caught:
        Client.at("http://127.0.0.1:1", token).whoami()
    assert caught.value.code == "bad-header"
    assert token not in str(caught.value)
