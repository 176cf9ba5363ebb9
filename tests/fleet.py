"""Hive's own processes for a test: forked quickly, killed at any time, and gone with the test.

Each is forked from one process that has loaded hive and has no threads; what it does from there is
what it does when a user starts it.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, TypeVar

import cli.app
from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.locks import Holder, holder
from hive.adapters.processes import is_alive, look
from hive.domain.job import ENDED, Job, JobId, JobState
from hive.queue import drive
from hive.queue.host import Host
from hive.settings import Settings
from hive.sim.stop import stop_all
from hive.store import jobs
from hive.store.session import open_database
from tests import drill
from tests.databases import migrated
from tests.drill import Tally, a_drill, folder_of, opened
from tests.forks import FORKS, settle, start
from tests.pretend import NO_FILE, environment, nothing_by_the_clock

T = TypeVar("T")
CLOCK: Final = SystemClock()
WITHIN: Final = timedelta(seconds=60)
"""What is not so by then hangs, on the slowest machine."""
EVERY: Final = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True)
class Running:
    """One process of hive's, and what it has said so far."""

    process: BaseProcess
    folder: Path
    name: str

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def out(self) -> str:
        return (self.folder / f"{self.name}.out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / f"{self.name}.err").read_text()

    @property
    def is_there(self) -> bool:
        return self.process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        if self.is_there:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.join(WITHIN.total_seconds())

    def ended(self) -> int:
        """Waits for its exit; negative for a signal."""
        self.process.join(WITHIN.total_seconds())
        code = self.process.exitcode
        assert code is not None, f"{self.name} hangs: {self.err[-3000:]}"
        return code


@dataclass
class Fleet:
    """Processes on one pretend host, and one of our own that asks and looks."""

    folder: Path
    env: dict[str, str]
    host: Host
    running: list[Running] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.host.layout.state

    # Processes

    def drill(self, role: str, *words: str, **more: str) -> Running:
        """`worker`, `up`, `maintenance` or `command JOB`, whose recipe is the drill."""
        return self._start(role, (DRILL, role, *words), more)

    def ready(self, role: str = "up", *words: str, **more: str) -> Running:
        """A worker that takes jobs."""
        worker = self.drill(role, *words, **more)
        self.said(worker, "worker.ready")
        return worker

    def freeze(self, who: Running) -> None:
        """Stopped, as a debugger does it; not in a transaction that would lock everybody out."""

        def is_frozen() -> bool:
            who.signal(signal.SIGSTOP)
            if self._can_write():
                return True
            who.signal(signal.SIGCONT)
            return False

        self.until(is_frozen, f"{who.name} is in no transaction")

    def _can_write(self) -> bool:
        """SQLite has one lock for all writers; PostgreSQL has one for each row."""
        file = self.host.database.path
        if file is None:
            return True
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            database.execute("ROLLBACK")
            return True

    def hive(self, *words: str, **more: str) -> Running:
        """The command line as it is, in the background."""
        return self._start(words[0], (HIVE, *words), more)

    def program(self, *argv: str, **more: str) -> Running:
        return self._start("program", argv, more)

    def said(self, who: Running, text: str) -> None:
        self.until(
            lambda: text in who.err or (not who.is_there and f"{who.name} ended: {who.err}"),
            f"{who.name} says {text}",
        )
        assert text in who.err, who.err[-3000:]

    def _start(self, name: str, words: Sequence[str], more: dict[str, str]) -> Running:
        name = f"{len(self.running)}-{name}"
        files = tuple(self.folder / f"{name}.{kind}" for kind in ("out", "err"))
        for file in files:
            file.touch()
        process = FORKS.Process(target=become, args=(self.env | more, files, [*words]))
        start(process)
        running = Running(process, self.folder, name)
        self.running.append(running)
        return running

    # Jobs

    def takes_to_boot(self, seconds: int) -> None:
        """So long each system of the pretend host takes to come up."""
        (self.state / "sim").mkdir(parents=True, exist_ok=True)
        (self.state / "sim" / "boot-seconds").write_text(str(seconds))

    def submit(self, agent: str, **also: Any) -> JobId:  # noqa: ANN401 - NewJob's, and the ask
        return a_drill(self.host, agent, **also).id

    def job(self, job: JobId) -> Job:
        return drive.find(self.host, job)

    def is_in(self, job: JobId, *states: JobState) -> bool:
        return self.job(job).state in states

    def ends(self, *wanted: JobId, state: JobState = JobState.SUCCEEDED) -> list[Job]:
        """Each of them ends so."""

        def over() -> list[Job] | None:
            with self.host.database.read() as session:
                found = [jobs.find(session, job) for job in wanted]
            return found if all(job.state in ENDED for job in found) else None

        found = self.until(over, f"jobs {wanted} end")
        assert {job.state for job in found} == {state}, [(j.id, j.state, j.error) for j in found]
        return found

    def begins(self, job: JobId, *, attempt: int = 1, what: str = "before") -> None:
        """Its program runs, and is noted in the lock."""
        line = f"start {self.job(job).agent} {job} {attempt} {what}"
        self.until(lambda: line in self.record(), f"record has {line!r}")

    # What can be seen of them

    def record(self) -> list[str]:
        file = folder_of(self.state) / "record"
        return file.read_text().splitlines() if file.exists() else []

    def effects(self, job: JobId) -> set[str]:
        """What its programs have made, each once."""
        found = folder_of(self.state).glob(f"done-{job}-*")
        return {path.name.rpartition("-")[2] for path in found}

    @property
    def tally(self) -> Tally:
        return Tally.of(folder_of(self.state))

    def checks_out(self, *succeeded: JobId) -> None:
        """No two overlapped, nothing was done twice, and what succeeded was done."""
        tally = self.tally
        assert (tally.overlaps, tally.doubled) == (0, 0), self.record()
        assert tally.starts >= tally.stops
        for job in succeeded:
            assert "before" in self.effects(job), (job, self.record())

    def holder(self, job: JobId) -> Holder | None:
        return holder(self.host.layout.lock(self.job(job).lock))

    def session_of(self, job: JobId) -> int:
        """Of the program that it runs right now."""

        def found() -> int | None:
            held = self.holder(job)
            if held is None or held.session is None:
                return None
            return held.session if is_alive(held.session, held.session_started) else None

        return self.until(found, f"job {job} runs a program")

    def kill_program(self, job: JobId) -> None:
        """It alone, with all that it has started; its worker lives."""
        session = self.session_of(job)
        with suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)

    def until(self, condition: Callable[[], T | None], what: str, within: timedelta = WITHIN) -> T:
        found = wait_until(CLOCK, condition, within, EVERY)
        if not found:
            said = "\n".join(f"--- {one.name}\n{one.err[-2000:]}" for one in self.running[-6:])
            raise AssertionError(f"not so within {within}: {what}\n{said}")
        return found

    def close(self) -> None:
        for one in self.running:
            one.signal(signal.SIGCONT)
            one.kill()
        stop_all(self.state / "sim")
        end_all_in(self.folder)


