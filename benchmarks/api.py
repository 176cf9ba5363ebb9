"""The API: a read over its socket, submits a second, how soon an event is heard, and many readers.

`python -m benchmarks.api [--json] [--requests N] [--agents N] [--log MEGABYTES]`
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import streams
from benchmarks.local import Local
from benchmarks.peers.figures import percentile
from benchmarks.rows import Row, show
from benchmarks.servers import kept_folder
from hive import bootstrap
from hive.api.server import Api
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.errors import Refused
from hive.queue.host import Host
from hive.service.agents import listed
from hive.settings import Settings
from hive.store import agents, migrate
from hive.store.session import open_database

WORDS: Final = {"Content-Type": "application/json"}
EVENTS: Final = 200


@dataclass(frozen=True)
class Client:
    connection: Local

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        said = None if body is None else json.dumps(body)
        self.connection.request(method, f"/v1{path}", said, WORDS if said else {})
        got = self.connection.getresponse()
        text = got.read()
        assert got.status < 300, text
        return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--log", type=int, default=64, help="megabytes of a log that is read")
    asked = parser.parse_args()
    with kept_folder("bench") as (folder, _), _served(folder) as host:
        rows = list(_measured(host, asked))
    show(rows, as_json=asked.json)


def _measured(host: Host, asked: argparse.Namespace) -> Iterator[Row]:
    names = _fill(host, asked.agents)
    path = host.layout.host_socket
    client = Client(Local(path))
    for what, at in (("whoami", "/whoami"), ("jobs", "/jobs"), ("agents", "/agents")):
        took = [_milliseconds(client, at) for _ in range(asked.requests)]
        beside = f" of {asked.agents}" if what == "agents" else ""
        yield Row(f"GET {what}{beside} p50", "hive", round(percentile(took, 50), 2), "ms")
        yield Row(f"GET {what}{beside} p95", "hive", round(percentile(took, 95), 2), "ms")
    took = [_timed(lambda: listed(host)) for _ in range(asked.requests // 10)]
    yield Row("agents in process p50", "hive", round(percentile(took, 50), 2), "ms")
    heard = sorted(_heard(path, names[0]))
    yield Row("event heard p50", "hive", round(percentile(heard, 50), 1), "ms")
    yield Row("event heard p95", "hive", round(percentile(heard, 95), 1), "ms")
    job = json.loads(client.ask("POST", "/jobs", {"kind": "rebuild", "agent": names[0]}))["id"]
    yield from streams.measured(host, job, asked.log)


def _heard(path: Path, name: str) -> Iterator[float]:
    """From right before the request that makes it happen until its event is here."""
    listens = Local(path)
    listens.request("GET", "/v1/events/live?kind=agent.status")
    got = listens.getresponse()
    mine = Client(Local(path.parent / "agents" / name / "hive.sock"))
    for number in range(EVENTS):
        began = time.perf_counter()
        mine.ask("POST", "/status", {"text": f"{number}"})
        while not got.readline().startswith(b"data:"):
            pass
        yield (time.perf_counter() - began) * 1000
    listens.close()


def _milliseconds(client: Client, path: str) -> float:
    return _timed(lambda: client.ask("GET", path))


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def _fill(host: Host, count: int) -> list[str]:
    """Agents that have a row, a port of their own, and nothing else."""
    names: list[str] = []
    ports: set[int] = set()
    number = 0
    while len(names) < count:
        number += 1
        name = AgentName(f"a{number}")
        if port_of(name) in ports:
            continue
        ports.add(port_of(name))
        host.layout.runtime(name).mkdir(mode=0o700, parents=True)
        with host.database.write() as session:
            row = Agent(host.node, name, port_of(name), Desired.RUNNING, AgentSettings())
            agents.put(session, row, now=host.clock.now())
        names.append(name)
    _until(lambda: host.layout.socket(AgentName(names[-1])).exists())
    return names


def _until(is_so: Callable[[], bool]) -> None:
    waiting = threading.Event()
    while not is_so():
        waiting.wait(0.05)


@contextmanager
def _served(folder: Path) -> Iterator[Host]:
    env = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "HIVE_BACKEND": "sim",
        "HIVE_STATE_DIR": str(folder / "state"), "HIVE_NODE": "bench",
    }  # fmt: skip
    settings = Settings.from_env(env, config=folder / "none.toml")
    database = open_database(settings.database_url)
    migrate.upgrade(database)
    host = bootstrap.host(settings, env, database)
    over, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=Api(host).run, args=(over, ready.set))
    thread.start()
    if not ready.wait(30):
        raise Refused("the API is not ready", code="not-listening")
    try:
        yield host
    finally:
        over.set()
        thread.join()
        database.dispose()


if __name__ == "__main__":
    main()
