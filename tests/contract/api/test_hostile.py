"""What no honest client sends: each is refused in a line, and the next request is answered."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from hive.api.routes import Endpoint, endpoints
from hive.domain.authority import Role
from tests.asking import Answer, Client, Served, a_served_host
from tests.contract.conftest import DIALECTS
from tests.pretend import ALICE

WORDS = ["..", ".", "\0", "a\0b", "\ufffd", "\ud800", "a" * 5000, "/", "\\", "\r\n", " ", "%", "ſ"]
"""What a name could be in a path, a query or a body; half of a pair of UTF-16 too."""


@pytest.fixture(scope="module", params=DIALECTS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder, settings = tmp_path_factory.mktemp("api"), {}
    if request.param == "postgres":
        settings["HIVE_DATABASE_URL"] = request.getfixturevalue("one_postgres_url")
    with a_served_host(folder, **settings) as served:
        yield served


def refused(said: Answer) -> None:
    assert 400 <= said.status < 500, (said.status, said.body)
    assert said.code
    assert said.json["hint"], said.body


def fits(said: Answer) -> None:
    """Refused, or nothing was found; never a bug."""
    assert said.status < 500, (said.status, said.body)
    if said.status >= 400:
        refused(said)


CODES = ("bad-request", "no-token", "no-such-endpoint")


def quoted(word: str) -> str:
    """Each byte, as a client would that hides nothing."""
    return "".join(f"%{byte:02x}" for byte in word.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("endpoint", endpoints(), ids=lambda one: f"{one.method} {one.path}")
def test_any_word_in_any_part_of_a_path(served: Served, endpoint: Endpoint) -> None:
    for word in WORDS:
        path = endpoint.path
        for part in ("name", "number", "recipient", "node", "verb"):
            path = path.replace(f"{{{part}}}", quoted(word))
        if path != endpoint.path:
            fits(served.operator.ask(endpoint.method, path, {} if endpoint.has_body else None))


@pytest.mark.parametrize(
    "path",
    ["/jobs?agent=", "/jobs?kind=", "/jobs?state=", "/jobs?cursor=", "/jobs?limit=",
     "/events?kind=", "/events?agent=", "/events?job=", "/events?after=",
     "/events/live?agent=", "/events/live?after=", "/plan/apply?agent=alice&rev=",
     "/plan/rollback?agent=alice&to=", "/plan/stop?agent=", "/inbox/alice?node=",
     "/inbox/alice?limit="],
)  # fmt: skip
def test_any_word_in_any_part_of_a_query(served: Served, path: str) -> None:
    for word in WORDS:
        fits(served.operator.get(path + quoted(word)))


BODIES: list[tuple[str, str, dict[str, Any], str]] = [
    *(("POST", "/jobs", {"kind": "propose", "agent": "alice", "rev": "0" * 40}, field)
      for field in ("kind", "agent", "node", "rev", "message", "restart", "to")),
    ("POST", "/jobs", {"kind": "spawn", "agent": "carol"}, "message"),
    ("POST", "/jobs/1/approve", {}, "expected"),
    ("POST", "/jobs/1/deny", {}, "note"),
    ("PATCH", "/agents/alice", {"settings": []}, "settings"),
    ("POST", "/inbox/alice/take", {}, "limit"),
    *(("POST", "/messages", {"to": "alice", "text": "x"}, field)
      for field in ("to", "text", "node", "reply_to")),
    ("POST", "/messages/ack", {}, "ids"),
    *(("POST", "/schedules", {"name": "n", "cron": "0 4 * * *", "verb": "sweep"}, field)
      for field in ("name", "cron", "verb", "zone", "catch_up")),
    *(("POST", "/tokens", {"role": "agent", "agent": "alice"}, field)
      for field in ("role", "agent", "expires")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "field"), BODIES)
def test_any_word_in_any_field_of_a_body(
    served: Served, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    for word in WORDS:
        value = [word] if field in ("settings", "ids") else word
        fits(served.operator.ask(method, f"/v1{path}", {**body, field: value}))
        key = {**body, word: 1}
        refused(served.operator.ask(method, f"/v1{path}", key))


def test_any_word_as_what_an_agent_says_of_itself(served: Served) -> None:
    for word in WORDS:
        fits(served.agent(ALICE).post("/status", {"text": word}))


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"nul", b'{"kind": "stop"', b"[" * 200_000, b'{"kind":' * 100_000, b"\xff\xfe{",
     b'{"kind": "\xc3\x28"}', b'{"kind": "\\ud800"}', b"\0" * 100, b'{"kind": NaN}', b"1e999999",
     b"9" * 100_000, b'{"kind": "stop", "kind": "fly"}'],
    ids=range(14),
)  # fmt: skip
def test_a_body_that_is_no_honest_json(served: Served, body: bytes) -> None:
    for path in ("/v1/jobs", "/v1/messages", "/v1/jobs/1/deny", "/v1/nodes/here/pause"):
        said = served.operator.ask("POST", path, body)
        if path.endswith(("deny", "pause")) and not body:
            continue  # it needs none
        fits(said)
    refused(served.operator.ask("POST", "/v1/jobs", body))


@pytest.mark.parametrize(
    "said",
    [b"GET /v1/jobs\0 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /v1/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
     b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", b"\x16\x03\x01\x02\x00",
     b"GET /v1/jobs HTTP/1.1\r\n\r\n",
     b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
     b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
     b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
     b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
     b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
     b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
     b"GET /v1/ HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000,
     b"GET /v1/jobs HTTP/1.1\r\n" + b"X: a\r\n" * 20_000 + b"\r\n"],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_http_is_a_problem_and_the_connection_ends(served: Served, said: bytes) -> None:
    for connection in (
        served.operator.connection(),
        Client(port=served.port).connection(),
    ):
        connection.connect()
        with closing(connection):
            told = sent(connection.sock, said)
        head, _, body = told.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert b" 4" in lines[0], told[:200]
        assert b"content-type: application/problem+json" in [line.lower() for line in lines], told
        assert json.loads(body)["code"] in CODES, told
    assert served.operator.get("/whoami").status == 200


def sent(connection: socket.socket, said: bytes) -> bytes:
    """All that is answered until it is closed: who is refused is not always heard to the end."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(said)
    told = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            told += piece
    return told


