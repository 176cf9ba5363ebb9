"""A job from its row to its end: the steps, the way back, the fence and the lock, on SQLite."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from typing_extensions import override

from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.processes import is_alive, start_of
from hive.adapters.world import World
from hive.domain.agent import Agent, AgentSettings, Desired
from hive.domain.event import FENCED
from hive.domain.job import FAIL, FINISH, Job, JobId, JobState, LogLine, NewJob, StepState
from hive.domain.names import AgentName
from hive.domain.ports import port_of
from hive.domain.target import AppliedMain
from hive.domain.worker import Role
from hive.errors import Fault, HiveError, IllegalMove, Refused, Transient
from hive.jobs import catalog
from hive.jobs.recipe import Recipe
from hive.queue.claim import claim, locked
from hive.queue.drive import drive, find
from hive.queue.execute import execute
from hive.queue.heartbeat import Heart
from hive.queue.host import Host
from hive.queue.submit import submit
from hive.service import agents as agents_service
from hive.steps.container import ProfileSet
from hive.steps.step import Differs, Finding, Holds, Step
from hive.store import agents, claims, events, figures, jobs, logs, moves, steps
from hive.store.session import Session
from hive.testing import FakeClock
from tests.contract.store_samples import NOW
from tests.databases import migrated
from tests.pretend import ALICE, Pretend, a_pretend_host

LOCK: Final = catalog.lock_of
SOON: Final = timedelta(seconds=60)
OFTEN: Final = timedelta(milliseconds=10)
PROCESSES: Final = multiprocessing.get_context("spawn")


def nothing() -> None: ...


@dataclass(frozen=True)
class There:
    """The file `path` is there; `act` happens first."""

    path: Path
    act: Callable[[], None] = nothing

    def check(self, world: World) -> Finding:
        return Holds("it is there") if self.path.exists() else Differs("it is not there")

    def apply(self, world: World) -> None:
        self.act()
        self.path.touch()


@dataclass(frozen=True)
class Switched(ProfileSet):
    """The switch, in a recipe of files."""

    path: Path = field(default_factory=Path)

    @override
    def check(self, world: World) -> Finding:
        return There(self.path).check(world)

    @override
    def apply(self, world: World) -> None:
        self.path.touch()


@dataclass(frozen=True)
class Files(Recipe):
    """A recipe of files: one step before the switch, the switch, one behind it."""

    kind: ClassVar[str] = "files"
    folder: Path
    before: Callable[[], None] = nothing
    behind: Callable[[], None] = nothing
    back: Callable[[], None] = nothing
    tells: Callable[[], None] = nothing
    recorded: bool = False
    left: bool = False
    agent: AgentName = ALICE

    def plan(self) -> tuple[Step, ...]:
        switch = Switched(AppliedMain(self.agent), self.folder / "switch")
        return (
            There(self.folder / "before", self.before),
            switch,
            There(self.folder / "behind", self.behind),
        )

    def restore(self) -> tuple[Step, ...]:
        return (There(self.folder / "back", self.back),)

    def is_recorded(self, world: World) -> bool:
        return self.recorded

    def result(self, world: World) -> dict[str, object]:
        self.tells()
        return {"done": True}

    def left_nothing(self, world: World) -> bool:
        return self.left

    def made(self) -> list[str]:
        return sorted(file.name for file in self.folder.iterdir())


@dataclass
class Bench:
    """A host with a database, and a job of files for it."""

    pretend: Pretend
    patch: pytest.MonkeyPatch

    @property
    def host(self) -> Host:
        return self.pretend.host

    @property
    def folder(self) -> Path:
        folder = self.pretend.folder / "files"
        folder.mkdir(exist_ok=True)
        return folder

    def recipe(self, **acts: Any) -> Files:  # noqa: ANN401 - what Files takes
        """What every job here does from now on."""
        return self.does(Files(self.folder, **acts))

    def does(self, recipe: Files) -> Files:
        self.patch.setattr(catalog, "recipe", lambda job, agent, **_: recipe)
        return recipe

    def submit(self) -> Job:
        return submitted(self.host)

    def job(self, job: Job) -> Job:
        return find(self.host, job.id)

    def lines(self, job: Job) -> list[LogLine]:
        with self.host.database.read() as session:
            return logs.of(session, job.id)

    def steps(self, job: Job) -> list[tuple[str, StepState]]:
        with self.host.database.read() as session:
            return [(step.name, step.state) for step in steps.of(session, job.id)]

    def has_agent(self) -> bool:
        with self.host.database.read() as session:
            return agents.find(session, self.host.node, ALICE) is not None

    def attempt(self) -> None:
        """One claim, and what comes of it."""
        lock = LOCK(self.host.node, ALICE)
        with Heart(self.host, Role.COMMAND) as heart, locked(self.host, lock) as locks:
            assert locks is not None
            job = claim(self.host, heart, lock)
            assert job is not None
            execute(self.host, heart, job, locks)

    def stolen(self, job: Job) -> None:
        """Someone else has the next attempt."""
        with self.host.database.write() as session:
            taken_over(session, self.host, job)


def taken_over(session: Session, host: Host, job: Job) -> None:
    now = host.clock.now()
    assert moves.rescue(session, jobs.find(session, job.id), now=now)
    assert claims.claim(session, job.lock, worker="thief", now=now, leased_until=now)


def submitted(host: Host) -> Job:
    agent = Agent(host.node, ALICE, port_of(ALICE), Desired.RUNNING, AgentSettings())
    new = NewJob("files", host.node, ALICE, {}, LOCK(host.node, ALICE), "test")
    return submit(host, new, agent).job


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with a_pretend_host(tmp_path, HIVE_FAILURE_LIMIT="1") as pretend:
        migrated(pretend.host.database)
        yield Bench(pretend, monkeypatch)


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


class Killed(BaseException):
    """The worker is gone in this moment."""


# The end


def test_a_job_whose_steps_hold_succeeds_with_its_result(bench: Bench) -> None:
    recipe, job = bench.recipe(), bench.submit()
    ended = drive(bench.host, job.id)
    assert ended.state is JobState.SUCCEEDED
    assert (ended.result, ended.error, ended.attempt) == ({"done": True}, None, 1)
    assert ended.finished_at is not None
    assert recipe.made() == ["before", "behind", "switch"]
    assert bench.steps(job) == [
        ("There", StepState.APPLIED), ("Switched", StepState.APPLIED), ("There", StepState.APPLIED),
    ]  # fmt: skip


def test_a_second_job_finds_that_everything_holds(bench: Bench) -> None:
    bench.recipe()
    drive(bench.host, bench.submit().id)
    again = bench.submit()
    assert drive(bench.host, again.id).state is JobState.SUCCEEDED
    assert {state for _, state in bench.steps(again)} == {StepState.HELD}


@pytest.mark.parametrize(
    "error",
    [
        Refused("no", code="not-today", hint="tomorrow"),
        Transient("the net is down", code="network", hint="wait"),
        Fault("oh", code="a-bug", hint="report it"),
    ],
)
def test_an_error_ends_the_job_failed_with_code_message_and_hint(
    bench: Bench, error: HiveError
) -> None:
    bench.recipe(before=raising(error))
    job = bench.submit()
    ended = drive(bench.host, job.id)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.message, ended.error.hint) == (
        error.code, error.message, error.hint,
    )  # fmt: skip
    assert ended.finished_at is not None
    assert bench.steps(job) == [("There", StepState.FAILED)]


def test_a_bug_is_a_fault_and_its_traceback_is_in_the_log_and_nowhere_else(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.recipe(before=raising(ZeroDivisionError("by nothing")))
    job = bench.submit()
    ended = drive(bench.host, job.id)
    assert ended.error is not None
    assert ended.error.code == "fault"
    assert ended.error.message == "ZeroDivisionError: by nothing"
    said = "\n".join(line.text for line in bench.lines(job))
    assert "Traceback" in said
    assert "by nothing" in said
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("where", ["recipe", "result", "left_nothing", "is_recorded"])
def test_a_bug_outside_the_steps_ends_the_job_too(bench: Bench, where: str) -> None:
    if where == "recipe":
        bench.patch.setattr(catalog, "recipe", lambda job, agent, **_: 1 // 0)
    elif where == "result":
        bench.recipe(tells=raising(ZeroDivisionError()))
    else:
        bench.recipe(behind=raising(Refused("first", code="first")))
        bench.patch.setattr(Files, where, lambda recipe, world: 1 // 0)
    ended = drive(bench.host, bench.submit().id)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == ("fault" if where in ("recipe", "result") else "first")


def test_a_job_of_an_unknown_kind_ends_failed(bench: Bench) -> None:
    ended = drive(bench.host, bench.submit().id)
    assert ended.error is not None
    assert ended.error.code == "fault"
    assert "files" in ended.error.message


def test_what_stands_before_a_job_in_its_lock_is_run_first(bench: Bench) -> None:
    bench.recipe()
    first, second = bench.submit(), bench.submit()
    drive(bench.host, second.id)
    assert bench.job(first).state is JobState.SUCCEEDED


# Interrupts


def test_an_interrupt_gives_the_job_back_and_goes_on(bench: Bench) -> None:
    bench.recipe(behind=raising(KeyboardInterrupt()))
    job = bench.submit()
    with pytest.raises(KeyboardInterrupt):
        drive(bench.host, job.id)
    given_back = bench.job(job)
    assert (given_back.state, given_back.failures, given_back.losses) == (JobState.QUEUED, 0, 0)
    bench.recipe()
    ended = drive(bench.host, job.id)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)


def test_an_interrupt_in_a_restore_gives_back_what_only_restores(bench: Bench) -> None:
    bench.recipe(behind=raising(Refused("no", code="no")), back=raising(KeyboardInterrupt()))
    job = bench.submit()
    with pytest.raises(KeyboardInterrupt):
        drive(bench.host, job.id)
    assert bench.job(job).restoring
    recipe = bench.recipe(behind=raising(AssertionError("it went forward")))
    ended = drive(bench.host, job.id)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "no"
    assert "back" in recipe.made()


# The fence


@pytest.mark.parametrize("moment", ["before", "behind", "back", "tells"])
def test_an_attempt_that_lost_its_job_writes_nothing_more(bench: Bench, moment: str) -> None:
    stolen: list[Job] = []

    def steal() -> None:
        bench.stolen(job)
        stolen.append(bench.job(job))

    acts: dict[str, Callable[[], None]] = {moment: steal}
    if moment == "back":
        acts["behind"] = raising(Refused("no", code="no"))
    bench.recipe(**acts)
    job = bench.submit()
    bench.attempt()
    assert bench.job(job) == stolen[0]
    assert stolen[0].attempt == 2
    with bench.host.database.read() as session:
        (told,) = events.behind(session, kind=FENCED)
        assert figures.fenced(session) == 1
    assert (told.job_id, told.data) == (job.id, {"attempt": 1})


def test_an_attempt_that_lost_its_job_and_then_fails_writes_nothing_either(bench: Bench) -> None:
    def steal_and_fail() -> None:
        bench.stolen(job)
        raise Refused("no", code="no")

    recipe = bench.recipe(behind=steal_and_fail)
    job = bench.submit()
    bench.attempt()
    left = bench.job(job)
    assert (left.state, left.attempt, left.error) == (JobState.RUNNING, 2, None)
    assert "back" not in recipe.made()


def test_an_interrupted_attempt_that_lost_its_job_gives_nothing_back(bench: Bench) -> None:
    def steal_and_stop() -> None:
        bench.stolen(job)
        raise KeyboardInterrupt

    bench.recipe(before=steal_and_stop)
    job = bench.submit()
    with pytest.raises(KeyboardInterrupt):
        bench.attempt()
    assert (bench.job(job).state, bench.job(job).attempt) == (JobState.RUNNING, 2)


def test_a_job_that_ended_meanwhile_stays_ended(bench: Bench) -> None:
    """An operator's hand in the database, or maintenance: whoever moved it first, did."""

    def end() -> None:
        with bench.host.database.write() as session:
            moves.make(session, job.id, FAIL, now=NOW, error={"code": "x", "message": "y"})

    bench.recipe(tells=end)
    job = bench.submit()
    bench.attempt()
    assert bench.job(job).state is JobState.FAILED
    with pytest.raises(IllegalMove), bench.host.database.write() as session:
        moves.make(session, job.id, FINISH, now=NOW)


