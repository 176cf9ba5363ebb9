"""Knocking on a port, behind which anything may be: an answer in time, or none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from hive.adapters.http import Http

HERE = "127.0.0.1"
SHORT = timedelta(milliseconds=200)
LONG = timedelta(seconds=30)
Talk = Callable[[socket.socket, threading.Event], None]


@contextmanager
def served(talk: Talk) -> Iterator[int]:
    """A port where each caller is talked to like this, until the test is over."""
    over = threading.Event()
    listener = socket.create_server((HERE, 0))

    def serve() -> None:
        while not over.is_set():
            with suppress(OSError):
                caller, _ = listener.accept()
                with caller:
                    talk(caller, over)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        with suppress(OSError), socket.create_connection(listener.getsockname(), timeout=1):
            pass
        thread.join()
        listener.close()


def saying(answer: bytes) -> Talk:
    def talk(caller: socket.socket, over: threading.Event) -> None:
        caller.recv(4096)
        caller.sendall(answer)

    return talk


def silent(caller: socket.socket, over: threading.Event) -> None:
    over.wait()


def dripping(piece: bytes) -> Talk:
    """Never silent for long, and never at an end."""

    def talk(caller: socket.socket, over: threading.Event) -> None:
        while not over.wait(0.02):
            caller.sendall(piece)

    return talk


def flooding(caller: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        caller.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 65536)


def test_an_answer_is_its_status_and_its_headers() -> None:
    said = b"HTTP/1.1 204 Fine\r\nX-Hive-Agent: alice\r\nX-Hive-System: /nix/x\r\n\r\n"
    with served(saying(said)) as port:
        answer = Http().knock(HERE, port, within=LONG)
    assert answer is not None
    assert answer.status == 204
    assert {**answer.headers} == {"x-hive-agent": "alice", "x-hive-system": "/nix/x"}


def test_the_agent_is_asked_for_its_first_page() -> None:
    heard: list[bytes] = []

    def talk(caller: socket.socket, over: threading.Event) -> None:
        heard.append(caller.recv(4096))
        caller.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    with served(talk) as port:
        assert Http().knock(HERE, port, within=LONG) is not None
    request, *headers = heard[0].decode().split("\r\n")
    assert request == "GET / HTTP/1.1"
    assert f"Host: {HERE}:{port}" in headers
    assert "Connection: close" in headers


@pytest.mark.parametrize("status", [200, 302, 404, 500, 503])
def test_any_status_is_an_answer(status: int) -> None:
    with served(saying(f"HTTP/1.1 {status} \r\n\r\nbody".encode())) as port:
        answer = Http().knock(HERE, port, within=LONG)
    assert answer is not None
    assert answer.status == status


def test_an_answer_is_not_waited_for_to_its_end() -> None:
    def talk(caller: socket.socket, over: threading.Event) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        over.wait()

    with served(talk) as port:
        assert Http().knock(HERE, port, within=LONG) is not None


def test_where_nobody_is_nobody_answers() -> None:
    with socket.create_server((HERE, 0)) as listener:
        port = listener.getsockname()[1]
    assert Http().knock(HERE, port, within=LONG) is None


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 many OK\r\n\r\n",
        b"HTTP/9 200 OK\r\n\r\n",
        b"\x16\x03\x01\0\xff\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: 1",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_none(said: bytes) -> None:
    with served(saying(said)) as port:
        assert Http().knock(HERE, port, within=LONG) is None


PIECES = [b"H", b"X: 1\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]


@pytest.mark.parametrize("talk", [silent, flooding, *map(dripping, PIECES)])
def test_whoever_never_comes_to_an_end_is_left_at_the_deadline(talk: Talk) -> None:
    with served(talk) as port:
        before = time.monotonic()
        assert Http().knock(HERE, port, within=SHORT) is None
        assert time.monotonic() - before < LONG.total_seconds()


@pytest.mark.parametrize("address", ["", "a..b", "x" * 300, "127.0.0.1 ", "\0", "127.0.0.256.1"])
def test_an_address_that_is_none_has_nobody(address: str) -> None:
    assert Http().knock(address, 9, within=SHORT) is None


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_a_port_that_is_none_has_nobody(port: int) -> None:
    assert Http().knock(HERE, port, within=SHORT) is None


def test_somebody_listens_at_a_socket_or_nobody_does(tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    assert not Http().is_served(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert not Http().is_served(path), "it is bound, and nobody listens"
        listener.listen(0)
        assert Http().is_served(path)
    assert not Http().is_served(path), "its file is left of one that is gone"
    assert not Http().is_served(tmp_path)
    assert not Http().is_served(tmp_path / ("x" * 200))