DRILL: Final = "drill"
HIVE: Final = "hive"


def become(env: dict[str, str], files: tuple[Path, Path], words: list[str]) -> None:
    """What a forked process does: it is `words`, as if just started; a path is executed."""
    settle(env, files)
    if words[0].startswith("/"):
        os.execve(words[0], words, env)
    if words[0] == HIVE:
        sys.argv = [str(Path(sys.executable).with_name("hive")), *words[1:]]
        cli.app.main()
    else:
        drill.main(words[1:])


@contextmanager
def a_fleet(folder: Path, **more: str) -> Iterator[Fleet]:
    """Nothing runs yet. `more` is environment; its database is migrated.

    Jobs are those of the test alone: the clock asks for none.
    """
    env = environment(folder / "state", **more)
    migrated(open_database(Settings.from_env(env, config=NO_FILE).database_url)).dispose()
    with opened(env) as (host, _):
        nothing_by_the_clock(host.database)
        fleet = Fleet(folder, env, host)
        try:
            yield fleet
        finally:
            fleet.close()


def end_all_in(folder: Path) -> None:
    """Orphans of what was killed: whoever is in the folder, or has a file there open."""
    while left := [pid for pid in _pids() if pid != os.getpid() and _is_in(pid, folder)]:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _is_in(pid: int, folder: Path) -> bool:
    process = look(pid)
    if process is None or process.is_over:
        return False
    with suppress(OSError):
        links = [Path(f"/proc/{pid}/cwd"), *Path(f"/proc/{pid}/fd").iterdir()]
        return any(_leads_into(link, folder) for link in links)
    return False


def _leads_into(link: Path, folder: Path) -> bool:
    with suppress(OSError):
        return link.readlink().is_relative_to(folder)
    return False
