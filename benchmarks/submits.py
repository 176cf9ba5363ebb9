"""`hive api` in a process of its own: submits by clients at once, and a read from the shell.

Every tenth submit is said again under its key. After all of them each job must be there exactly
once, or this fails. The read is the same command over the socket and in the database.
`python -m benchmarks.submits [--json] [--requests N] [--clients N]`
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Final

from benchmarks.local import Local
from benchmarks.peers.figures import percentile
from benchmarks.rows import Row, show
from benchmarks.servers import kept_folder
from benchmarks.spawn import timed
from hive import bootstrap
from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.shell import LocalShell
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.queue.host import Host
from hive.settings import Settings
from hive.store import agents, jobs

KINDS: Final = ("stop", "start", "restart", "rebuild")
AGAIN: Final = 10
"""Every so many-th request is said twice."""
PATIENCE: Final = timedelta(seconds=30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--reads", type=int, default=20)
    asked = parser.parse_args()
    with kept_folder("bench", server=True) as (folder, keep):
        env = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "HIVE_BACKEND": "sim",
            "HIVE_STATE_DIR": str(folder / "state"), "HIVE_NODE": "bench",
        }  # fmt: skip
        host = bootstrap.build(Settings.from_env(env, config=folder / "none.toml"), env)
        names = _filled(host, asked.requests // len(KINDS) + 1)
        words = (f"{key}={value}" for key, value in env.items())
        keep("/usr/bin/env", "-i", *words, Path(sys.executable).with_name("hive"), "api")
        path = host.layout.host_socket
        if not wait_until(SystemClock(), path.exists, PATIENCE, PATIENCE / 600):
            raise SystemExit("the API is not ready")
        rows = [*_measured(host, names, asked), *_from_the_shell(env, folder, asked.reads)]
        host.database.dispose()
    show(rows, as_json=asked.json)


def _measured(host: Host, names: list[AgentName], asked: argparse.Namespace) -> Iterator[Row]:
    wishes = list(product(names, KINDS))[: asked.requests]
    began = time.perf_counter()
    with ThreadPoolExecutor(asked.clients) as clients:
        parts = clients.map(
            lambda number: list(_submitted(host.layout.host_socket, wishes, number, asked.clients)),
            range(asked.clients),
        )
        took = sorted(one for part in parts for one in part)
    seconds = time.perf_counter() - began
    _each_exactly_once(host, wishes)
    what = f"submit, {asked.clients} clients"
    yield Row(what, "hive", round(len(took) / seconds), "requests/s")
    for number in (50, 99):
        yield Row(f"{what}, p{number}", "hive", round(percentile(took, number), 1), "ms")


def _from_the_shell(env: Mapping[str, str], folder: Path, reads: int) -> Iterator[Row]:
    hive = str(Path(sys.executable).with_name("hive"))
    ways = {"over the socket": {}, "in the database": {"HIVE_RUN_DIR": str(folder / "nobody")}}
    for way, more in ways.items():
        shell = LocalShell({**env, **more})
        took = [timed(lambda: shell.run(hive, "jobs", "--json")) for _ in range(reads)]  # noqa: B023
        yield Row(f"hive jobs {way}, p50", "hive", round(1000 * percentile(took, 50)), "ms")


def _submitted(
    path: Path, wishes: list[tuple[AgentName, str]], number: int, clients: int
) -> Iterator[float]:
    """How long each request took, in milliseconds."""
    with closing(Local(path)) as connection:
        for at in range(number, len(wishes), clients):
            agent, kind = wishes[at]
            body = json.dumps({"kind": kind, "agent": agent})
            for _ in range(2 if at % AGAIN == 0 else 1):
                began = time.perf_counter()
                said = {"Content-Type": "application/json", "Idempotency-Key": f"k{at}"}
                connection.request("POST", "/v1/jobs", body, said)
                got = connection.getresponse()
                text = got.read()
                assert got.status == 202, text
                yield (time.perf_counter() - began) * 1000


def _each_exactly_once(host: Host, wishes: list[tuple[AgentName, str]]) -> None:
    with host.database.read() as session:
        there = Counter((job.agent, job.kind) for job in jobs.live(session))
    wrong = [wish for wish in wishes if there[wish] != 1]
    if wrong or sum(there.values()) != len(wishes):
        raise SystemExit(f"lost or doubled: {wrong[:3]}, {sum(there.values())} jobs")


def _filled(host: Host, count: int) -> list[AgentName]:
    """Agents that have a row, a port of their own, and nothing else."""
    by_port: dict[int, AgentName] = {}
    number = 0
    while len(by_port) < count:
        name = AgentName(f"a{number}")
        by_port.setdefault(port_of(name), name)
        number += 1
    with host.database.write() as session:
        for port, name in by_port.items():
            row = Agent(host.node, name, port, Desired.RUNNING, AgentSettings())
            agents.put(session, row, now=host.clock.now())
    return list(by_port.values())


if __name__ == "__main__":
    main()
