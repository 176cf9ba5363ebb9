"""What a harness answers on its port: who it is, and how it is doing. It takes no orders there."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final

from typing_extensions import override

from hive.harness.standing import Standing

CURRENT_SYSTEM: Final = Path("/run/current-system")
AT_ONCE: Final = 32
"""Callers; all agents of a host share its network, and any of them may hang on here."""
PATIENCE: Final = 5.0
log = logging.getLogger("hive.harness")
HTML, JSON = "text/html", "application/json"


@contextmanager
def served(listening: socket.socket, standing: Standing, system: Path) -> Iterator[None]:
    """Answered from threads of its own, as long as what is inside goes on."""
    server = _Server(listening, partial(_Handler, standing, system))
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()  # `server_close` would wait for callers that hang


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, handler: partial[_Handler]) -> None:
        super().__init__(listening.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self._free = threading.BoundedSemaphore(AT_ONCE)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        """Who comes when too many are there is turned away, and no thread is made for him."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread to be had: it would not give its place back
            self._free.release()
            raise

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that leaves in the middle is no trouble of ours; anything else is a bug."""
        if not isinstance(sys.exception(), OSError):
            log.exception("page.failed")


class _Handler(BaseHTTPRequestHandler):
    timeout: ClassVar[float | None] = PATIENCE

    def __init__(self, standing: Standing, system: Path, *asked: Any) -> None:  # noqa: ANN401 - as its server hands it
        self._standing, self._system = standing, system
        super().__init__(*asked)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        said = self._standing.as_json()
        wants_page = HTML in self.headers.get("Accept", "")
        kind, body = (HTML, page(said)) if wants_page else (JSON, json.dumps(said) + "\n")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body.encode())))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    @override
    def end_headers(self) -> None:
        """Every answer says who answers: hive holds an agent for ready by these two."""
        self.send_header("Hive-Agent", self._standing.identity.agent)
        if self._system.exists():  # each time anew: a reload switches it under us
            self.send_header("Hive-System", str(self._system.resolve()))
        super().end_headers()

    @override
    def version_string(self) -> str:
        return "hive"

    @override
    def log_message(self, *_: object) -> None:
        """The journal is for what is new."""


def page(said: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(key.replace('_', ' '))}</th><td>{escape(str(value))}</td></tr>\n"
        for key, value in said.items()
        if value is not None
    )
    name = escape(str(said["agent"]))
    return (
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{name}</title>\n"
        "<style>body{font:16px/1.5 sans-serif;margin:3em auto;max-width:60em;padding:0 1em}"
        "th{text-align:left;padding-right:2em;white-space:nowrap}td{overflow-wrap:anywhere}"
        f"</style>\n<h1>{name}</h1>\n<table>\n{rows}</table>\n"
        "<p>This is hive's default harness: it notes messages, and nobody thinks here. "
        "<code>services.hive-agent.command</code> names another one.</p>\n</html>\n"
    )