# The way back


def test_a_failure_before_the_switch_restores_nothing(bench: Bench) -> None:
    recipe = bench.recipe(before=raising(Refused("no", code="no")))
    ended = drive(bench.host, bench.submit().id)
    assert ended.state is JobState.FAILED
    assert not ended.restoring
    assert recipe.made() == []


def test_a_failure_behind_the_switch_restores_and_ends_with_the_first_error(bench: Bench) -> None:
    recipe = bench.recipe(behind=raising(Transient("it fell", code="fell", hint="up")))
    job = bench.submit()
    ended = drive(bench.host, job.id)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert (ended.error.code, ended.error.hint) == ("fell", "up")
    assert recipe.made() == ["back", "before", "switch"]
    assert [state for _, state in bench.steps(job)] == [
        StepState.APPLIED, StepState.APPLIED, StepState.FAILED, StepState.APPLIED,
    ]  # fmt: skip


def test_the_row_says_that_it_restores_before_anything_is_restored(bench: Bench) -> None:
    seen: list[Job] = []
    job = bench.submit()
    bench.recipe(behind=raising(Refused("no", code="no")), back=lambda: seen.append(bench.job(job)))
    drive(bench.host, job.id)
    assert seen[0].restoring
    assert seen[0].error is not None
    assert seen[0].error.code == "no"


