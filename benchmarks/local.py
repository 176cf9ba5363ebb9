"""HTTP over a socket of this host."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

from typing_extensions import override


class Local(http.client.HTTPConnection):
    """One connection that is kept, as a client that asks often would."""

    def __init__(self, path: Path) -> None:
        super().__init__("hive", timeout=30)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))
