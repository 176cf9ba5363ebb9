"""What systemd is told: ready, alive, stopping. Contract: sd_notify(3)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final

READY: Final = "READY=1"
ALIVE: Final = "WATCHDOG=1"
STOPPING: Final = "STOPPING=1"


def notify(*states: str) -> None:
    """Nobody hears it where systemd did not start us; nothing depends on its being heard."""
    at = os.environ.get("NOTIFY_SOCKET", "")
    if at[:1] not in ("/", "@"):
        return
    address = "\0" + at[1:] if at.startswith("@") else at
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as said:
        said.setblocking(False)
        said.sendto("\n".join(states).encode(), address)
