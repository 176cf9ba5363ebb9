"""An API that serves a pretend host, and a client that asks it over its sockets."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from hive.api.server import Api
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.authority import Role
from hive.domain.names import MANAGER, AgentName
from hive.domain.ports import port_of
from hive.queue.host import Host
from hive.service import tokens
from hive.store import agents
from tests.databases import migrated
from tests.pretend import ALICE, BOB, Pretend, a_pretend_host, nothing_by_the_clock

MIND: Final = AgentName(MANAGER)
WITHIN: Final = 30.0
ANY: Final = "127.0.0.1:0"


class Local(http.client.HTTPConnection):
    """HTTP over a socket of this host."""

    def __init__(self, path: Path) -> None:
        super().__init__("hive", timeout=WITHIN)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WITHIN)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever JSON can carry
        return json.loads(self.body)

    @property
    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json["items"]
        return found

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self.body
        said: str = self.json["code"]
        return said


@dataclass
class Client:
    """Asks by one door: a socket, or TCP with a token."""

    path: Path | None = None
    port: int = 0
    token: str | None = None

    def connection(self) -> http.client.HTTPConnection:
        if self.path is not None:
            return Local(self.path)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        connection = self.connection()
        try:
            said = {name.replace("_", "-"): value for name, value in headers.items()}
            if self.token is not None:
                said["Authorization"] = f"Bearer {self.token}"
            sent = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
            if sent is not None:
                said.setdefault("Content-Type", "application/json")
            connection.request(method, path, sent, said)
            got = connection.getresponse()
            found = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, found, got.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", f"/v1{path}")

    def post(self, path: str, body: object = None, *, key: str | None = None) -> Answer:
        more = {"Idempotency_Key": key} if key else {}
        return self.ask("POST", f"/v1{path}", body, **more)

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", f"/v1{path}")

    @contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[Stream]:
        connection = self.connection()
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"/v1{path}", headers=said)
        got = connection.getresponse()
        assert got.status == 200, got.read()
        try:
            yield Stream(got)
        finally:
            with suppress(OSError):
                connection.close()


@dataclass
class Stream:
    """Server-sent events, one after the other."""

    got: http.client.HTTPResponse

    def __iter__(self) -> Iterator[dict[str, str]]:
        said: dict[str, str] = {}
        while line := self.got.readline().decode():
            name, colon, value = line.rstrip("\n").partition(": ")
            if colon and name:
                said[name] = value
            elif not line.strip() and said:
                yield said
                said = {}

    def next(self) -> dict[str, str]:
        return next(iter(self))


@dataclass
class Served:
    """A host, its API in a thread, and somebody at each door."""

    pretend: Pretend
    port: int
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> Host:
        return self.pretend.host

    @property
    def operator(self) -> Client:
        return Client(self.host.layout.host_socket)

    def agent(self, name: AgentName) -> Client:
        return Client(self.host.layout.socket(name))

    def tcp(self, role: Role | None, agent: AgentName | None = None) -> Client:
        """By a token of this role; by none without one."""
        if role is None:
            return Client(port=self.port)
        _, said = tokens.create(self.host, role, by="test", agent=agent)
        return Client(port=self.port, token=said)

    def has(self, *names: AgentName, desired: Desired = Desired.RUNNING) -> None:
        with self.host.database.write() as session:
            for name in names:
                row = Agent(self.host.node, name, port_of(name), desired, AgentSettings())
                agents.put(session, row, now=self.host.clock.now())
                self.host.layout.runtime(name).mkdir(mode=0o700, parents=True, exist_ok=True)


def a_free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(api: Api, over: threading.Event) -> Iterator[None]:
    """In a thread, from the moment that it is ready."""
    ready, thread = threading.Event(), None
    thread = threading.Thread(target=api.run, args=(over, ready.set), daemon=True)
    thread.start()
    assert ready.wait(WITHIN), "the API is not ready"
    try:
        yield
    finally:
        over.set()
        thread.join(WITHIN)
        assert not thread.is_alive(), "the API hangs"


@contextmanager
def a_served_host(folder: Path, **settings: str) -> Iterator[Served]:
    """With alice, bob and the manager, of whom nothing was ever built."""
    with a_pretend_host(folder, **settings) as pretend:
        migrated(pretend.host.database)
        nothing_by_the_clock(pretend.host.database)
        served = Served(pretend, a_free_port())
        served.has(ALICE, BOB, MIND)
        with running(Api(pretend.host, f"127.0.0.1:{served.port}"), served.over):
            yield served
