"""The agent's port, taken as soon as whoever had it before lets go."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from hive.errors import Refused

TRIES: Final = 12
FIRST_WAIT, LONGEST_WAIT = 0.5, 2.0
"""Seconds; 21.5 in all. A restart finds the harness of before still there for a moment."""
BACKLOG: Final = 32

log = logging.getLogger("hive.harness")


def bound(address: str, port: int, ended: Callable[[float], bool]) -> socket.socket | None:
    """A socket that listens there. Tried anew `TRIES` times where the port is in use.

    `ended` waits so many seconds, and says whether it is over: then None. Raises `Refused`, code
    `not-listening`.
    """
    wait = FIRST_WAIT
    for left in reversed(range(TRIES + 1)):
        try:
            return _bound(address, port)
        except OSError as error:
            if not left or error.errno != errno.EADDRINUSE:
                raise Refused(
                    f"cannot listen at {address}:{port}: {error.strerror or error}",
                    code="not-listening",
                    hint=f"see who has the port: ss -lnp sport = {port}",
                ) from error
        if left == TRIES:
            log.info("port.in-use at=%s:%s", address, port)
        if ended(wait):
            return None
        wait = min(2 * wait, LONGEST_WAIT)
    raise AssertionError("the last try returns or raises")


def _bound(address: str, port: int) -> socket.socket:
    """With SO_REUSEADDR, and never SO_REUSEPORT: then two would share the port in silence."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