def test_a_worker_killed_in_a_restore_is_followed_by_one_that_only_restores(bench: Bench) -> None:
    bench.recipe(behind=raising(Refused("no", code="no", hint="h")), back=raising(Killed()))
    job = bench.submit()
    with pytest.raises(Killed):
        drive(bench.host, job.id)
    assert bench.job(job).state is JobState.RUNNING
    recipe = bench.recipe(behind=raising(AssertionError("it went forward")))
    ended = drive(bench.host, job.id)
    assert (ended.state, ended.attempt) == (JobState.FAILED, 2)
    assert ended.error is not None
    assert (ended.error.code, ended.error.hint) == ("no", "h")
    assert recipe.made() == ["back", "before", "switch"]
    assert len(bench.steps(job)) == 1  # those of the last attempt


def test_a_restore_that_fails_says_both(bench: Bench) -> None:
    bench.recipe(
        behind=raising(Refused("it fell", code="fell")),
        back=raising(Transient("no way back", code="stuck", hint="look")),
    )
    ended = drive(bench.host, bench.submit().id)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "not-restored"
    assert "it fell" in ended.error.message
    assert "no way back" in ended.error.message
    assert ended.error.hint == "look"


def test_what_is_recorded_is_not_restored(bench: Bench) -> None:
    recipe = bench.does(
        Files(bench.folder, behind=raising(Refused("no", code="no")), recorded=True)
    )
    ended = drive(bench.host, bench.submit().id)
    assert ended.state is JobState.FAILED
    assert not ended.restoring
    assert "back" not in recipe.made()


