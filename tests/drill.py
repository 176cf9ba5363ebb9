"""Jobs that can be checked from outside: what a drill runs records itself, and no two may overlap.

`python -m tests.drill worker|up|maintenance` is hive's own worker on a pretend host, with the drill
for a recipe; everything else in the process is what a user runs. `command JOB` is what a command
does that works on its own job. With `--quick N` hive's own waits are N times as short.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import typer
from typing_extensions import override

from cli.boundary import boundary
from hive import bootstrap
from hive.adapters.world import World
from hive.domain import retry, worker
from hive.domain.agent import Health
from hive.domain.job import Job, JobId, JobState, NewJob
from hive.domain.names import AgentName
from hive.domain.target import AppliedMain
from hive.domain.worker import Role
from hive.errors import Fault, Refused, Transient
from hive.jobs.catalog import lock_of
from hive.jobs.recipe import Recipe
from hive.queue import drive, heartbeat, rescue, submit
from hive.queue.host import Host
from hive.settings import Settings
from hive.steps.container import Defined, ProfileSet
from hive.steps.gate import Approved
from hive.steps.step import Differs, Finding, Holds, Step
from hive.store import jobs
from workers.main import Choices, Supervisor, until_signalled
from workers.maintenance import Maintenance, chores_of

KIND: Final = "drill"
NO_FILE: Final = Path("/nonexistent/hive.toml")

#: One line for each thing that happens, appended whole. The flock is the kernel's own word on who
#: overlaps whom: it ends with the process, however that ends. `ln` makes the marker once.
PROGRAM: Final = """
folder=$1 agent=$2 job=$3 attempt=$4 what=$5 seconds=$6 manner=$7
[ "$manner" = meek ] || trap "" TERM
cd "$folder" || exit 3
say() { echo "$1 $agent $job $attempt $what" >>record; }
exec 8>>"agent-$agent"
flock -n 8 || say overlap
say start
sleep "$seconds"
: >"made-$job-$what-$attempt"
if ln "made-$job-$what-$attempt" "done-$job-$what" 2>/dev/null; then say stop; else say doubled; fi
rm -f "made-$job-$what-$attempt"
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The program of `what` has run to its end, for this job, once."""

    folder: Path
    agent: AgentName
    job: JobId
    attempt: int
    what: str
    seconds: float
    manner: str = "meek"
    """`stubborn`: it takes no notice of TERM."""

    def check(self, world: World) -> Finding:
        if (self.folder / f"done-{self.job}-{self.what}").exists():
            return Holds("it has run")
        return Differs("it has not run")

    def apply(self, world: World) -> None:
        words = (self.agent, str(self.job), str(self.attempt), self.what, str(self.seconds))
        argv = ("sh", "-c", PROGRAM, "drill", self.folder, *words, self.manner)
        world.systemd.shell.run(*argv, within=timedelta(hours=1))


@dataclass(frozen=True)
class Firm(Defined):
    """From here on a drill makes way for nobody."""

    @override
    def check(self, world: World) -> Finding:
        return Holds("it is a drill")


@dataclass(frozen=True)
class Switched(ProfileSet):
    """The switch of a drill: from here on there is a way back."""

    path: Path = field(default_factory=Path)

    @override
    def check(self, world: World) -> Finding:
        return Holds("switched") if self.path.exists() else Differs("not switched")

    @override
    def apply(self, world: World) -> None:
        self.path.touch()


@dataclass(frozen=True, slots=True)
class Unswitched:
    """What was before is so again."""

    path: Path

    def check(self, world: World) -> Finding:
        return Differs("switched") if self.path.exists() else Holds("not switched")

    def apply(self, world: World) -> None:
        self.path.unlink()


@dataclass(frozen=True, slots=True)
class Failing:
    """It fails `times` times, with an error of `kind`, and then holds."""

    folder: Path
    job: JobId
    attempt: int
    times: int
    kind: str

    def check(self, world: World) -> Finding:
        failed = len(list(self.folder.glob(f"failed-{self.job}-*")))
        return Holds("enough") if failed >= self.times else Differs(f"failed {failed} times")

    def apply(self, world: World) -> None:
        (self.folder / f"failed-{self.job}-{self.attempt}").touch()
        kinds = {"transient": Transient, "refused": Refused, "fault": Fault}
        raise kinds[self.kind]("the drill says so", code="drilled")


@dataclass(frozen=True, slots=True)
class Drill(Recipe):
    """`seconds` of a program; then, as asked, failures, a gate, and the same behind a switch.

    In the first attempt it takes `first` seconds, where that is asked.
    """

    kind: ClassVar[str] = KIND
    folder: Path
    job: Job
    of: AgentName

    @property
    def agent(self) -> AgentName:
        return self.of

    def plan(self) -> tuple[Step, ...]:
        ask = self.job.ask
        steps: list[Step] = [self._ran("before", self._seconds("seconds"))]
        if "fails" in ask:
            steps.append(self._failing(ask["fails"], ask.get("error", "transient")))
        if ask.get("gate"):
            steps.append(Approved(self.agent, self.job.id, self.job.approved_by))
        target = AppliedMain(self.agent)
        steps.append(Firm(target, False))
        if ask.get("switch"):
            steps.append(Switched(target, self._switch))
            steps.append(self._ran("behind", self._seconds("behind")))
            if "fails_behind" in ask:
                steps.append(self._failing(ask["fails_behind"], ask.get("error", "transient")))
        return tuple(steps)

    def restore(self) -> tuple[Step, ...]:
        return (self._ran("back", self.job.ask.get("back", 0)), Unswitched(self._switch))

    def is_recorded(self, world: World) -> bool:
        return False

    def result(self, world: World) -> dict[str, object]:
        return {"attempt": self.job.attempt}

    def left_nothing(self, world: World) -> bool:
        return False

    @property
    def _switch(self) -> Path:
        return self.folder / f"switched-{self.agent}"

    def _seconds(self, asked: str) -> float:
        ask = self.job.ask
        usual: float = ask.get(asked, ask.get("seconds", 0))
        return ask.get("first", usual) if self.job.attempt == 1 else usual

    def _ran(self, what: str, seconds: float) -> Recorded:
        job, manner = self.job, self.job.ask.get("manner", "meek")
        return Recorded(self.folder, self.agent, job.id, job.attempt, what, seconds, manner)

    def _failing(self, times: int, kind: str) -> Failing:
        return Failing(self.folder, self.job.id, self.job.attempt, times, kind)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the programs of all drills recorded."""

    starts: int
    stops: int
    overlaps: int
    doubled: int

    @classmethod
    def of(cls, folder: Path) -> Tally:
        record = folder / "record"
        lines = record.read_text().splitlines() if record.exists() else []
        seen = Counter(line.split(" ", 1)[0] for line in lines)
        return cls(seen["start"], seen["stop"], seen["overlap"], seen["doubled"])


