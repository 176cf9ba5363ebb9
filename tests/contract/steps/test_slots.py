"""So many at once on a host, whichever process they are of; what is killed frees its slot."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typing_extensions import override

from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.locks import Locks
from hive.adapters.shell import LocalShell, Ran, Stream
from hive.errors import CommandFailed, Transient
from hive.steps.slots import slot
from hive.testing import FakeClock
from tests.pretend import PATH, Pretend

ROOT = Path(__file__).parents[3]
SOON = timedelta(seconds=60)

#: Takes a slot, says so, works for a moment or for good, and says that it is over.
HOLDER = """
import os, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
from hive.adapters.clock import SystemClock
from hive.adapters.locks import Locks
from hive.adapters.shell import LocalShell
from hive.steps.slots import slot

folder, count, work, path = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
locks = Locks()
places = SimpleNamespace(slot=lambda what, n: folder / f"{what}-{n}", locks=folder)
world = SimpleNamespace(locks=locks, clock=SystemClock(), layout=places)
shell = LocalShell({"PATH": path}, locks=locks)

def say(word):
    record = os.open(folder / "record", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(record, f"{word} {os.getpid()}\\n".encode())
    os.close(record)

with slot(world, "build", count):
    say("in")
    print(os.getpid(), flush=True)
    shell.run("sh", "-c", work)
    say("out")
"""


class Impatient(FakeClock):
    """Four hours are over at the second look."""

    @override
    def sleep(self, duration: timedelta) -> None:
        self.advance(timedelta(hours=5))


def holder(folder: Path, count: int, work: str, pids: list[int]) -> Ran:
    """Another process of hive's, to its end."""

    def tell(stream: Stream, line: str) -> None:
        if stream is Stream.OUT and line.isdecimal():
            pids.append(int(line))

    shell = LocalShell({"PATH": PATH, "PYTHONPATH": str(ROOT)}, tell=tell)
    return shell.run(sys.executable, "-c", HOLDER, folder, str(count), work, PATH, within=SOON)


def record(folder: Path) -> list[str]:
    return [line.split()[0] for line in (folder / "record").read_text().splitlines()]


def most_at_once(words: list[str]) -> int:
    inside = most = 0
    for word in words:
        inside += 1 if word == "in" else -1
        most = max(most, inside)
    return most


@contextmanager
def in_another(folder: Path, work: str) -> Iterator[tuple[int, Future[Ran]]]:
    """The only slot is another process's; its pid, and how it ends."""
    pids: list[int] = []
    with ThreadPoolExecutor() as threads:
        future = threads.submit(holder, folder, 1, work, pids)
        assert wait_until(SystemClock(), lambda: pids or future.done(), SOON, timedelta.resolution)
        if not pids:
            future.result()
        yield pids[0], future


@pytest.mark.parametrize("count", [1, 2])
def test_never_more_than_so_many_are_at_it_whichever_process_they_are_of(
    tmp_path: Path, count: int
) -> None:
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(holder, tmp_path, count, "sleep 0.2", []) for _ in range(5)]
        assert [one.result().exit_code for one in asked] == [0] * 5
    words = record(tmp_path)
    assert sorted(words) == ["in"] * 5 + ["out"] * 5
    assert most_at_once(words) <= count
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("build-")]) <= count


def test_a_slot_is_free_when_its_work_is_over_or_has_failed(pretend: Pretend) -> None:
    world = pretend.world()
    with pytest.raises(ZeroDivisionError), slot(world, "build", 1):
        raise ZeroDivisionError
    with slot(world, "build", 1):
        assert len(world.locks.held) == 1
    assert not world.locks.held


def test_each_kind_of_work_has_slots_of_its_own(pretend: Pretend) -> None:
    world = pretend.world()
    with slot(world, "build", 1), slot(world, "start", 1):
        assert {lock.path.name for lock in world.locks.held} == {"build-0", "start-0"}


def test_who_finds_none_free_for_hours_is_told_who_to_look_for(pretend: Pretend) -> None:
    world = replace(pretend.world(), clock=Impatient())
    others = replace(pretend.world(), locks=Locks())
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(slot(others, "build", 2))
        with pytest.raises(Transient) as caught, slot(world, "build", 2):
            pass
    assert caught.value.code == "host-busy"
    assert "locks/build-*" in caught.value.hint
    with slot(world, "build", 2):
        pass


def test_what_a_kill_ends_frees_its_slot(pretend: Pretend) -> None:
    folder = pretend.host.layout.locks
    with in_another(folder, "exec sleep 60") as (pid, future):
        at_once = replace(pretend.world(), clock=Impatient())
        with pytest.raises(Transient), slot(at_once, "build", 1):
            pass
        os.killpg(pid, signal.SIGKILL)
        with pytest.raises((CommandFailed, Transient)):
            future.result()
    with slot(pretend.world(), "build", 1):
        pass


def test_a_killed_workers_build_keeps_its_slot_until_it_ends(pretend: Pretend) -> None:
    """It fills the memory all the same."""
    folder = pretend.host.layout.locks
    orphan, over = folder / "orphan", folder / "over"
    works = f'(touch "{orphan}"; while ! [ -e "{over}" ]; do sleep 0.02; done) & wait'
    with in_another(folder, works) as (pid, _):
        assert wait_until(SystemClock(), orphan.exists, SOON, timedelta.resolution)
        at_once = replace(pretend.world(), clock=Impatient())
        os.kill(pid, signal.SIGKILL)
        try:
            with pytest.raises(Transient), slot(at_once, "build", 1):
                pass
        finally:
            over.touch()
        with slot(pretend.world(), "build", 1):
            pass
