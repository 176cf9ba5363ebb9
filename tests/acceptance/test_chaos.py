"""What jobs stand on is taken away under them: everything accepted is done, and done once.

The short ones are in CI; the long ones, as long as in an operator's bad night, are marked `soak`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import redis

import tests.soak
from hive.adapters.processes import is_alive
from hive.adapters.shell import LocalShell
from hive.domain.job import JobId, JobState
from hive.errors import Transient
from hive.queue.dispatch import SEND
from hive.store import workers
from tests.fleet import CLOCK, Fleet, Running, a_fleet
from tests.pretend import PATH
from tests.services import Server, a_postgres, a_redis

AGENTS: Final = ("alice", "bob", "carol")
QUICK: Final = ("--quick", "5")  #: a lease of 6 s, a beat each second
SHORT: Final = 1.0
soak = pytest.mark.soak
HOW_LONG: Final = [SHORT, pytest.param(30.0, marks=soak)]
"""Seconds."""
FAKETIME: Final = sorted(Path("/usr").glob("lib*/**/faketime/libfaketimeMT.so.1"))

if os.environ.get("HIVE_TEST_DOCKER") and not shutil.which("redis-server"):
    pytest.skip("Docker's servers are not a test's to end", allow_module_level=True)


@contextmanager
def steady() -> Iterator[list[Server]]:
    """The servers that are started when a test says so."""
    with a_redis() as broker, a_postgres() as database:
        yield [broker, database]


def a_stream(fleet: Fleet, count: int = 12, *, seconds: float = 0.15) -> list[JobId]:
    """Jobs of several agents; each third has a switch."""
    return [
        fleet.submit(AGENTS[at % len(AGENTS)], seconds=seconds, switch=at % 3 == 0)
        for at in range(count)
    ]


def some_run(fleet: Fleet, count: int = 2) -> None:
    """Jobs are under way."""
    fleet.until(lambda: len(fleet.record()) >= count, f"the record has {count} lines")


def all_is_well(fleet: Fleet, wanted: Sequence[JobId], *workers: Running) -> None:
    """Everything accepted has succeeded, once, and nobody stumbled."""
    fleet.ends(*wanted)
    fleet.checks_out(*wanted)
    tally = fleet.tally
    with_switch = sum(len(fleet.effects(job)) for job in wanted)
    assert tally.stops == with_switch, fleet.record()
    for worker in workers:
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0, worker.err[-3000:]
        assert "Traceback" not in worker.err, worker.err[-3000:]


def until_over(act: Callable[[], object], seconds: float) -> int:
    """Done again and again for so long; how often."""
    end, count = CLOCK.monotonic() + seconds, 0
    while CLOCK.monotonic() < end:
        act()
        count += 1
        CLOCK.sleep(timedelta(milliseconds=50))
    return count


# Redis


@contextmanager
def on_redis(folder: Path, *, is_up: bool = True) -> Iterator[tuple[Fleet, Server]]:
    """SQLite, and a broker of its own; two workers of one node are to be started."""
    with a_redis() as broker:
        if is_up:
            broker.start()
        with a_fleet(folder, HIVE_REDIS_URL=broker.url) as fleet:
            yield fleet, broker


@pytest.mark.parametrize("seconds", HOW_LONG)
def test_redis_is_killed_and_comes_back_empty(tmp_path: Path, seconds: float) -> None:
    with on_redis(tmp_path) as (fleet, broker):
        both = [fleet.ready("worker"), fleet.ready("up")]
        wanted = a_stream(fleet)
        some_run(fleet)
        broker.end()
        wanted += a_stream(fleet)
        CLOCK.sleep(timedelta(seconds=seconds))
        broker.start()
        wanted += a_stream(fleet)
        all_is_well(fleet, wanted, *both)


def test_redis_is_killed_and_stays_away(tmp_path: Path) -> None:
    with on_redis(tmp_path) as (fleet, broker):
        both = [fleet.ready("worker"), fleet.ready("up")]
        wanted = a_stream(fleet)
        some_run(fleet)
        broker.end()
        wanted += a_stream(fleet, 6)
        all_is_well(fleet, wanted, *both)


@pytest.mark.parametrize("seconds", HOW_LONG)
def test_redis_is_flushed_again_and_again(tmp_path: Path, seconds: float) -> None:
    with on_redis(tmp_path) as (fleet, broker), redis.Redis.from_url(broker.url) as client:
        both = [fleet.ready("worker"), fleet.ready("up")]
        wanted = a_stream(fleet)
        assert until_over(client.flushall, seconds) > 1
        wanted += a_stream(fleet)
        client.flushall()
        all_is_well(fleet, wanted, *both)


@pytest.mark.parametrize("seconds", [6.0, pytest.param(10.0, marks=soak)])  # redis-py waits 5 s
def test_redis_is_paused(tmp_path: Path, seconds: float) -> None:
    with on_redis(tmp_path) as (fleet, broker):
        both = [fleet.ready("worker"), fleet.ready("up")]
        wanted = a_stream(fleet)
        some_run(fleet)
        broker.pause()
        began = CLOCK.monotonic()
        wanted += a_stream(fleet)
        assert CLOCK.monotonic() - began < 12 * SEND, "a submit waits for a broker"
        CLOCK.sleep(timedelta(seconds=seconds))
        broker.go_on()
        all_is_well(fleet, wanted, *both)


def test_redis_is_not_there_at_the_start(tmp_path: Path) -> None:
    with on_redis(tmp_path, is_up=False) as (fleet, broker):
        wanted = a_stream(fleet, 3)
        both = [fleet.ready("worker"), fleet.ready("up")]
        fleet.ends(*wanted)
        broker.start()
        wanted += a_stream(fleet, 6)
        all_is_well(fleet, wanted, *both)


# PostgreSQL


@contextmanager
def on_postgres(folder: Path, **settings: str) -> Iterator[tuple[Fleet, Server]]:
    with a_postgres(**settings) as database:
        database.start()
        with a_fleet(folder, HIVE_DATABASE_URL=database.url) as fleet:
            yield fleet, database


def asked(server: Server, statement: str) -> None:
    """It may be in the middle of going away."""
    url = server.url.replace("+psycopg", "", 1)
    with suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


TERMINATE: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def surely(fleet: Fleet, act: Callable[[], list[JobId]]) -> list[JobId]:
    """What a user does whose submit was refused for now: it is asked again."""

    def accepted() -> list[JobId] | None:
        with suppress(Transient):
            return act()
        return None

    return fleet.until(accepted, "the database takes it")


@pytest.mark.parametrize("seconds", HOW_LONG)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "crash"])
def test_postgres_is_restarted(tmp_path: Path, how: signal.Signals, seconds: float) -> None:
    with on_postgres(tmp_path) as (fleet, database):
        both = [fleet.ready("worker", *QUICK), fleet.ready("up", *QUICK)]
        wanted = a_stream(fleet)
        some_run(fleet)
        database.end(how)
        with pytest.raises(Transient):
            fleet.submit("dave")
        CLOCK.sleep(timedelta(seconds=seconds))
        database.start()
        wanted += surely(fleet, lambda: a_stream(fleet))
        all_is_well(fleet, wanted, *both)


@pytest.mark.parametrize("seconds", HOW_LONG)
def test_backends_are_terminated_in_a_loop(tmp_path: Path, seconds: float) -> None:
    with on_postgres(tmp_path) as (fleet, database):
        both = [fleet.ready("worker", *QUICK), fleet.ready("up", *QUICK)]
        wanted = a_stream(fleet)
        some_run(fleet)
        assert until_over(lambda: asked(database, TERMINATE), seconds) > 1
        wanted += [surely(fleet, lambda: [fleet.submit("dave")])[0] for _ in range(6)]
        all_is_well(fleet, wanted, *both)


@pytest.mark.parametrize("seconds", HOW_LONG)
def test_every_connection_is_somebody_elses(tmp_path: Path, seconds: float) -> None:
    with on_postgres(tmp_path, max_connections="12") as (fleet, database):
        both = [fleet.ready("worker", *QUICK), fleet.ready("up", *QUICK)]
        wanted = a_stream(fleet)
        some_run(fleet)
        fleet.host.database.dispose()
        taken: list[psycopg.Connection[Any]] = []
        asked(database, TERMINATE)

        def take() -> None:
            with suppress(psycopg.OperationalError):
                taken.append(psycopg.connect(database.url.replace("+psycopg", "", 1)))

        until_over(take, seconds)
        assert taken
        with pytest.raises(Transient):
            fleet.submit("dave")
        for connection in taken:
            connection.close()
        wanted += surely(fleet, lambda: a_stream(fleet, 6))
        all_is_well(fleet, wanted, *both)


def test_both_servers_go_at_once(tmp_path: Path) -> None:
    with steady() as servers:
        broker, database = servers
        for server in servers:
            server.start()
        more = {"HIVE_DATABASE_URL": database.url, "HIVE_REDIS_URL": broker.url}
        with a_fleet(tmp_path, **more) as fleet:
            both = [fleet.ready("worker", *QUICK), fleet.ready("up", *QUICK)]
            wanted = a_stream(fleet)
            some_run(fleet)
            broker.end()
            database.end(signal.SIGQUIT)
            database.start()
            broker.start()
            wanted += surely(fleet, lambda: a_stream(fleet))
            all_is_well(fleet, wanted, *both)


# The disk


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system that is soon full; what the drills record is not on it."""
    folder = tmp_path / "small"
    folder.mkdir()
    shell = LocalShell({"PATH": PATH})
    options = ("-t", "tmpfs", "-o", "size=24m", "tmpfs")
    mounted = shell.run("mount", *options, folder, accept=range(-64, 256))
    if mounted.exit_code != 0:
        pytest.skip(f"no file system to fill: {mounted.tail or 'mount said no'}")
    try:
        (folder / "state").mkdir()
        (tmp_path / "drill").mkdir()
        (folder / "state" / "drill").symlink_to(tmp_path / "drill")
        yield folder
    finally:
        shell.run("umount", "--lazy", folder)


