"""What the queue's tests stand on: a host of scripted jobs, its heart, and looks at its rows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from typing_extensions import override

from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import Stream, Tell
from hive.adapters.world import World
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.event import Event
from hive.domain.job import Job, JobId, NewJob, StepState
from hive.domain.names import AgentName, NodeName
from hive.domain.ports import port_of
from hive.domain.target import AppliedMain
from hive.domain.worker import Process, Role, Worker
from hive.errors import Reason, Transient
from hive.jobs.catalog import lock_of
from hive.jobs.recipe import Recipe
from hive.queue.attempt import Attempt
from hive.queue.claim import claim, locked
from hive.queue.drive import find
from hive.queue.execute import execute
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.queue.submit import cancel, submit
from hive.queue.turns import Turns
from hive.queue.work import work_off
from hive.steps.container import Defined, ProfileSet
from hive.steps.gate import Approved
from hive.steps.step import Differs, Finding, Holds, Step
from hive.store import (
    agents,
    claims,
    events,
    jobs,
    moves,
    steps,
    verdicts,
    workers,
)
from hive.store.session import Database, Session
from hive.testing import FakeClock
from tests.contract.store_samples import instant
from tests.databases import migrated
from tests.pretend import ALICE, Pretend, a_pretend_host, nothing_by_the_clock

SOON: Final = timedelta(seconds=30)
OFTEN: Final = timedelta(milliseconds=5)
KIND: Final = "scripted"

Act = Callable[[], object]


def until(condition: Callable[[], object], within: timedelta = SOON) -> None:
    assert wait_until(SystemClock(), lambda: bool(condition()), within, OFTEN), "it never came"


def raising(error: BaseException) -> Act:
    def act() -> None:
        raise error

    return act


@dataclass(frozen=True)
class Scripted:
    """The file `path` is there; `act` happens first, and `look` at each look."""

    path: Path
    act: Act
    look: Act

    def check(self, world: World) -> Finding:
        self.look()
        return Holds("it is there") if self.path.exists() else Differs("it is not there")

    def apply(self, world: World) -> None:
        self.act()
        self.path.touch()


@dataclass(frozen=True)
class Firm(Defined):
    """From here on no way is made."""

    @override
    def check(self, world: World) -> Finding:
        return Holds("it is a script")


@dataclass(frozen=True)
class Switched(ProfileSet):
    """The switch."""

    path: Path = field(default_factory=Path)

    @override
    def check(self, world: World) -> Finding:
        return Holds("switched") if self.path.exists() else Differs("not switched")

    @override
    def apply(self, world: World) -> None:
        self.path.touch()


@dataclass(frozen=True)
class Script(Recipe):
    """`before`, a gate where there is one, what is firm, the switch, `behind`; and `back`."""

    kind: ClassVar[str] = KIND
    job: Job
    folder: Path
    acts: dict[str, Act]
    gated: bool = False
    recorded: bool = False
    left: bool = False

    @property
    def agent(self) -> AgentName:
        assert self.job.agent is not None
        return self.job.agent

    def plan(self) -> tuple[Step, ...]:
        target = AppliedMain(self.agent)
        gate = (Approved(self.agent, self.job.id, self.job.approved_by),) if self.gated else ()
        return (
            self._step("before"),
            *gate,
            Firm(target, False),
            Switched(target, self.folder / f"switch-{self.agent}"),
            self._step("behind"),
        )

    def restore(self) -> tuple[Step, ...]:
        return (self._step("back"),)

    def is_recorded(self, world: World) -> bool:
        return self.recorded

    def result(self, world: World) -> dict[str, object]:
        self._act("result")()
        return {"attempt": self.job.attempt}

    def left_nothing(self, world: World) -> bool:
        self._act("left")()
        return self.left

    def _step(self, name: str) -> Step:
        path = self.folder / f"{name}-{self.job.id}"
        return Scripted(path, self._act(name), self._act(f"{name}?"))

    def _act(self, name: str) -> Act:
        return self.acts.get(name, bool)


@dataclass(frozen=True, slots=True)
class Rung:
    """A bell that notes what was rung."""

    heard: list[tuple[NodeName, JobId]] = field(default_factory=list)

    def ring(self, node: NodeName, job: JobId) -> None:
        self.heard.append((node, job))

    def close(self) -> None: ...

    @property
    def jobs(self) -> list[int]:
        return [job for _, job in self.heard]


@dataclass
class Bench:
    """A host, and what its scripted jobs do."""

    pretend: Pretend
    host: Host
    bell: Rung
    heart: Heart
    opened: ExitStack
    acts: dict[str, Act] = field(default_factory=dict)
    also: dict[str, Any] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.host.database

    @property
    def folder(self) -> Path:
        folder = self.pretend.folder / "made"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def clock(self) -> FakeClock:
        assert isinstance(self.host.clock, FakeClock)
        return self.host.clock

    def does(self, also: dict[str, Any] | None = None, /, **acts: Act) -> None:
        """What every job here does from now on."""
        self.acts, self.also = acts, also or {}

    def recipe(self, job: Job) -> Recipe:
        return Script(job, self.folder, self.acts, **self.also)

    def lock(self, agent: str = ALICE) -> str:
        return lock_of(self.host.node, AgentName(agent))

    def submit(self, agent: str = ALICE, *, with_row: bool = False, **also: Any) -> Job:  # noqa: ANN401 - NewJob's
        name = AgentName(agent)
        new = NewJob(KIND, self.host.node, name, {}, self.lock(agent), "test")
        row = Agent(self.host.node, name, port_of(name), Desired.RUNNING, AgentSettings())
        return submit(self.host, replace(new, **also), row if with_row else None).job

    def attempt(self, agent: str = ALICE, *, chain: bool = False) -> Job | None:
        """One claim, and what comes of it; with `chain`, what was claimed with its end."""
        with locked(self.host, self.lock(agent)) as locks:
            assert locks is not None
            job = claim(self.host, self.heart, self.lock(agent))
            assert job is not None, "there was nothing to claim"
            turns = self.turns() if chain else None
            following = execute(self.host, self.heart, job, locks, turns=turns)
            return None if following is None else following.job

    def claimed(self, agent: str = ALICE) -> Job:
        """In this worker's name, with nobody who works on it."""
        job = claim(self.host, self.heart, self.lock(agent))
        assert job is not None
        return job

    def work_off(self, agent: str = ALICE, *, goes_on: Callable[[], bool] = lambda: True) -> int:
        return work_off(self.host, self.heart, self.lock(agent), turns=self.turns(goes_on))

    def turns(self, goes_on: Callable[[], bool] = lambda: True) -> Turns:
        return self.opened.enter_context(Turns(self.host, self.heart, goes_on))

    def running(self) -> Attempt:
        """The one attempt that is under way."""
        (attempt,) = self.heart.attempts()
        return attempt

    def seen(self) -> None:
        """The heart has looked at the rows since."""
        turned = threading.Event()
        beat = self.heart._beat

        def turn() -> None:
            try:
                beat()
            finally:
                turned.set()

        self.heart._beat = turn  # type: ignore[method-assign]  # only a look at when it was here
        try:
            self.heart.wake()
            assert turned.wait(SOON.total_seconds())
        finally:
            self.heart._beat = beat  # type: ignore[method-assign]

    def cancel_seen(self) -> None:
        """An operator cancels what runs, and its worker has heard of it."""
        cancel(self.host, self.running().job.id)
        self.seen()

    def cancel(self, job: Job) -> Job:
        return cancel(self.host, job.id)

    def drain(self) -> None:
        """As a worker that stops does; a program would raise what `check` does."""
        attempt = self.running()
        attempt.stop(Reason.DRAINED)
        attempt.halt.check()

    def approve(self, job: Job) -> Job:
        with self.database.write() as session:
            return verdicts.approve(session, job.id, by="test", seen={}, now=self.host.clock.now())

    def job(self, job: Job) -> Job:
        return find(self.host, job.id)

    def made(self) -> list[str]:
        """Without the number of the job, or the name of the agent."""
        return sorted(file.name.partition("-")[0] for file in self.folder.iterdir())

    def steps(self, job: Job) -> list[StepState]:
        with self.database.read() as session:
            return [step.state for step in steps.of(session, job.id)]

    def events(self, job: Job) -> list[str]:
        """What happened to it, in order."""
        with self.database.read() as session:
            told: list[Event] = events.behind(session, job=job.id)
        return [event.kind.removeprefix("job.") for event in told]

    def has_agent(self, agent: AgentName = ALICE) -> bool:
        with self.database.read() as session:
            return agents.find(session, self.host.node, agent) is not None

    def workers(self) -> list[Worker]:
        with self.database.read() as session:
            return workers.listed(session)

    def lease(self, job: Job) -> datetime | None:
        return instant(self.database, job.id, "leased_until")

    def stolen(self, job: Job) -> None:
        """Someone else has the next attempt."""
        with self.database.write() as session:
            taken_over(session, self.host, job)

    def claimed_by(self, process: Process, agent: str = ALICE, role: Role = Role.WORKER) -> Job:
        """What stands first there, by another process, which has registered."""
        now = self.host.clock.now()
        worker = Worker(process, role, "0", 1, draining=False, since=now, beat_at=now)
        with self.database.write() as session:
            workers.register(session, worker)
            job = claims.claim(
                session, self.lock(agent), worker=worker.id, now=now,
                leased_until=now + timedelta(seconds=30),
            )  # fmt: skip
        assert job is not None
        return job


