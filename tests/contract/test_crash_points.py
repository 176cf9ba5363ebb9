"""The process ends right before and right after any of its commits: run again, it converges."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool
from typing_extensions import override

from hive.domain.job import ENDED, Job, JobState
from hive.queue.drive import drive, find
from hive.queue.host import Host
from hive.queue.recipes import Recipes
from hive.queue.submit import cancel, submit
from hive.service import agents as agents_service
from hive.sim.stop import stop_all
from hive.store import events, jobs, verdicts
from hive.testing import FakeClock
from tests import drill
from tests.acceptance.snapshot import snapshot
from tests.acceptance.test_kill import differences
from tests.databases import migrated
from tests.forks import FORKS, exit_of, start
from tests.pretend import ALICE, environment

AT_ONCE: Final = 3
WITHIN: Final = timedelta(minutes=2)  #: on the slowest machine
SPAWN: Final = "spawn"

#: What each kind of drill does, and how it ends. One fails, waits, parks, is approved and switches;
#: one fails behind the switch, and restores; one is cancelled when it has run, and restores.
DRILLS: Final[dict[str, tuple[dict[str, Any], JobState]]] = {
    "forward": ({"fails": 1, "gate": True, "switch": True}, JobState.SUCCEEDED),
    "restored": ({"switch": True, "fails_behind": 9}, JobState.FAILED),
    "cancelled": ({"switch": True, "fails": 9}, JobState.CANCELLED),
}


class Hasty(FakeClock):
    """Waits long each time, so that few looks are in vain."""

    @override
    def sleep(self, duration: timedelta) -> None:
        super().sleep(max(duration, timedelta(seconds=10)))


class Phase(StrEnum):
    BEFORE = "before"  #: nothing of it is there
    AFTER = "after"  #: nobody has heard that it is there


def victim(state: Path, kind: str, number: int, phase: Phase) -> None:
    """A process of its own: all of a job's life, up to the commit of this number."""
    count, change = Counter[str](), threading.Lock()

    def before(_: object) -> None:
        with change:
            count["commits"] += 1
            if count["commits"] == number:
                if phase is Phase.BEFORE:
                    os._exit(9)
                threading.current_thread().__dict__["is_last"] = True

    def after(*_: object) -> None:
        """The connection goes back to its pool: right after its commit, in the same thread."""
        if "is_last" in threading.current_thread().__dict__:
            os._exit(9)

    event.listen(Engine, "commit", before)
    event.listen(Pool, "checkin", after)
    os.environ.clear()
    with drill.opened(environment(state)) as (host, _):
        live(host, kind)
    state.with_name("commits").write_text(str(count["commits"]))
    os._exit(0)


def live(host: Host, kind: str) -> None:
    """From the submit to the end, or on from wherever it is. What it waits for comes at once."""
    if kind == SPAWN:
        recipes = Recipes(host.database, host.clock, host.policy, host.defaults)
        spawning = replace(host, recipe=recipes.of)
        drive(spawning, agents_service.spawn(spawning, ALICE, requested_by="t", key="k").job.id)
        return
    host = replace(host, clock=Hasty(host.clock.now()))
    asked = drill.new_drill(host, ALICE, idempotency_key="k", **DRILLS[kind][0])
    job = submit(host, asked).job
    while (job := find(host, job.id)).state not in ENDED:
        if job.state is JobState.WAITING:
            with host.database.write() as session:
                verdicts.approve(session, job.id, by="t", seen={}, now=host.clock.now())
        elif kind == "cancelled" and is_to_cancel(job):
            cancel(host, job.id)
        else:
            drive(host, job.id, until=lambda: kind == "cancelled" and is_to_cancel(one(host, job)))


def is_to_cancel(job: Job) -> bool:
    return bool(job.failures) and job.cancel_requested_at is None and job.state is JobState.QUEUED


def one(host: Host, job: Job) -> Job:
    return find(host, job.id)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is such a place: an exit asks nothing of a disk."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK):
        with TemporaryDirectory(dir=memory, prefix="hive-crash-") as made:
            yield Path(made)
    else:
        yield tmp_path_factory.mktemp("crash")


