"""What a worker costs that has nothing to do, and how soon its jobs run again when it is killed.

`python -m benchmarks.alive [--json] [--kills N] [--idle SECONDS] [--node]`
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from benchmarks.peers.course import ROOT
from benchmarks.peers.figures import percentile
from benchmarks.rows import Row, show
from benchmarks.servers import Servers, database_of, kept_folder, servers
from hive.adapters.clock import SystemClock, wait_until
from hive.domain.job import JobId, JobState
from hive.domain.worker import Role
from hive.queue.drive import find
from hive.queue.host import Host
from hive.store import migrate, workers
from hive.store.session import open_database
from tests.drill import a_drill, opened

T = TypeVar("T")
CLOCK: Final = SystemClock()
OFTEN: Final = timedelta(milliseconds=5)
PATIENCE: Final = timedelta(seconds=90)
TICKS: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--idle", type=int, default=20, help="seconds")
    parser.add_argument("--node", action="store_true", help="a whole node, too: 45 s")
    asked = parser.parse_args()
    with servers() as given:
        rows = list(measured(given, asked.kills, timedelta(seconds=asked.idle), asked.node))
    show(rows, as_json=asked.json)


def measured(given: Servers, kills: int, idle: timedelta, node: bool) -> Iterator[Row]:
    embedded = environment(given.folder / "embedded")
    yield from _idle(embedded, Role.UP, "embedded", idle)
    yield from _kills(embedded, kills)
    with database_of(given.postgres) as url:
        migrated(url)
        fleet = {"HIVE_DATABASE_URL": url, "HIVE_REDIS_URL": given.redis}
        yield from _idle(environment(given.folder / "one", **fleet), Role.WORKER, "redis", idle)
        if node:
            yield from _node_gone(given, fleet)


def environment(state: Path, node: str = "bench", **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "HIVE_BACKEND": "sim",
        "HIVE_NODE": node,
        "HIVE_STATE_DIR": str(state),
        **more,
    }


def migrated(url: str) -> None:
    database = open_database(url)
    migrate.upgrade(database)
    database.dispose()


@contextmanager
def worker(env: Mapping[str, str], role: Role, host: Host) -> Iterator[int]:
    """The pid of one that has registered; it ends with the block, and with us."""
    with kept_folder("worker", server=True) as (_, keep):
        words = (f"{key}={value}" for key, value in env.items())
        python = ("/usr/bin/env", "-i", *words, f"PYTHONPATH={ROOT}", sys.executable)
        keep(*python, "-m", "tests.drill", role.value, "--concurrency", "2", "--drain", "0")
        yield until(lambda: _pid(host, role))


def _pid(host: Host, role: Role) -> int | None:
    with host.database.read() as session:
        here = [one for one in workers.listed(session, host.node) if one.role is role]
    alive = (one.process.pid for one in here if Path(f"/proc/{one.process.pid}").exists())
    return next(alive, None)


def _idle(env: Mapping[str, str], role: Role, name: str, idle: timedelta) -> Iterator[Row]:
    """Of the whole process, a while after its start."""
    with opened(dict(env)) as (host, _), worker(env, role, host) as pid:
        CLOCK.sleep(timedelta(seconds=5))
        before, begun = _cpu(pid), CLOCK.monotonic()
        CLOCK.sleep(idle)
        used = (_cpu(pid) - before) / (CLOCK.monotonic() - begun)
        yield Row(f"idle {name} cpu", "hive", round(100 * used, 2), "% of a core")
        yield Row(f"idle {name} memory", "hive", round(_resident(pid) / 1e6, 1), "MB")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def _kills(env: Mapping[str, str], kills: int) -> Iterator[Row]:
    """A worker is killed in the midst of a job; another one runs beside it, or is started then."""
    with opened(dict(env)) as (host, _):
        beside = [_killed(env, host, has_another=True) for _ in range(kills)]
        restarted = [_killed(env, host, has_another=False) for _ in range(kills)]
    for what, taken in (("another", beside), ("a restarted one", restarted)):
        yield Row(f"kill -9, {what} p50", "hive", round(percentile(taken, 50), 2), "s")
        yield Row(f"kill -9, {what} worst", "hive", round(max(taken), 2), "s")


def _killed(env: Mapping[str, str], host: Host, *, has_another: bool) -> float:
    with worker(env, Role.UP, host) as pid:
        job = a_drill(host, "a", seconds=600).id
        until(lambda: find(host, job).state is JobState.RUNNING)
        if not has_another:
            os.kill(pid, signal.SIGKILL)
            return _again(env, host, job, CLOCK.monotonic())
        with worker(env, Role.WORKER, host):
            os.kill(pid, signal.SIGKILL)
            return _ran_again(host, job, CLOCK.monotonic())


def _again(env: Mapping[str, str], host: Host, job: JobId, killed_at: float) -> float:
    """From the kill, the start of the new process included."""
    with worker(env, Role.WORKER, host):
        return _ran_again(host, job, killed_at)


def _ran_again(host: Host, job: JobId, killed_at: float) -> float:
    until(lambda: find(host, job).attempt > 1)
    taken = CLOCK.monotonic() - killed_at
    from hive.queue import submit

    submit.cancel(host, job)
    until(lambda: find(host, job).state is JobState.CANCELLED)
    return taken


def _node_gone(given: Servers, fleet: Mapping[str, str]) -> Iterator[Row]:
    """Everything of one node is killed; another node's maintenance sees to its rows.

    Both are processes of this machine, but the dead one's are told to be of another boot: nobody
    can look up their pids.
    """
    gone = environment(given.folder / "gone", "gone", **fleet)
    other = environment(given.folder / "other", "other", **fleet)
    with opened(gone) as (host, _), opened(other) as (there, _):
        job = a_drill(host, "a", seconds=600).id
        with worker(gone, Role.WORKER, host) as pid:
            until(lambda: find(host, job).state is JobState.RUNNING)
            os.kill(pid, signal.SIGKILL)
            killed_at = CLOCK.monotonic()
            _disguise(host)
        with worker(other, Role.UP, there):
            until(lambda: find(host, job).state is JobState.QUEUED)
            taken = CLOCK.monotonic() - killed_at
    yield Row("a node gone, its job queued", "hive", round(taken, 1), "s")


def _disguise(host: Host) -> None:
    from sqlalchemy import text

    with host.database.write() as session:
        session.execute(text("UPDATE workers SET boot = 'another' WHERE node = 'gone'"))


def until(condition: Callable[[], T | None]) -> T:
    found = wait_until(CLOCK, condition, PATIENCE, OFTEN)
    if not found:
        raise SystemExit("it never came to that")
    return found


if __name__ == "__main__":
    main()