def test_a_killed_attempt_that_had_switched_is_followed_by_one_that_goes_forward(
    bench: Bench,
) -> None:
    bench.recipe(behind=raising(Killed()))
    job = bench.submit()
    with pytest.raises(Killed):
        drive(bench.host, job.id)
    recipe = bench.recipe()
    assert drive(bench.host, job.id).state is JobState.SUCCEEDED
    assert "back" not in recipe.made()


# A database that is away


def test_a_database_that_takes_no_move_leaves_the_job_to_the_next_attempt(bench: Bench) -> None:
    """It is asked again for as long as the lease holds: by this clock, in no time."""
    bench.pretend.host = replace(bench.host, clock=FakeClock(bench.host.clock.now()))
    recipe = bench.recipe()
    job = bench.submit()
    with bench.patch.context() as patch:
        away = Transient("the database is away", code="database-unavailable")
        patch.setattr(moves, "make", lambda *_, **__: raising(away)())
        with pytest.raises(Transient, match="away"):
            drive(bench.host, job.id)
    assert bench.job(job).state is JobState.RUNNING
    ended = drive(bench.host, job.id)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)
    assert recipe.made() == ["before", "behind", "switch"]


def test_a_world_that_cannot_be_made_ends_the_job_too(bench: Bench) -> None:
    bench.recipe()

    def world(*_: object) -> World:
        raise Transient("no room for the stand-ins", code="disk-full")

    bench.pretend.host = replace(bench.host, world=world)
    ended = drive(bench.host, bench.submit().id)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "disk-full"


@pytest.mark.parametrize("error", [Transient("away", code="away"), Fault("no row", code="no-row")])
def test_what_restores_and_has_no_recipe_keeps_the_error_that_it_restores_for(
    bench: Bench, error: HiveError
) -> None:
    bench.pretend.host = replace(
        bench.host, clock=FakeClock(bench.host.clock.now()), failure_limit=5
    )
    bench.recipe(behind=raising(Refused("it fell", code="fell")), back=raising(KeyboardInterrupt()))
    job = bench.submit()
    with pytest.raises(KeyboardInterrupt):
        drive(bench.host, job.id)
    host = bench.host

    def recipe(_: Job) -> Files:
        raise error

    bench.pretend.host = replace(host, recipe=recipe)
    bench.attempt()
    found = bench.job(job)
    assert found.error is not None
    if isinstance(error, Fault):
        assert (found.state, found.error.code) == (JobState.FAILED, "not-restored")
        assert "it fell" in found.error.message
        return
    assert (found.state, found.restoring, found.error.code) == (JobState.QUEUED, True, "fell")
    bench.pretend.host = host
    bench.recipe()
    ended = drive(host, job.id)
    assert ended.error is not None
    assert (ended.state, ended.error.code) == (JobState.FAILED, "fell")


