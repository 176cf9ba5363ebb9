"""One connection: it knows its door and who is at its other end, and nobody stays for nothing."""

from __future__ import annotations

import asyncio
import json
import resource
from typing import Final

import h11
from typing_extensions import override
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from hive.api import problems
from hive.api.identity import Door, Kind, peer_of
from hive.errors import HiveError, Refused, Transient

WITHIN: Final = 20.0
"""Seconds in which a request has to have come whole, from its connection's first byte on."""
UNREAD: Final = 30.0
"""Seconds in which who is answered has to take some of it."""
AT_ONCE: Final = {Kind.HOST: 512, Kind.TCP: 512, Kind.AGENT: 64}
"""Connections of one door: no other door feels it when they are used up."""
SPARE: Final = 500
"""Files that are kept for all else: the database, logs, programs, and who waits at the doors."""


def room() -> int:
    """Connections of all doors together: as many as this process has files for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(files - SPARE, files // 4)


class Room:
    """All connections of all doors."""

    def __init__(self) -> None:
        self.most = room()
        self.taken: set[Connection] = set()


class Connection(H11Protocol):
    """A slow one is closed; where there are too many, the one that has rested longest goes."""

    def __init__(self, door: Door, config: Config, state: ServerState, room: Room) -> None:
        super().__init__(config, state, {"door": door, "uid": None})
        self._room, self._kind = room, door.kind
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._rested_at = 0.0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._rested_at = self.loop.time()
        found = transport.get_extra_info("socket")
        self.app_state["uid"] = peer_of(found) if found is not None else None
        self._room.taken.add(self)
        self._watch()
        self._make_room()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    @override
    def on_response_complete(self) -> None:
        self._rested_at = self.loop.time()
        super().on_response_complete()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._taken()
        self._room.taken.discard(self)
        super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        """More was answered than the other end has taken."""
        super().pause_writing()
        self._wait(self.transport.get_write_buffer_size())

    @override
    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    @override
    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._say(Refused(msg, code="bad-request", hint="speak HTTP/1.1"))
        self.transport.close()

    @property
    def rests(self) -> bool:
        """No request of it is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        if len(self.connections) > AT_ONCE[self._kind]:
            among = [one for one in self.connections if isinstance(one, Connection)]
        elif len(self._room.taken) > self._room.most:
            among = list(self._room.taken)
        else:
            return
        resting = [one for one in among if one.rests and one is not self]
        if resting:
            min(resting, key=lambda one: one._rested_at)._leave()
            return
        self._say(
            Transient(
                "too many requests are being answered",
                code="too-many-connections",
                hint="come back, or keep fewer connections",
            )
        )
        self._leave()

    def _leave(self) -> None:
        """From now on it is none of those that are counted."""
        self.connections.discard(self)
        self._room.taken.discard(self)
        self.transport.close()

    def _say(self, error: HiveError) -> None:
        """Outside of any request."""
        body = json.dumps(problems.as_json(error)).encode()
        status = 400 if isinstance(error, Refused) else problems.status_of(error)
        headers = [
            ("content-type", problems.MEDIA),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body)):
            self.transport.write(self.conn.send(event) or b"")

    def _watch(self) -> None:
        """The clock runs while a request has begun to come and is not all there."""
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._late = self._late or self.loop.call_later(WITHIN, self._close)
        else:
            self._forget()

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        """One that rests between two requests is closed by the keep-alive, and sooner."""
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self.transport.close()

    def _wait(self, left: int) -> None:
        self._taken()
        self._unread = self.loop.call_later(UNREAD, self._look, left)

    def _look(self, before: int) -> None:
        """Who takes a little now and then is waited for; who takes nothing is left."""
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._wait(left)
        else:
            self.transport.abort()

    def _taken(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