def taken_over(session: Session, host: Host, job: Job) -> None:
    now = host.clock.now()
    assert moves.rescue(session, jobs.find(session, job.id), now=now)
    assert claims.claim(session, job.lock, worker="thief", now=now, leased_until=now)


@contextmanager
def a_bench(folder: Path, **settings: str) -> Iterator[Bench]:
    """Its clock stands still until it is advanced; its heart beats by the true one."""
    for name in tuple(logging.root.manager.loggerDict):  # import-linter, run before, silences them
        logging.getLogger(name).disabled = False
    with a_pretend_host(folder, **settings) as pretend:
        migrated(pretend.host.database)
        nothing_by_the_clock(pretend.host.database)
        bell = Rung()

        def recipe(job: Job) -> Recipe:
            return bench.recipe(job)

        clock = FakeClock(pretend.host.clock.now())
        host = replace(pretend.host, clock=clock, bell=bell, recipe=recipe)
        with Heart(host, Role.WORKER) as heart, ExitStack() as opened:
            bench = Bench(pretend, host, bell, heart, opened)
            yield bench


@dataclass
class Starts:
    """Hears of each program right before it starts."""

    heard: Callable[[int, str, Halt], object]
    count: int = 0

    def on(self, host: Host) -> Host:
        def world(tell: Tell, locks: Locks, halt: Halt) -> World:
            def hear(stream: Stream, line: str) -> None:
                tell(stream, line)
                if stream is Stream.COMMAND:
                    self.count += 1
                    self.heard(self.count, line, halt)

            return host.world(hear, locks, halt)

        return replace(host, world=world)