@pytest.mark.parametrize("seconds", [2.0, pytest.param(30.0, marks=soak)])
@pytest.mark.parametrize("left", [0, 100_000])
def test_the_disk_is_full_for_a_while(small: Path, left: int, seconds: float) -> None:
    with a_fleet(small) as fleet:
        both = [fleet.ready("worker", *QUICK), fleet.ready("up", *QUICK)]
        wanted = a_stream(fleet, seconds=0.3)
        some_run(fleet)
        until_over(lambda: fill(small, but=left), seconds)
        assert left or any("full" in worker.err for worker in both), "nobody has noticed"
        (small / "full").unlink()
        wanted += surely(fleet, lambda: a_stream(fleet, 6))
        all_is_well(fleet, wanted)
        for worker in both:
            worker.signal(signal.SIGTERM)
            assert worker.ended() == 0, worker.err[-3000:]


def fill(folder: Path, *, but: int) -> None:
    """Only so many bytes are left, of what is free now."""
    free = shutil.disk_usage(folder).free
    with suppress(OSError), (folder / "full").open("ab") as file:
        file.write(b"\0" * max(0, free - but))


# The clock


class Time:
    """What hive's processes, and they alone, take the time to be; it can be stepped."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "time"
        self.step(0)

    def step(self, seconds: int) -> None:
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{seconds:+d}\n")
        beside.rename(self._file)

    @property
    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(FAKETIME[-1]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def ready(self, fleet: Fleet, role: str) -> Running:
        argv = (sys.executable, "-m", "tests.drill", role, *QUICK)
        worker = fleet.program(*argv, **self.env, PYTHONPATH=str(Path(__file__).parents[2]))
        fleet.said(worker, "worker.ready")
        return worker


@pytest.fixture
def time(tmp_path: Path) -> Iterator[Time]:
    if not FAKETIME:
        reason = "faketime is not on this machine; as root on Debian, scripts/test installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield Time(tmp_path)
    for left in Path("/dev/shm").glob("*faketime_s*_*"):  # who is killed leaves what it has shared
        if not is_alive(int(left.name.rpartition("_")[2]), None):
            left.unlink(missing_ok=True)


HOUR: Final = 3600


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_the_clock_is_stepped_by_an_hour(tmp_path: Path, time: Time, step: int) -> None:
    with a_fleet(tmp_path) as fleet:
        both = [time.ready(fleet, "worker"), time.ready(fleet, "up")]
        long = fleet.submit("dave", seconds=3)
        wanted = [long, *a_stream(fleet)]
        fleet.begins(long)
        time.step(step)
        fleet.until(lambda: has_stepped(fleet, step), "hive's processes take the time to be so")
        wanted += a_stream(fleet)
        all_is_well(fleet, wanted, *both)
        assert fleet.job(long).attempt == 1, "a stepped clock lapses no lease of who is alive"


def has_stepped(fleet: Fleet, step: int) -> bool:
    with fleet.host.database.read() as session:
        beats = [worker.beat_at for worker in workers.listed(session)]
    there = fleet.host.clock.now() + timedelta(seconds=step)
    return all(abs(beat - there) < timedelta(seconds=HOUR / 2) for beat in beats)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_worker_dies_after_the_clock_was_stepped(tmp_path: Path, time: Time, step: int) -> None:
    with a_fleet(tmp_path) as fleet:
        first, _ = time.ready(fleet, "worker"), time.ready(fleet, "up")
        wanted = a_stream(fleet)
        some_run(fleet)
        time.step(step)
        first.kill()
        all_is_well(fleet, wanted)


def test_hosts_whose_clocks_are_an_hour_apart_share_one_database(
    tmp_path: Path, time: Time
) -> None:
    time.step(HOUR)
    with on_postgres(tmp_path) as (fleet, _):
        both = [time.ready(fleet, "worker"), fleet.ready("up", *QUICK)]
        wanted = a_stream(fleet)
        all_is_well(fleet, wanted, *both)
        found = [fleet.job(job) for job in wanted]
        assert all(job.state is JobState.SUCCEEDED for job in found)
        assert all(abs(_age(fleet, job)) < HOUR / 2 for job in wanted)


def _age(fleet: Fleet, job: JobId) -> float:
    """Seconds since it ended, by the database's clock."""
    ended = fleet.job(job).finished_at
    assert ended is not None
    return (fleet.host.clock.now() - ended).total_seconds()


# All of it at once


@pytest.mark.parametrize("kills", ["5", pytest.param("300", marks=soak)])
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_soak_finds_nothing_overlapped_lost_or_doubled(
    capsys: pytest.CaptureFixture[str], database: str, kills: str
) -> None:
    exit_code = tests.soak.main(["--kills", kills, "--database", database])
    assert exit_code == 0, capsys.readouterr().out