def folder_of(state: Path) -> Path:
    folder = state / "drill"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def drilled(host: Host) -> Host:
    """The same host, whose jobs are drills."""

    def recipe(job: Job) -> Recipe:
        assert job.agent is not None
        return Drill(folder_of(host.layout.state), job, job.agent)

    return replace(host, recipe=recipe)


def new_drill(host: Host, agent: str, **also: Any) -> NewJob:  # noqa: ANN401 - NewJob's, and the ask
    """`also`: what of `NewJob` it names; the rest is the ask."""
    name = AgentName(agent)
    known = {key: also.pop(key) for key in tuple(also) if key in NewJob.__dataclass_fields__}
    lock = lock_of(host.node, name)
    return replace(NewJob(KIND, host.node, name, also, lock, "test"), **known)


def a_drill(host: Host, agent: str, **also: Any) -> Job:  # noqa: ANN401
    return submit.submit(host, new_drill(host, agent, **also)).job


def live(host: Host) -> list[Job]:
    """Jobs that are neither over nor waiting."""
    with host.database.read() as session:
        return [job for job in jobs.live(session) if job.state is not JobState.WAITING]


@contextmanager
def opened(env: dict[str, str]) -> Iterator[tuple[Host, Settings]]:
    """A host of drills, as the environment describes it."""
    settings = Settings.from_env(env, config=NO_FILE)
    host = drilled(bootstrap.build(settings, env))
    host = replace(host, defaults=replace(host.defaults, health=Health.UNIT))
    try:
        yield host, settings
    finally:
        host.bell.close()
        host.database.dispose()


def hasten(times: float) -> None:
    """In this process hive's own waits are so many times as short, wherever they were imported."""
    lease, beat, look = worker.LEASE, worker.BEAT, heartbeat.LOOK
    short = {id(one): one / times for one in (lease, beat, look, retry.FIRST, rescue.PATIENCE)}
    ours = [module for name, module in sys.modules.items() if name.startswith(("hive.", "workers"))]
    for module in ours:
        for name, value in tuple(vars(module).items()):
            if isinstance(value, timedelta) and id(value) in short:
                setattr(module, name, short[id(value)])


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=[role.value for role in Role])
    parser.add_argument("job", nargs="?", type=int)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--drain", type=float, default=5)
    parser.add_argument("--quick", type=float, default=1)
    asked = parser.parse_args(words)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    logging.getLogger("sh").setLevel(logging.WARNING)
    logging.getLogger("dramatiq").setLevel(logging.WARNING)
    hasten(asked.quick)
    try:
        with boundary():
            _serve(asked)
    except typer.Exit as ended:
        sys.exit(ended.exit_code)


def _serve(asked: argparse.Namespace) -> None:
    with opened(dict(os.environ)) as (host, settings):
        if asked.role == Role.COMMAND:
            drive.drive(host, JobId(asked.job))
            return
        if asked.role == Role.MAINTENANCE:
            with until_signalled() as over:
                Maintenance(host, chores_of(host)).run(over)
            return
        drain = timedelta(seconds=asked.drain)
        choices = Choices(Role(asked.role), asked.concurrency, drain, settings.redis_url)
        Supervisor(host, choices).run()


if __name__ == "__main__":
    main()
