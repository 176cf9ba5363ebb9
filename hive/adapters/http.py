"""Knocking on an agent's port. Whatever answers there is the agent's: it may say anything.

And on a socket of this host's.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

KNOCK = timedelta(seconds=1)
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