# The agent's row


@pytest.mark.parametrize("left", [True, False])
def test_an_agent_of_which_nothing_was_made_goes_with_its_failed_job(
    bench: Bench, left: bool
) -> None:
    bench.does(Files(bench.folder, before=raising(Refused("no", code="no")), left=left))
    drive(bench.host, bench.submit().id)
    assert bench.has_agent() is not left


def test_a_spawn_refused_before_anything_was_seeded_leaves_no_agent(bench: Bench) -> None:
    bench.host.layout.agents.parent.mkdir(exist_ok=True)
    job = agents_service.spawn(bench.host, ALICE, requested_by="test").job
    bench.host.layout.agents.write_text("in the way")
    ended = drive(bench.host, job.id)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "in-the-way"
    assert not bench.has_agent()
    bench.host.layout.agents.unlink()
    again = agents_service.spawn(bench.host, ALICE, requested_by="test").job
    assert drive(bench.host, again.id).state is JobState.SUCCEEDED


def test_a_spawn_that_fails_later_keeps_its_agent_in_view(bench: Bench) -> None:
    bench.pretend.before(ProfileSet)
    job = agents_service.spawn(bench.host, ALICE, requested_by="test").job
    bench.pretend.deploy_next(agent_nix='{ }: throw "no"\n')
    assert drive(bench.host, job.id).state is JobState.FAILED
    assert [view.name for view in agents_service.listed(bench.host)] == [ALICE]


# The lock


def test_who_gets_the_lock_of_a_running_job_takes_it_over(bench: Bench) -> None:
    bench.recipe()
    job, now = bench.submit(), bench.host.clock.now()
    with bench.host.database.write() as session:
        until = now + timedelta(hours=1)
        assert claims.claim(session, job.lock, worker="dead", now=now, leased_until=until)
    ended = drive(bench.host, job.id)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)


def until(condition: Callable[[], bool]) -> None:
    assert wait_until(SystemClock(), condition, SOON, OFTEN), "it never came"


def work_until_told(folder: Path, number: int) -> None:
    """A worker whose step ends when a file says so."""
    with a_pretend_host(folder) as pretend:
        recipe = Files(
            folder / "files",
            before=lambda: (folder / "files" / "began").touch(),
            behind=lambda: until((folder / "files" / "go").exists),
        )
        catalog.recipe = lambda job, agent, **_: recipe
        drive(pretend.host, JobId(number))


def test_while_another_process_works_its_job_is_followed(bench: Bench) -> None:
    bench.recipe(before=raising(AssertionError("two worked at once")))
    job, looks = bench.submit(), []

    def look() -> bool:
        looks.append(bench.job(job))
        if len(looks) == 3:
            (bench.folder / "go").touch()
        return False

    worker = PROCESSES.Process(target=work_until_told, args=(bench.pretend.folder, job.id))
    worker.start()
    try:
        until((bench.folder / "began").exists)
        ended = drive(bench.host, job.id, until=look)
    finally:
        (bench.folder / "go").touch()
        worker.join()
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)
    assert len(looks) >= 3


@dataclass(frozen=True)
class Long:
    """A program runs that outlives whoever started it."""

    pid_file: Path

    def check(self, world: World) -> Finding:
        return Differs("it never ends")

    def apply(self, world: World) -> None:
        beside = self.pid_file.with_suffix(".new")
        script = f"sleep 1000 & echo $! >{beside}; mv {beside} {self.pid_file}; wait"
        world.systemd.shell.run("sh", "-c", script, within=timedelta(hours=1))


class Stuck(Files):
    @override
    def plan(self) -> tuple[Step, ...]:
        return (Long(self.folder / "pid"),)


def work_for_ever(folder: Path, number: int) -> None:
    with a_pretend_host(folder) as pretend:
        catalog.recipe = lambda job, agent, **_: Stuck(folder / "files")
        drive(pretend.host, JobId(number))


def test_what_a_killed_worker_left_running_is_ended_before_the_next_attempt_works(
    bench: Bench,
) -> None:
    job, pid_file = bench.submit(), bench.folder / "pid"
    worker = PROCESSES.Process(target=work_for_ever, args=(bench.pretend.folder, job.id))
    worker.start()
    until(pid_file.exists)
    orphan = int(pid_file.read_text())
    started = start_of(orphan)
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    assert is_alive(orphan, started)
    seen: list[bool] = []
    bench.recipe(before=lambda: seen.append(is_alive(orphan, started)))
    ended = drive(bench.host, job.id)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)
    assert seen == [False]
