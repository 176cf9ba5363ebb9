"""Sockets made by us: at their path in one rename, and again where somebody took one away."""

from __future__ import annotations

import errno
import grp
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from hive.adapters.clock import Clock
from hive.errors import Refused

ADMINS: Final = "hive-admin"
"""Who is in this group may open `host.sock`, where the host has it."""
BACKLOG: Final = 128
TRIES: Final = 12
FIRST_WAIT: Final = timedelta(milliseconds=100)
LONGEST_WAIT: Final = timedelta(seconds=2)
"""About 16 seconds in all: a quick restart finds its address free again by then."""


@dataclass(frozen=True, slots=True)
class Place:
    """A socket's path, and which file there is ours."""

    path: Path
    file: tuple[int, int]

    @property
    def is_ours(self) -> bool:
        """False where the file is gone, or is another's."""
        return _file(self.path) == self.file

    def clear(self) -> None:
        """Another's stays."""
        if self.is_ours:
            with suppress(OSError):
                self.path.unlink()


def at(path: Path, beside: Path, *, mode: int) -> tuple[socket.socket, Place]:
    """A socket that listens at `path`, with `mode` from the first moment that it is there.

    It is made in `beside`, a private folder of ours on the same disk, and renamed: the folder of
    `path` may be written by an agent, which could put a link where a mode is about to be changed.
    What was at `path`, a stale socket mostly, is replaced.
    """
    beside.mkdir(mode=0o700, exist_ok=True)
    new = beside / f"{path.parent.name}-{path.name}"[:60]
    new.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(new))
        new.chmod(mode)
        _give_to_admins(new, mode)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        new.rename(path)
    except OSError as error:
        listening.close()
        raise _cannot(str(path), error) from error
    found = _file(path)
    assert found is not None
    return listening, Place(path, found)


def on_tcp(address: str, clock: Clock, is_over: Callable[[], bool]) -> socket.socket | None:
    """A socket at `HOST:PORT`, once that is free. None where it `is_over` before. Raises `Refused`.

    Never with SO_REUSEPORT: another could listen beside us, and be asked in our place.
    """
    host, port = parsed(address)
    wait = FIRST_WAIT
    for attempt in range(TRIES):
        try:
            return _bound(host, port)
        except OSError as error:
            if attempt == TRIES - 1 or error.errno != errno.EADDRINUSE:
                raise _cannot(address, error) from error
        if is_over():
            return None
        clock.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
    return None


def parsed(address: str) -> tuple[str, int]:
    """Host and port. Raises `Refused`, code `bad-listen`."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise Refused(
            f"cannot listen on {address!r}: it is no HOST:PORT",
            code="bad-listen",
            hint="127.0.0.1:7000 or [::1]:7000",
        )
    return host, int(port)


def _bound(host: str, port: int) -> socket.socket:
    family, kind, number, _, where = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, number)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _give_to_admins(path: Path, mode: int) -> None:
    """Where the mode lets a group in at all."""
    if not mode & 0o060:
        return
    with suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(ADMINS).gr_gid)


def _file(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _cannot(where: str, error: OSError) -> Refused:
    return Refused(
        f"cannot listen at {where}: {error.strerror or error}",
        code="not-listening",
        hint="see what else listens there: ss -lnp",
    )
