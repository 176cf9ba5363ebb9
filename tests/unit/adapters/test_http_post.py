"""A POST to whoever an operator named: its status in time, or an error that keeps the secret."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from hive.adapters.http import Http
from hive.errors import Transient
from tests.unit.adapters.test_http import HERE, LONG, SHORT, Talk, dripping, saying, served, silent

SECRET = "hunter2"


def post(port: int, path: str = "/", login: str = "") -> int:
    return Http().post(f"http://{login}{HERE}:{port}{path}", b'{"a": 1}\n', within=LONG)


@pytest.mark.parametrize("status", [200, 204, 302, 404, 429, 500])
def test_any_status_is_an_answer_and_no_redirect_is_followed(status: int) -> None:
    said = f"HTTP/1.1 {status} \r\nLocation: http://{HERE}:1/\r\n\r\n".encode()
    with served(saying(said)) as port:
        assert post(port) == status


def test_the_body_is_sent_whole_with_what_a_server_needs_to_know() -> None:
    heard = bytearray()

    def talk(caller: socket.socket, over: threading.Event) -> None:
        while not heard.endswith(b"}\n"):
            heard.extend(caller.recv(4096))
        caller.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    with served(talk) as port:
        assert post(port, "/a/b?c=d", login="ann:a%40b@") == 200
    head, _, body = heard.decode().partition("\r\n\r\n")
    request, *headers = head.split("\r\n")
    assert request == "POST /a/b?c=d HTTP/1.1"
    assert body == '{"a": 1}\n'
    assert f"Host: {HERE}:{port}" in headers
    assert "Content-Length: 9" in headers
    assert "Content-Type: application/json" in headers
    assert "Authorization: Basic YW5uOmFAYg==" in headers


def refused(url: str) -> str:
    with pytest.raises(Transient) as raised:
        Http().post(url, b"{}", within=SHORT)
    assert raised.value.code == "not-delivered"
    assert raised.value.__cause__ is None
    return raised.value.message


def test_where_nobody_is_only_the_host_is_named() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
    said = refused(f"http://{SECRET}@{HERE}:{port}/{SECRET}?{SECRET}")
    assert said == f"{HERE} was not reached: Connection refused"


@pytest.mark.parametrize("talk", [silent, dripping(b"H"), dripping(b"X: 1\r\n")])
def test_whoever_never_comes_to_an_end_is_left_at_the_deadline(talk: Talk) -> None:
    with served(talk) as port:
        before = time.monotonic()
        refused(f"http://{HERE}:{port}/{SECRET}")
        assert time.monotonic() - before < LONG.total_seconds()


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: 1"])
def test_what_is_no_answer_is_transient(said: bytes) -> None:
    with served(saying(said)) as port:
        assert SECRET not in refused(f"http://{HERE}:{port}/{SECRET}")


def test_a_server_that_speaks_no_tls_is_not_spoken_to() -> None:
    with served(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        assert SECRET not in refused(f"https://{HERE}:{port}/{SECRET}")
