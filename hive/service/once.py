"""A request under a key of its own is answered once: said again, it gets the same answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from hive.errors import Refused
from hive.queue.host import Host
from hive.store import answers
from hive.store.answers import Answer


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks what, under which key; nothing of it is stored but hashes."""

    who: str
    key: str
    what: bytes

    @property
    def name(self) -> str:
        return hashlib.sha256(f"{self.who}\n{self.key}".encode("utf-8", "replace")).hexdigest()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.what).hexdigest()


def answered(host: Host, request: Request) -> Answer | None:
    """What was answered before. Raises `Refused` where the key was used for another request."""
    with host.database.read() as session:
        known = answers.find(session, request.name)
    if known is not None and known.request != request.digest:
        raise Refused(
            f"key '{request.key}' was used for another request",
            code="key-reused",
            hint="use a new key",
        )
    return known


def keep(host: Host, request: Request, status: int, body: str) -> None:
    with host.database.write() as session:
        answer = Answer(request.name, request.digest, status, body)
        answers.keep(session, answer, now=host.clock.now())
