"""Killed at a program or commit of any verb, then gone on with: all is as after a quiet run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from hive.domain.agent import Desired
from tests.acceptance.killing import COMMIT, Ended, Phase
from tests.acceptance.midlife import Midlife
from tests.acceptance.test_kill import differences, how

AT_ONCE: Final = 2
EVERY: Final = 8
"""Of the programs of a verb one in so many is a point, unless all are asked for."""
EVERY_COMMIT: Final = 6
Point = tuple[str, int, Phase]

BY_CHANCE: Final = (Phase.DURING, Phase.GROUP)
"""Where the kill comes after a moment, in which a quick command may have ended."""

VERBS: Final = {
    "apply": ("apply", "alice", "GOOD"),
    "rebuild": ("rebuild", "alice"),
    "start": ("start", "alice"),
    "stop": ("stop", "alice"),
    "restart": ("restart", "alice"),
    "rollback": ("rollback", "alice"),
    "destroy": ("destroy", "alice", "--yes"),
    "purge": ("purge", "alice", "--yes"),
    "update-base": ("update-base", "--yes"),
}
FAILS: Final = ("apply", "alice", "BAD", "--restart", "always")
"""What it applies does not come up."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """A verb that nobody disturbs: how it ended, what it started, and the host that it leaves."""

    ended: Ended
    starts: tuple[str, ...]
    host: dict[str, object]


class Trial:
    """One host on which a verb is tried again and again."""

    def __init__(self, folder: Path) -> None:
        self.host = Midlife(folder)
        self.quiet = cache(self._quiet)
        self.killed: set[tuple[tuple[str, ...], Point]] = set()

    def words(self, verb: tuple[str, ...]) -> list[str]:
        commits = {"GOOD": self.host.good, "BAD": self.host.bad}
        return [commits.get(word, word) for word in verb]

    def _quiet(self, verb: tuple[str, ...]) -> Quiet:
        self._put_back(verb)
        ended = self.host.run(*self.words(verb))
        return Quiet(ended, self.host.victim.starts, self.host.snapshot())

    def _put_back(self, verb: tuple[str, ...]) -> None:
        self.host.put_back(Desired.STOPPED if verb[0] == "start" else Desired.RUNNING)

    def wrong_after(self, verb: tuple[str, ...], point: Point, *, restoring: bool) -> list[str]:
        """What is not as it should be, once what was killed there has been gone on with."""
        quiet = self.quiet(verb)
        self._put_back(verb)
        first = self.host.run(*self.words(verb), killed_at=point)
        if first.code == -9:
            self.killed.add((verb, point))
        is_by_chance = point[2] in BY_CHANCE or point[0] == COMMIT
        wrong = [] if first.code == -9 or is_by_chance else ["nothing was killed"]
        wrong += ["it did not restore"] if restoring and not self.host.is_restoring() else []
        job = self.host.accepted()
        again = self.host.run(*(("job", "run", str(job.id)) if job else self.words(verb)))
        if again.code != quiet.ended.code:
            wrong.append(f"the second run exited {again.code}: {again.err}")
        wrong += [f"it said a traceback: {again.err}"] if "Traceback" in again.err else []
        wrong += differences(quiet.host, self.host.snapshot())
        return [f"{' '.join(verb)}, {point}, {how(first)}: {said}" for said in wrong]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleQueue[Trial]]:
    """In memory where there is such a place; as many as run at once."""
    with TemporaryDirectory(dir=memory(), prefix="hive-kill-") as made:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = list(threads.map(lambda n: Trial(Path(made, str(n))), range(AT_ONCE)))
        queue: SimpleQueue[Trial] = SimpleQueue()
        for trial in found:
            queue.put(trial)
        try:
            yield queue
        finally:
            for trial in found:
                trial.host.close()


def memory() -> Path | None:
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else None


def check_all(
    trials: SimpleQueue[Trial],
    verb: tuple[str, ...],
    points: Iterable[Point],
    *,
    restoring: bool = False,
) -> None:
    def wrong_after(point: Point) -> list[str]:
        trial = trials.get()
        try:
            return trial.wrong_after(verb, point, restoring=restoring)
        finally:
            trials.put(trial)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(wrong_after, points))
    assert [said for wrong in found for said in wrong] == []


def check_commits(trials: SimpleQueue[Trial], verb: tuple[str, ...], points: list[Point]) -> None:
    """Lines are written in more or fewer commits: a few of the last may not be come to."""
    check_all(trials, verb, points)
    here = [trials.get() for _ in range(AT_ONCE)]
    for trial in here:
        trials.put(trial)
    killed = {point for trial in here for of, point in trial.killed if of == verb}
    assert len(killed.intersection(points)) > len(points) * 0.7


def quiet(trials: SimpleQueue[Trial], verb: tuple[str, ...]) -> Quiet:
    trial = trials.get()
    try:
        return trial.quiet(verb)
    finally:
        trials.put(trial)


def own(quiet: Quiet) -> int:
    return sum(line.startswith("own ") for line in quiet.starts)


def restore(quiet: Quiet) -> range:
    """The programs of the way back: those behind the start that failed, and the look for why."""
    ours = [line for line in quiet.starts if line.startswith("own ")]
    failed = next(n for n, line in enumerate(ours, 1) if " journalctl " in line)
    last = max(n for n, line in enumerate(ours, 1) if " systemctl " in line)
    return range(failed + 1, last + 1)


@pytest.mark.parametrize("verb", VERBS)
def test_a_quiet_run_ends_well_and_leaves_nothing_lying_about(
    trials: SimpleQueue[Trial], verb: str
) -> None:
    found = quiet(trials, VERBS[verb])
    assert found.ended.code == 0, found.ended.err
    assert found.host["left behind"] == []
    assert found.host["jobs"] == {"succeeded"}


@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_one_program_in_eight_a_verb_converges(
    trials: SimpleQueue[Trial], verb: str
) -> None:
    last = own(quiet(trials, VERBS[verb]))
    during = [("own", number, Phase.DURING) for number in range(1, last + 1, EVERY)]
    orphaned = [("own", number, Phase.ORPHANED) for number in range(3, last + 1, EVERY)]
    check_all(trials, VERBS[verb], during + orphaned)


@pytest.mark.soak
@pytest.mark.parametrize("phase", [Phase.BEFORE, Phase.DURING, Phase.ORPHANED, Phase.AFTER])
@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_any_program_a_verb_converges(
    trials: SimpleQueue[Trial], verb: str, phase: Phase
) -> None:
    numbers = range(1, own(quiet(trials, VERBS[verb])) + 1)
    check_all(trials, VERBS[verb], (("own", number, phase) for number in numbers))


# At its commits


def commits(quiet: Quiet) -> int:
    return sum(line.startswith(f"{COMMIT} ") for line in quiet.starts)


@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_one_commit_in_six_a_verb_converges(
    trials: SimpleQueue[Trial], verb: str
) -> None:
    last = commits(quiet(trials, VERBS[verb]))
    assert last > 3
    before = [(COMMIT, number, Phase.BEFORE) for number in range(1, last + 1, EVERY_COMMIT)]
    after = [(COMMIT, number, Phase.AFTER) for number in range(4, last + 1, EVERY_COMMIT)]
    check_commits(trials, VERBS[verb], before + after)


@pytest.mark.soak
@pytest.mark.parametrize("phase", [Phase.BEFORE, Phase.AFTER])
@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_any_commit_a_verb_converges(
    trials: SimpleQueue[Trial], verb: str, phase: Phase
) -> None:
    numbers = range(1, commits(quiet(trials, VERBS[verb])) + 1)
    check_commits(trials, VERBS[verb], [(COMMIT, number, phase) for number in numbers])


# The way back


def main_of(host: dict[str, object], repo: str) -> object:
    """A candidate stays after a failure, and the tags that tell of it."""
    repos = host["repos"]
    assert isinstance(repos, dict)
    return repos[repo]["refs/heads/main"]


def test_what_does_not_come_up_is_restored(trials: SimpleQueue[Trial]) -> None:
    trial = trials.get()
    try:
        found = trial.quiet(FAILS)
        trial.host.put_back(Desired.RUNNING)
        before = trial.host.snapshot()
    finally:
        trials.put(trial)
    assert found.ended.code == 1, found.ended.err
    assert found.host["left behind"] == []
    assert found.host["jobs"] == {"succeeded", "failed"}
    assert found.host["unit"] == before["unit"]
    assert found.host["agents"] == before["agents"]
    assert main_of(found.host, "meta") == main_of(before, "meta")
    assert main_of(found.host, "applied/alice") == main_of(before, "applied/alice")


def test_killed_while_it_restores_a_job_goes_on_restoring(trials: SimpleQueue[Trial]) -> None:
    first, *rest = restore(quiet(trials, FAILS))
    assert rest
    points = [("own", first, Phase.DURING), *(("own", number, Phase.ORPHANED) for number in rest)]
    check_all(trials, FAILS, points, restoring=True)


@pytest.mark.soak
def test_killed_anywhere_on_the_way_back_a_job_goes_on_restoring(
    trials: SimpleQueue[Trial],
) -> None:
    numbers = restore(quiet(trials, FAILS))
    check_all(trials, FAILS, (("own", *one) for one in product(numbers, Phase)), restoring=True)
