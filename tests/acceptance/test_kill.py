"""Killed at every program start of a spawn, then run again: the host is as after a quiet run."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from hive.sim.stop import stop_all
from tests.acceptance.killing import Ended, Phase, Victim
from tests.acceptance.snapshot import snapshot

PHASES: Final = (Phase.BEFORE, Phase.DURING, Phase.ORPHANED, Phase.AFTER)
AT_ONCE = 3
Point = tuple[str, int, Phase]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is such a place: a kill, unlike a power cut, asks nothing of a disk."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK):
        with TemporaryDirectory(dir=memory, prefix="hive-kill-") as made:
            yield Path(made)
    else:
        yield tmp_path_factory.mktemp("kill")


@pytest.fixture(scope="module")
def quiet(folder: Path) -> tuple[Victim, dict[str, object]]:
    """A spawn that nobody disturbs: how many programs it starts, and the host that it leaves."""
    victim = Victim(folder / "quiet")
    victim.folder.mkdir()
    try:
        ended = victim.spawn()
        assert ended.code == 0, ended.err
        return victim, snapshot(victim.state)
    finally:
        stop_all(victim.state / "sim")


def differences(one: object, other: object, at: str = "") -> list[str]:
    """Where two snapshots differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [
            said
            for key in keys
            for said in differences(one.get(key), other.get(key), f"{at}/{key}")
        ]
    return [] if one == other else [f"{at}: {one!r} became {other!r}"]


def wrong_after(point: Point, folder: Path, expected: dict[str, object]) -> list[str]:
    """What is not as it should be, once a spawn that was killed there has been run again."""
    victim = Victim(folder / "-".join(map(str, point)))
    victim.folder.mkdir()
    try:
        first = victim.spawn(killed_at=point)
        was_over = has_succeeded(victim)
        again = victim.spawn()
        wrong = [] if again.code == 0 else [f"the second run exited {again.code}: {again.err}"]
        wrong += [f"it said a traceback: {again.err}"] if "Traceback" in again.err else []
        found = snapshot(victim.state)
        if was_over:  # the kill came a moment late, after the last program: the next is another job
            found["ends"] = found["ends"][1:]
        wrong += differences(expected, found)
        return [f"{point}, {how(first)}: {said}" for said in wrong]
    finally:
        stop_all(victim.state / "sim")
        shutil.rmtree(victim.folder)


def has_succeeded(victim: Victim) -> bool:
    """Its job has, by its row."""
    rows = victim.state / "hive.sqlite"
    if not rows.exists():
        return False
    with closing(sqlite3.connect(rows)) as database:
        try:
            return bool(database.execute("SELECT 1 FROM jobs WHERE state = 'succeeded'").fetchall())
        except sqlite3.OperationalError:  # it has no tables yet
            return False


def how(first: Ended) -> str:
    return "killed" if first.code == -9 else f"ended with {first.code}"


def check_all(points: Iterable[Point], folder: Path, expected: dict[str, object]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(lambda point: wrong_after(point, folder, expected), points))
    assert [said for wrong in found for said in wrong] == []


def test_a_quiet_spawn_leaves_nothing_lying_about(
    quiet: tuple[Victim, dict[str, object]],
) -> None:
    victim, host = quiet
    assert host["left behind"] == []
    assert host["jobs"] == {"succeeded"}
    assert victim.count("own") > 20
    assert victim.count("nested") > 0


@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_one_program_in_four_that_it_starts_a_spawn_converges(
    quiet: tuple[Victim, dict[str, object]], folder: Path, phase: Phase
) -> None:
    """Each phase has its own quarter of them: every program is one of the points."""
    victim, expected = quiet
    numbers = range(1 + PHASES.index(phase), victim.count("own") + 1, len(PHASES))
    check_all((("own", number, phase) for number in numbers), folder, expected)


@pytest.mark.soak
@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_any_program_that_it_starts_a_spawn_converges(
    quiet: tuple[Victim, dict[str, object]], folder: Path, phase: Phase
) -> None:
    victim, expected = quiet
    numbers = range(1, victim.count("own") + 1)
    check_all((("own", number, phase) for number in numbers), folder, expected)


@pytest.mark.soak
@pytest.mark.parametrize("phase", [Phase.BEFORE, Phase.ORPHANED])
def test_killed_at_any_program_that_its_programs_start_a_spawn_converges(
    quiet: tuple[Victim, dict[str, object]], folder: Path, phase: Phase
) -> None:
    victim, expected = quiet
    numbers = range(1, victim.count("nested") + 1)
    check_all((("nested", number, phase) for number in numbers), folder, expected)


def test_killed_with_its_whole_process_group_a_spawn_converges(
    quiet: tuple[Victim, dict[str, object]], folder: Path
) -> None:
    victim, expected = quiet
    numbers = range(1, victim.count("own") + 1, 4)
    check_all((("own", number, Phase.GROUP) for number in numbers), folder, expected)
