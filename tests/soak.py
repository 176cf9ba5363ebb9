"""Kills, one after the other, under a stream of jobs; then a tally. `scripts/soak` runs it.

Three workers work on six agents: short jobs, some with a switch, some that fail at first, some that
are cancelled on their way, some urgent. Exits 1 unless nothing overlapped, was lost or was doubled.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import redis

from hive.adapters.locks import Holder, holder
from hive.adapters.processes import is_alive
from hive.domain.job import ENDED, URGENT, Job, JobId, JobState
from hive.errors import HiveError, Transient
from hive.queue import submit
from hive.store import jobs
from tests.fleet import CLOCK, Fleet, Running, a_fleet
from tests.services import Server, a_postgres, a_redis

AGENTS: Final = tuple(f"agent{number}" for number in range(6))
WORKERS: Final = ("up", "worker", "worker")
QUICK: Final = 10.0
LEASE: Final = 30 / QUICK  #: seconds
PAUSE: Final = 0.9  #: seconds between two kills, at most
AT_ONCE: Final = 30  #: jobs that are under way or queued
SETTLED: Final = timedelta(minutes=5)
FAILURES: Final = "1000"  #: a program may be killed as often as it happens to be
SAID_EACH: Final = 100  #: kills
TERMINATE: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@dataclass
class Soak:
    """One run: who works, what was asked, what was done to them."""

    fleet: Fleet
    broker: Server | None
    database: Server | None
    dice: random.Random
    workers: list[Running] = field(default_factory=list)
    stopped: list[Running] = field(default_factory=list)
    """Who is held up right now."""
    asked: list[JobId] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    trouble: Counter[str] = field(default_factory=Counter)
    """What submits were refused for, for now."""

    @property
    def kills(self) -> int:
        return sum(self.done.values())

    # Work

    def feed(self) -> None:
        """As many jobs as are worth having; some are cancelled on their way."""
        for _ in range(max(0, AT_ONCE - self._under_way())):
            self._ask()
        if self.asked and self.dice.random() < 0.15:
            with suppress(HiveError):  # it may have ended
                submit.cancel(self.fleet.host, self.dice.choice(self.asked[-AT_ONCE:]))

    def _ask(self) -> None:
        also: dict[str, object] = {"seconds": round(self.dice.uniform(0, 0.4), 2)}
        kind = self.dice.random()
        if kind < 0.3:
            also |= {"switch": True}
        elif kind < 0.4:
            also |= {"fails": 1}
        elif kind < 0.45:
            also |= {"switch": True, "fails_behind": 1}
        elif kind < 0.5:
            also |= {"priority": URGENT}
        try:
            self.asked.append(self.fleet.submit(self.dice.choice(AGENTS), **also))
        except Transient as error:
            self.trouble[error.code] += 1

    def _under_way(self) -> int:
        try:
            with self.fleet.host.database.read() as session:
                return len(jobs.live(session))
        except Transient as error:
            self.trouble[error.code] += 1
            return AT_ONCE

    # Harm

    def harm(self) -> None:
        ways: list[tuple[int, Callable[[], str | None]]] = [
            (50, self._kill_worker),
            (12, self._kill_all_of_worker),
            (22, self._kill_program),
            (4, self._hold_up),
        ]
        if self.broker is not None:
            ways += [(4, self._restart_redis), (4, self._flush_redis)]
        if self.database is not None:
            ways += [(8, self._terminate), (1, self._restart_postgres)]
        weights = [weight for weight, _ in ways]
        (way,) = self.dice.choices([way for _, way in ways], weights)
        what = way()
        if what is not None:
            self.done[what] += 1

    def go_on(self) -> None:
        """Who was killed is started again."""
        for at, worker in enumerate(self.workers):
            if not worker.is_there:
                self.workers[at] = self._started(WORKERS[at])

    def start(self) -> None:
        self.workers = [self._started(role) for role in WORKERS]

    def _started(self, role: str) -> Running:
        return self.fleet.drill(role, "--quick", str(QUICK))

    def _one(self) -> Running | None:
        """Who has begun to work, so that a kill is not only of a start."""
        free = [one for one in self.workers if one.is_there and one not in self.stopped]
        ready = [one for one in free if "worker.ready" in one.err]
        return self.dice.choice(ready) if ready else None

    def _kill_worker(self) -> str | None:
        worker = self._one()
        if worker is None:
            return None
        worker.kill()
        return "worker"

    def _kill_all_of_worker(self) -> str | None:
        worker = self._one()
        if worker is None:
            return None
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGSTOP)  # so that it starts nothing meanwhile
        for session in self._programs(worker.pid):
            _kill_group(session)
        _kill_group(worker.pid)
        worker.process.join()
        return "worker and its programs"

    def _kill_program(self) -> str | None:
        running = self._programs()
        if not running:
            return None
        _kill_group(self.dice.choice(running))
        return "program alone"

    def _hold_up(self) -> str | None:
        """Past its lease, and often past the three after which its jobs are taken."""
        worker = self._one()
        if worker is None or self.stopped:
            return None
        self.stopped.append(worker)
        worker.signal(signal.SIGSTOP)

        def release() -> None:
            worker.signal(signal.SIGCONT)
            self.stopped.remove(worker)

        # From a thread: it may have stopped in a transaction, for which all others wait, we too.
        timer = threading.Timer(self.dice.uniform(1, 5) * LEASE, release)
        timer.daemon = True
        timer.start()
        return "stopped past the lease"

    def _programs(self, worker: int | None = None) -> list[int]:
        """Sessions that lock files name, of one worker or of all."""
        files = (self.fleet.state / "run" / "locks").glob("agent-*")
        held = [found for file in files if (found := holder(file)) is not None]
        return [
            one.session
            for one in held
            if one.session and worker in (None, one.worker_pid) and _runs(one)
        ]

    def _restart_redis(self) -> str:
        assert self.broker is not None
        self.broker.end()
        self.broker.start()
        return "redis killed"

    def _flush_redis(self) -> str:
        assert self.broker is not None
        with redis.Redis.from_url(self.broker.url) as client:
            client.flushall()
        return "redis flushed"

    def _terminate(self) -> str:
        assert self.database is not None
        url = self.database.url.replace("+psycopg", "", 1)
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(url, autocommit=True) as connection,
        ):
            connection.execute(TERMINATE.encode())
        return "backends terminated"

    def _restart_postgres(self) -> str:
        assert self.database is not None
        self.database.end(signal.SIGQUIT)
        self.database.start()
        return "postgresql crashed"

    # The end

    def settle(self) -> None:
        """Nobody is harmed any more: everything ends, or is lost."""
        end = CLOCK.monotonic() + SETTLED.total_seconds()
        while self._is_live() and CLOCK.monotonic() < end:
            self.go_on()
            CLOCK.sleep(timedelta(milliseconds=200))

    def found(self) -> list[Job]:
        with self.fleet.host.database.read() as session:
            return [jobs.find(session, job) for job in self.asked]

    def _is_live(self) -> bool:
        """Who cannot be told looks again: the last to be ended may have been its own session."""
        try:
            with self.fleet.host.database.read() as session:
                return bool(jobs.live(session))
        except Transient:
            return True


def _runs(one: Holder) -> bool:
    """Its program, and nobody who has its number by now."""
    return one.session is not None and is_alive(one.session, one.session_started)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def report(soak: Soak, seconds: float, database: str) -> bool:
    """Prints the tally; whether all is well."""
    found, tally = soak.found(), soak.fleet.tally
    states = Counter(job.state for job in found)
    codes = Counter(job.error.code for job in found if job.state is JobState.FAILED and job.error)
    lost = [job for job in found if job.state not in ENDED]
    lost += [job for job in found if job.state is JobState.SUCCEEDED and not _is_done(soak, job)]
    also = "".join(f", {count} {code}" for code, count in sorted(soak.trouble.items()))
    _say(f"{'database':<12}{database}; {len(WORKERS)} workers, {len(AGENTS)} agents")
    _say(f"{'kills':<12}{soak.kills} in {seconds:.0f} s")
    for what, count in soak.done.most_common():
        _say(f"{'':<12}{count:>6} {what}")
    _say(f"{'jobs':<12}{len(found)} accepted{also and ', refused for now: ' + also[2:]}")
    _say(f"{'attempts':<12}{sum(job.attempt for job in found)}, programs begun {tally.starts}")
    for state in (JobState.SUCCEEDED, JobState.CANCELLED, JobState.FAILED):
        said = ", ".join(f"{count} {code}" for code, count in codes.most_common())
        _say(
            f"{state:<12}{states[state]}{f' ({said})' if state is JobState.FAILED and said else ''}"
        )
    _say(f"{'overlaps':<12}{tally.overlaps}")
    _say(f"{'lost':<12}{len(lost)}{''.join(f' {job.id}:{job.state}' for job in lost[:20])}")
    _say(f"{'doubled':<12}{tally.doubled}")
    stumbles = [one.name for one in soak.fleet.running if "Traceback" in one.err]
    _say(f"{'tracebacks':<12}{len(stumbles)}{''.join(f' {name}' for name in stumbles[:5])}")
    return not (tally.overlaps or lost or tally.doubled)


def _is_done(soak: Soak, job: Job) -> bool:
    wanted = {"before", "behind"} if job.ask.get("switch") else {"before"}
    return wanted <= soak.fleet.effects(job.id)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def prepared(database: str, folder: Path) -> Iterator[tuple[Fleet, Server | None, Server | None]]:
    with ExitStack() as stack:
        if database == "sqlite":
            fleet = stack.enter_context(a_fleet(folder, HIVE_FAILURE_LIMIT=FAILURES))
            yield fleet, None, None
            return
        servers = stack.enter_context(a_redis()), stack.enter_context(a_postgres())
        for server in servers:
            server.start()
        broker, base = servers
        more = {"HIVE_REDIS_URL": broker.url, "HIVE_DATABASE_URL": base.url}
        yield stack.enter_context(a_fleet(folder, HIVE_FAILURE_LIMIT=FAILURES, **more)), *servers


def run(soak: Soak, kills: int) -> None:
    soak.start()
    said = 0
    while soak.kills < kills:
        soak.feed()
        soak.harm()
        soak.go_on()
        if soak.kills // SAID_EACH > said:
            said = soak.kills // SAID_EACH
            sys.stderr.write(f"{soak.kills} kills, {len(soak.asked)} jobs\n")
        CLOCK.sleep(timedelta(seconds=soak.dice.uniform(0, PAUSE)))
    soak.settle()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--keep", type=Path, help="A folder for what is left, to look at.")
    asked = parser.parse_args(words)
    _say(f"{'seed':<12}{asked.seed}")
    with ExitStack() as stack:
        made = stack.enter_context(tempfile.TemporaryDirectory(prefix="hive-soak-"))
        folder = asked.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        fleet, broker, database = stack.enter_context(prepared(asked.database, folder))
        soak = Soak(fleet, broker, database, random.Random(asked.seed))
        began = CLOCK.monotonic()
        run(soak, asked.kills)
        return 0 if report(soak, CLOCK.monotonic() - began, asked.database) else 1


if __name__ == "__main__":
    sys.exit(main())
