"""Knocking on an agent's port. Whatever answers there is the agent's: it may say anything.

And on a socket of this host's; and a POST to whoever an operator named.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final
from urllib.parse import unquote, urlsplit

from hive.errors import Transient

KNOCK = timedelta(seconds=1)
LOOK = timedelta(seconds=5)
LIMIT: Final = 1 << 16
"""Bytes of an answer's head."""
END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""


@dataclass(frozen=True, slots=True)
class Http:
    def knock(self, address: str, port: int, *, within: timedelta = KNOCK) -> Answer | None:
        """What `GET /` answers on this host, or None: nobody there, or nothing that is HTTP.

        `within` is for all of it: whoever answers a byte at a time does not answer.
        """
        deadline = time.monotonic() + within.total_seconds()
        try:
            timeout = within.total_seconds()
            with socket.create_connection((address, port), timeout=timeout) as connection:
                host = f"[{address}]" if ":" in address else address
                asked = f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
                connection.sendall(asked.encode())
                return _answer(_head(connection, deadline))
        except (OSError, OverflowError, UnicodeError, http.client.HTTPException):
            return None

    def post(self, url: str, body: bytes, *, within: timedelta) -> int:
        """The status with which a POST of this JSON is answered; no redirect is followed.

        `within` is for all of it, once the name is resolved. Raises `Transient`, code
        `not-delivered`, which names the host and nothing else of the URL.
        """
        to = _Target.of(url)
        try:
            return to.post(body, time.monotonic() + within.total_seconds())
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            said = getattr(error, "strerror", None) or type(error).__name__
            raise Transient(
                f"{to.host} was not reached: {said}", code="not-delivered"
            ) from None  # the cause may quote what is secret

    def refusal(self, url: str, *, within: timedelta = LOOK) -> str | None:
        """What is in the way of a GET of it, through proxies of the environment; None if nothing.

        `within` is for all of it, in a thread that is left alone after that: to resolve a name may
        take longer than anybody can bound.
        """
        answer: SimpleQueue[str | Exception | None] = SimpleQueue()
        threading.Thread(target=_get, args=(url, 2 * within, answer), daemon=True).start()
        try:
            said = answer.get(timeout=within.total_seconds())
        except Empty:
            return f"no answer in {within.total_seconds():.1f} s"
        if isinstance(said, Exception):
            raise said
        return said

    def is_served(self, path: Path) -> bool:
        """Whether somebody listens at the socket `path`."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(KNOCK.total_seconds())
            try:
                connection.connect(str(path))
            except (BlockingIOError, TimeoutError, PermissionError):
                return True  # its queue is full, or it is not for us: but it is there
            except OSError:
                return False
            return True


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL in its parts."""

    host: str
    port: int
    is_safe: bool
    path: str
    login: str | None

    @classmethod
    def of(cls, url: str) -> _Target:
        parts = urlsplit(url)
        is_safe = parts.scheme == "https"
        login = parts.netloc.rpartition("@")[0]
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        port = parts.port or (443 if is_safe else 80)
        return cls(parts.hostname or "", port, is_safe, path, unquote(login) or None)

    def post(self, body: bytes, deadline: float) -> int:
        left = deadline - time.monotonic()
        with ExitStack() as stack:
            connection = socket.create_connection((self.host, self.port), timeout=left)
            stack.enter_context(connection)
            if self.is_safe:
                safe = ssl.create_default_context()
                connection = safe.wrap_socket(connection, server_hostname=self.host)
                stack.enter_context(connection)
            connection.settimeout(max(deadline - time.monotonic(), 0.01))
            connection.sendall(self._head(len(body)) + body)
            return _answer(_head(connection, deadline)).status

    def _head(self, length: int) -> bytes:
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: {host}:{self.port}",
            "User-Agent: hive",
            "Content-Type: application/json",
            f"Content-Length: {length}",
            "Connection: close",
        ]
        if self.login is not None:
            lines.append(f"Authorization: Basic {b64encode(self.login.encode()).decode()}")
        return "\r\n".join([*lines, "", ""]).encode()


def _get(url: str, within: timedelta, answer: SimpleQueue[str | Exception | None]) -> None:
    # An opener of its own: the shared one keeps the proxies of its first call.
    opener = urllib.request.build_opener()
    try:
        with opener.open(url, timeout=within.total_seconds()):
            answer.put(None)
    except (OSError, ValueError, http.client.HTTPException) as error:
        answer.put(_named(error))
    except Exception as bug:  # noqa: BLE001 - raised again where it was asked for
        answer.put(bug)


def _named(error: Exception) -> str:
    """Of who answered, what; of who did not, why: `URLError` wraps that."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answers {error.code}"
    cause = getattr(error, "reason", error)
    return getattr(cause, "strerror", None) or str(cause) or type(error).__name__


def _head(connection: socket.socket, deadline: float) -> bytes:
    """All until the blank line. A timeout on the socket alone would begin anew at each byte."""
    said = bytearray()
    while END not in said:
        left = deadline - time.monotonic()
        if left <= 0 or len(said) > LIMIT:
            raise TimeoutError("it does not come to an end")
        connection.settimeout(left)
        piece = connection.recv(LIMIT)
        if not piece:
            raise ConnectionError("it ended in the middle")
        said += piece
    return bytes(said)


def _answer(head: bytes) -> Answer:
    answer = http.client.HTTPResponse(_Said(head))  # type: ignore[arg-type]  # asks for a file alone
    answer.begin()
    return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()})


@dataclass(frozen=True, slots=True)
class _Said:
    """What has been said already, in the place of a socket."""

    head: bytes

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self.head)
