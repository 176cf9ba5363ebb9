"""Where hive's API listens: at a socket of this host, or behind a URL."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from typing_extensions import override

from hive.errors import Refused


class Place(Protocol):
    @property
    def host(self) -> str:
        """As the header `Host` says it."""

    @property
    def port(self) -> int | None: ...

    @property
    def prefix(self) -> str:
        """What stands before each route."""

    def connect(self, within: float) -> socket.socket:
        """Raises `OSError`. Each step of it may take `within` seconds."""


@dataclass(frozen=True, slots=True)
class SocketPlace:
    """Who may open the socket is whom it belongs to: no token is asked for."""

    path: Path
    host: str = "localhost"
    port: int | None = None
    prefix: str = ""

    def connect(self, within: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(within)
            connection.connect(str(self.path))
        except BaseException:
            connection.close()
            raise
        return connection

    @override
    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class UrlPlace:
    host: str
    port: int
    is_safe: bool
    prefix: str = ""

    def connect(self, within: float) -> socket.socket:
        connection = socket.create_connection((self.host, self.port), timeout=within)
        if not self.is_safe:
            return connection
        try:
            safe = ssl.create_default_context()
            return safe.wrap_socket(connection, server_hostname=self.host)
        except BaseException:
            connection.close()
            raise

    @override
    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_safe else 'http'}://{host}:{self.port}{self.prefix}"


def place_of(where: str | Path) -> Place:
    """Of an absolute path, or a URL of http or https. Raises `Refused`, code `bad-api-url`."""
    text = str(where)
    if text.startswith("/"):
        return SocketPlace(Path(text))
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _bad() from None
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise _bad()
    is_safe = parts.scheme == "https"
    return UrlPlace(
        parts.hostname, port or (443 if is_safe else 80), is_safe, parts.path.rstrip("/")
    )


def _bad() -> Refused:
    """The text is not quoted: it may hold a password."""
    return Refused(
        "this is no place where hive's API could listen",
        code="bad-api-url",
        hint="an absolute path of a socket, or https://HOST[:PORT]; a token is given beside it",
    )
