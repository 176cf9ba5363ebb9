"""The process that serves: its doors, and how they are opened, kept open and closed."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import anyio.to_thread
from uvicorn import Config
from uvicorn.server import ServerState

from hive.adapters.locks import Lock, Locks
from hive.api import sockets
from hive.api.app import build_app
from hive.api.connection import Connection, Room
from hive.api.identity import Door, Kind
from hive.api.sockets import Place
from hive.api.streams import Reader
from hive.domain.agent import Desired
from hive.errors import HiveError
from hive.queue.host import Host
from hive.store import agents

EVERY: Final = timedelta(seconds=1)
"""How often it is looked which agents there are, and whether their sockets are."""
GRACE: Final = 5.0
"""Seconds that requests may go on for when the API ends."""
TURNS: Final = 3
TURN: Final = 0.01
THREADS: Final = 12
"""Requests that are worked on at once; a database's pool has room for these and the reader."""

log = logging.getLogger("hive.api")


@dataclass(slots=True)
class Opened:
    """A door that is open, and what came in by it."""

    door: Door
    server: asyncio.Server
    state: ServerState
    place: Place | None

    async def close(self) -> None:
        """Nobody new comes in, and who was let in just now is there before the door goes.

        asyncio forgets, open, a connection that it has accepted and not yet made a transport of
        when its server is closed (CPython 3.11, `Server._attach`): its client would wait in vain.
        """
        loop = asyncio.get_running_loop()
        for listening in self.server.sockets:
            loop.remove_reader(listening.fileno())
        if self.place is not None:
            self.place.clear()
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self.server.close()
        for connection in list(self.state.connections):
            connection.shutdown()


class Api:
    """Serves one host until it is told to stop. One process of a host serves at a time."""

    def __init__(self, host: Host, listen: str | None = None) -> None:
        """Raises `Refused` where `listen` is no address."""
        self._host = host
        self._listen = listen
        self._opened: dict[str, Opened] = {}
        self._room = Room()
        if listen is not None:
            sockets.parsed(listen)

    def run(self, over: threading.Event, ready: Callable[[], object] = bool) -> None:
        """Waits while another process serves this host; `ready` is called when this one does.

        Raises `Refused`, code `not-listening`.
        """
        lock = self._locked(over)
        if lock is None:
            return
        with lock:
            tcp = self._tcp(over)
            if not over.is_set():
                asyncio.run(self._serve(over, tcp, ready))

    def _locked(self, over: threading.Event) -> Lock | None:
        """A second one would take the sockets from under the first."""
        locks, path, is_told = Locks(), self._host.layout.api_lock, False
        while (lock := locks.take(path, note_children=False, about="api")) is None:
            if not is_told:
                log.info("api.waits because=another process serves this host")
                is_told = True
            if over.wait(EVERY.total_seconds()):
                return None
        return lock

    def _tcp(self, over: threading.Event) -> socket.socket | None:
        if self._listen is None:
            return None
        return sockets.on_tcp(self._listen, self._host.clock, over.is_set)

    async def _serve(
        self, over: threading.Event, tcp: socket.socket | None, ready: Callable[[], object]
    ) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        with Reader(self._host) as reader:
            config = _config(self._host, reader)
            if tcp is not None:
                await self._open("tcp", Door(Kind.TCP), config, tcp, None)
            await self._keep_open(config)
            gc.collect()
            gc.freeze()  # or all wait while it is searched, for a tenth of a second
            ready()
            log.info("api.ready node=%s tcp=%s", self._host.node, self._listen)
            while not await asyncio.to_thread(over.wait, EVERY.total_seconds()):
                try:
                    await self._keep_open(config)
                except HiveError as error:
                    log.warning("api.sockets because=%s", error.message)
            opened = await self._close()
        await _ended(opened)
        log.info("api.stopped node=%s", self._host.node)

    async def _keep_open(self, config: Config) -> None:
        """Each door that there should be is open, also where somebody took its socket away."""
        wanted = await asyncio.to_thread(self._wanted)
        for name in [name for name in self._opened if name not in wanted and name != "tcp"]:
            await self._opened.pop(name).close()
        for name, (door, path, mode) in wanted.items():
            there = self._opened.get(name)
            if there is not None and there.place is not None and there.place.is_ours:
                continue
            made, place = sockets.at(path, self._host.layout.sockets, mode=mode)
            if there is not None:
                await there.close()
            await self._open(name, door, config, made, place)

    def _wanted(self) -> dict[str, tuple[Door, Path, int]]:
        """The host's, and one for each agent that is not destroyed and has its runtime folder."""
        layout = self._host.layout
        with self._host.database.read() as session:
            rows = agents.listed(session, self._host.node)
        live = [row.name for row in rows if row.desired is not Desired.DESTROYED]
        layout.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        return {"host": (Door(Kind.HOST), layout.host_socket, 0o660)} | {
            f"agent:{name}": (Door(Kind.AGENT, name), layout.socket(name), 0o600)
            for name in live
            if layout.runtime(name).is_dir()
        }

    async def _open(
        self, name: str, door: Door, config: Config, made: socket.socket, place: Place | None
    ) -> None:
        state = ServerState()
        loop = asyncio.get_running_loop()
        make = partial(Connection, door, config, state, self._room)
        if made.family == socket.AF_UNIX:
            server = await loop.create_unix_server(make, sock=made)
        else:
            server = await loop.create_server(make, sock=made)
        self._opened[name] = Opened(door, server, state, place)

    async def _close(self) -> list[Opened]:
        opened, self._opened = list(self._opened.values()), {}
        for one in opened:
            await one.close()
        return opened


async def _ended(opened: list[Opened]) -> None:
    """What is being answered may end by itself for a while."""
    if tasks := [task for one in opened for task in one.state.tasks]:
        _, late = await asyncio.wait(tasks, timeout=GRACE)
        for task in late:
            task.cancel()
    for _ in range(TURNS):  # what was accepted in the last moment is there a turn later
        for one in opened:
            for connection in list(one.state.connections):
                connection.transport.abort()
        await asyncio.sleep(TURN)


def _config(host: Host, reader: Reader) -> Config:
    config = Config(
        build_app(host, reader),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=10,
    )
    config.load()
    return config
