"""hive's API as a client meets it: a server that answers what it was told, and one that is rude."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

PROBLEM = "application/problem+json"
Answer = Callable[["Heard"], Any]


@dataclass(frozen=True, slots=True)
class Heard:
    line: str
    """Such as `GET /v1/agents`."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that is more than JSON and 200."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/json"


def problem(status: int, code: str, detail: str = "it is so", hint: str = "do this") -> Said:
    said = {"status": status, "code": code, "detail": detail, "hint": hint}
    return Said(json.dumps(said).encode(), status, PROBLEM)


def stream(*events: tuple[int, Mapping[str, Any]]) -> Said:
    text = "".join(f"id: {number}\ndata: {json.dumps(data)}\n\n" for number, data in events)
    return Said(f": hello\n\n{text}".encode(), kind="text/event-stream")


@dataclass
class FakeApi:
    """What it was not told it refuses by naming it."""

    place: str | Path = ""
    heard: list[Heard] = field(default_factory=list)
    answers: dict[str, list[Any]] = field(default_factory=dict)

    def on(self, line: str, *answers: Any) -> None:  # noqa: ANN401 - JSON, `Said`, or an `Answer`
        """One for each call; the last one from then on."""
        self.answers[line] = list(answers)

    @property
    def asked(self) -> list[str]:
        return [one.line for one in self.heard]

    def answer(self, heard: Heard) -> Said:
        self.heard.append(heard)
        left = self.answers.get(heard.line)
        if left is None:
            return problem(404, "no-such-endpoint", f"nobody told me of {heard.line}")
        given = left.pop(0) if len(left) > 1 else left[0]
        value = given(heard) if callable(given) else given
        return value if isinstance(value, Said) else Said(json.dumps(value).encode())


class UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX  # type: ignore[mutable-override]  # an int is asked for

    @override
    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)


@contextmanager
def an_api(path: Path | None = None) -> Iterator[FakeApi]:
    """On loopback, or at the socket `path`."""
    api = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self.respond
            raise AttributeError(name)

        def respond(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said = api.answer(
                Heard(
                    f"{self.command} {parts.path}",
                    dict(parse_qsl(parts.query)),
                    dict(self.headers),
                    json.loads(body) if body else None,
                )
            )
            self.send_response(said.status)
            self.send_header("Content-Type", said.kind)
            self.end_headers()
            self.wfile.write(said.body)

        @override
        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server: ThreadingHTTPServer
    if path is None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        api.place = f"http://127.0.0.1:{server.server_port}"
    else:
        server = UnixServer(str(path), Handler)  # type: ignore[arg-type]  # a path is its address
        api.place = path
    with server, _running(lambda: server.serve_forever(0.01), server.shutdown):
        yield api


@contextmanager
def a_rude_server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Each connection is `behave`'s, after a first piece of the request was heard; then closed."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(1 << 16)
                behave(connection)

    def stop() -> None:
        listening.shutdown(socket.SHUT_RDWR)

    with listening, _running(serve, stop):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def _running(work: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()