@pytest.fixture(scope="module")
def fresh(folder: Path) -> Path:
    """The state of a host on which nothing has happened yet."""
    state = folder / "fresh"
    with drill.opened(environment(state)) as (host, _):
        migrated(host.database)
    return state


def ran(state: Path, kind: str, number: int, phase: Phase) -> int | None:
    """How many commits it took to the end; None where it did not come to it."""
    commits = state.with_name("commits")
    commits.unlink(missing_ok=True)
    process = FORKS.Process(target=victim, args=(state, kind, number, phase))
    start(process)
    assert exit_of(process, WITHIN) is not None, f"{kind} hangs after commit {number}"
    return int(commits.read_text()) if commits.exists() else None


def quiet(folder: Path, fresh: Path, kind: str) -> tuple[Path, int]:
    """A life that nothing ends: where, and how many commits it takes."""
    state = folder / f"{kind}-quiet" / "state"
    shutil.copytree(fresh, state)
    commits = ran(state, kind, 0, Phase.BEFORE)
    assert commits is not None
    return state, commits


def wrong_with(state: Path, kind: str) -> list[str]:
    """What is not as it should be, once a drill that was ended there has been run again."""
    with drill.opened(environment(state)) as (host, _), host.database.read() as session:
        (job,) = jobs.listed(session)
        told = [one.kind for one in events.behind(session, job=job.id)]
    record = drill.Tally.of(drill.folder_of(state))
    ended = [kind for kind in told if kind in ("job.finish", "job.fail", "job.end-cancelled")]
    found = {
        "state": (job.state, DRILLS[kind][1]),
        "overlaps": (record.overlaps, 0),
        "doubled": (record.doubled, 0),
        "ends": (len(ended), 1),
        "submits": (told.count("job.submit"), 1),
        "losses": (job.losses <= 1, True),
        "failures": (job.failures <= 2, True),
        "switched": ((state / "drill" / "switched-alice").exists(), kind == "forward"),
    }
    return [f"{what} is {is_so}, not {be}" for what, (is_so, be) in found.items() if is_so != be]


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("kind", list(DRILLS))
def test_ended_at_any_commit_a_job_converges(
    folder: Path, fresh: Path, kind: str, phase: Phase
) -> None:
    state, commits = quiet(folder / phase, fresh, kind)
    assert wrong_with(state, kind) == []
    assert commits > 8

    ended = []

    def check(number: int) -> list[str]:
        state = folder / phase / f"{kind}-{number}" / "state"
        shutil.copytree(fresh, state)
        ended.append(ran(state, kind, number, phase) is None)
        again = ran(state, kind, 0, phase)
        wrong = wrong_with(state, kind) + ([] if again else ["it did not come to its end"])
        shutil.rmtree(state)
        return [f"commit {number}: {said}" for said in wrong]

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(check, range(1, commits + 1)))
    assert [said for wrong in found for said in wrong] == []
    assert sum(ended) > commits * 0.7, "lines are written in more or fewer commits"


@pytest.mark.parametrize(("phase", "first"), [(Phase.BEFORE, 1), (Phase.AFTER, 4)])
def test_ended_at_any_commit_a_spawn_converges(
    folder: Path, fresh: Path, phase: Phase, first: int
) -> None:
    """At every sixth, as it takes seconds: its programs are what takes the time."""
    state, commits = quiet(folder / phase, fresh, SPAWN)
    expected = snapshot(state)
    stop_all(state / "sim")

    def check(number: int) -> list[str]:
        state = folder / phase / f"spawn-{number}" / "state"
        shutil.copytree(fresh, state)
        try:
            ran(state, SPAWN, number, phase)
            again = ran(state, SPAWN, 0, phase)
            found = snapshot(state)
        finally:
            stop_all(state / "sim")
        wrong = differences(expected, found)
        wrong += [] if again else ["it did not come to its end"]
        shutil.rmtree(state)
        return [f"commit {number}: {said}" for said in wrong]

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(check, range(first, commits + 1, 6)))
    assert [said for wrong in found for said in wrong] == []
