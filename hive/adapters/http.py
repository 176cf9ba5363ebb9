"""Knocking on an agent's port."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

KNOCK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""


@dataclass(frozen=True, slots=True)
class Http:
    def knock(self, address: str, port: int, *, within: timedelta = KNOCK) -> Answer | None:
        """What `GET /` answers on this host, or None: nobody there, or nothing that is HTTP."""
        connection = http.client.HTTPConnection(address, port, timeout=within.total_seconds())
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()})
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