@dataclass(frozen=True)
class Moody(Database):
    """A database that some threads cannot reach while it is `away`, or that never answers them."""

    away: threading.Event = field(default_factory=threading.Event)
    hangs: threading.Event = field(default_factory=threading.Event)
    back: threading.Event = field(default_factory=threading.Event)
    """A hanging one answers again."""
    met: threading.Event = field(default_factory=threading.Event)
    """Somebody has found it so."""
    only: str = ""
    """The name of the thread that finds it so; empty: all do."""

    @classmethod
    def of(cls, database: Database, only: str = "") -> Moody:
        return cls(database.engine, database.modes, database.writers, only=only)

    @override
    @contextmanager
    def write(self) -> Iterator[Session]:
        self._mood()
        with super().write() as session:
            yield session

    @override
    @contextmanager
    def progress(self) -> Iterator[Session]:
        self._mood()
        with super().progress() as session:
            yield session

    @override
    @contextmanager
    def read(self) -> Iterator[Session]:
        self._mood()
        with super().read() as session:
            yield session

    def _mood(self) -> None:
        if self.only and threading.current_thread().name != self.only:
            return
        if self.hangs.is_set() or self.away.is_set():
            self.met.set()
        if self.hangs.is_set():
            assert self.back.wait(60)
        if self.away.is_set():
            raise Transient("it is away", code="database-unavailable")