@pytest.mark.parametrize("name", ["Idempotency-Key", "Last-Event-ID", "Authorization", "Origin"])
@pytest.mark.parametrize(
    "value", ["..", "\xff\xfe", "\t", "a" * 10_000, "ü", "%00", "-1", "9" * 30]
)
def test_any_word_in_a_header(served: Served, name: str, value: str) -> None:
    header = {name.replace("-", "_"): value}
    fits(served.operator.ask("POST", "/v1/nodes/here/resume", None, **header))
    fits(served.operator.ask("GET", "/v1/jobs/4711/logs/live", None, **header))
    with (
        served.operator.stream("/events/live", **header)
        if name == "Last-Event-ID"
        else (closing(served.operator.connection()))
    ):
        pass


@pytest.mark.parametrize("role", [Role.VIEWER, None])
def test_an_endless_token_is_none(served: Served, role: Role | None) -> None:
    client = Client(port=served.port, token="hive_" + "9" * 40_000)
    assert client.get("/whoami").code == "no-token"
    assert Client(port=served.port, token="hive_1_\xff").get("/whoami").code == "no-token"


def test_what_no_database_takes_of_a_text_is_refused_or_marked(served: Served) -> None:
    refused(served.operator.post("/messages", {"to": "bob", "text": "a\ud800b"}))
    for text in ("ſ\U0001f41d", "\r\n\x1b[2J", "a\0b"):
        sent = served.operator.post("/messages", {"to": "bob", "text": text})
        assert (sent.status, sent.json["text"]) == (201, text.replace("\0", "\ufffd"))
