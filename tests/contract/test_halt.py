"""Halted from another thread: the program ends, nothing more starts, and no stranger is hit."""

from __future__ import annotations

import os
import random
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, timedelta
from functools import partial
from itertools import chain
from pathlib import Path

import pytest

from hive.adapters import halt as halting
from hive.adapters import shell as door
from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.halt import Halt, HaltingClock
from hive.adapters.processes import end_session, is_alive, term_session, wait_for_exit
from hive.adapters.shell import LocalShell, Stream
from hive.errors import CommandFailed, CommandTimedOut, Halted, Reason
from hive.testing import FakeClock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

PATH = os.environ["PATH"]
SOON = timedelta(seconds=20)
OFTEN = timedelta(milliseconds=5)
AT_ONCE = timedelta(0)
BRIEF = timedelta(milliseconds=200)
NEVER = timedelta(hours=1)  #: longer than any program here would run
STUBBORN = "trap 'echo asked' TERM; echo $$; sleep 1000 & echo ready; wait; sleep 1000"


def python(code: str) -> str:
    """As a word for `sh`."""
    return f"{sys.executable} -c {shlex.quote(code)}"


# Not `trap` in `sh`: what it is starting at that moment may swallow the TERM.
UNTIL_ASKED = """
import os, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
"""
IN_A_GROUP_OF_ITS_OWN = python("""
import os, signal
os.setpgid(0, 0)
print(os.getpid(), "ready", sep="\\n", flush=True)
signal.pause()
""")


def soon(condition: Callable[[], object]) -> None:
    assert wait_until(SystemClock(), condition, SOON, OFTEN)


class Attempt:
    """A shell with its halt. `at` says what to do as soon as a program has said a line."""

    def __init__(self) -> None:
        self.halt = Halt()
        self.said: list[str] = []
        self._acts: dict[str, Callable[[], object]] = {}

    def at(self, line: str, act: Callable[[], object]) -> None:
        self._acts[line] = act

    def stop_at(self, line: str, reason: Reason, grace: timedelta) -> None:
        self.at(line, lambda: self.halt.stop(reason, grace=grace))

    def tell(self, stream: Stream, line: str) -> None:
        """Called from the thread that reads the program's pipes."""
        if stream is Stream.OUT:
            self.said.append(line)
            self._acts.get(line, bool)()

    def run(self, script: str, *, accept: tuple[int, ...] = (0,)) -> int:
        shell = LocalShell({"PATH": PATH}, tell=self.tell, halt=self.halt)
        return shell.run("sh", "-c", script, within=NEVER, accept=accept).exit_code

    def halted(self, script: str, *, accept: tuple[int, ...] = (0,)) -> Reason:
        """Why it was."""
        with pytest.raises(Halted) as halted:
            self.run(script, accept=accept)
        return halted.value.reason

    def all_gone(self) -> bool:
        """Every process whose pid was told."""
        pids = [int(line) for line in self.said if line.isdecimal()]
        return bool(pids) and not any(is_alive(pid, None) for pid in pids)


@pytest.fixture
def attempt() -> Attempt:
    return Attempt()


def children() -> set[int]:
    """Of this process, those that nobody has reaped too."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            found.update(map(int, (task / "children").read_text().split()))
    return found


@pytest.fixture
def children_left() -> Callable[[], set[int]]:
    """Children that were not there before the test: other tests of this process may have theirs."""
    before = children()
    return lambda: children() - before


# Its program


def test_a_running_program_is_ended_by_stop(
    attempt: Attempt, children_left: Callable[[], set[int]]
) -> None:
    attempt.stop_at("ready", Reason.CANCELLED, NEVER)
    assert attempt.halted("echo $$; echo ready; exec sleep 1000") is Reason.CANCELLED
    assert attempt.all_gone()
    assert not children_left()


def test_a_program_that_ignores_the_asking_is_killed_after_the_grace(attempt: Attempt) -> None:
    attempt.stop_at("ready", Reason.DRAINED, BRIEF)
    assert attempt.halted(STUBBORN) is Reason.DRAINED
    assert "asked" in attempt.said
    assert attempt.all_gone()


def test_without_grace_it_is_not_even_asked(attempt: Attempt) -> None:
    attempt.stop_at("ready", Reason.CANCELLED, AT_ONCE)
    attempt.halted(STUBBORN)
    assert "asked" not in attempt.said
    assert attempt.all_gone()


def test_all_that_the_program_started_is_ended_whatever_its_group(attempt: Attempt) -> None:
    attempt.stop_at("ready", Reason.CANCELLED, NEVER)
    attempt.halted(f"sleep 1000 & echo $!; {IN_A_GROUP_OF_ITS_OWN} & wait")
    assert attempt.all_gone()


def test_a_child_that_ignores_the_asking_does_not_outlive_its_parent_for_long(
    attempt: Attempt,
) -> None:
    attempt.stop_at("ready", Reason.CANCELLED, BRIEF)
    child = 'trap "" TERM; echo $$; echo ready; exec sleep 1000'
    attempt.halted(f"sh -c '{child}' & wait")
    soon(attempt.all_gone)


def test_a_child_has_all_of_the_grace_though_its_parent_is_gone(
    attempt: Attempt, tmp_path: Path
) -> None:
    attempt.stop_at("ready", Reason.CANCELLED, NEVER)
    child = python(f"{UNTIL_ASKED}time.sleep(0.1); os.mkdir('{tmp_path}/cleaned')")
    attempt.halted(f"{child} & wait")
    assert (tmp_path / "cleaned").exists()


def test_a_program_is_asked_once_however_often_it_is_stopped(
    attempt: Attempt, tmp_path: Path
) -> None:
    def stop_again() -> None:
        stop_for_ever(attempt.halt)
        attempt.halt.stop(Reason.DRAINED, grace=NEVER / 2)
        (tmp_path / "go").touch()

    attempt.stop_at("ready", Reason.CANCELLED, NEVER)
    attempt.at("asked", stop_again)
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"
    assert attempt.halted(f"trap 'echo asked' TERM; echo ready; {wait}; exit 3")
    assert attempt.said == ["ready", "asked"]


def test_a_second_stop_may_shorten_the_grace(attempt: Attempt) -> None:
    attempt.stop_at("ready", Reason.CANCELLED, NEVER)
    attempt.stop_at("asked", Reason.DRAINED, AT_ONCE)
    assert attempt.halted(STUBBORN) is Reason.CANCELLED
    assert attempt.all_gone()


def test_a_program_that_leaves_by_itself_when_asked_was_halted_too(attempt: Attempt) -> None:
    attempt.stop_at("ready", Reason.OUTRANKED, NEVER)
    script = python(f"{UNTIL_ASKED}sys.exit(3)")
    assert attempt.halted(f"exec {script}", accept=(0, 3)) is Reason.OUTRANKED


def test_a_program_that_ends_well_in_spite_of_it_has_ended_well(attempt: Attempt) -> None:
    attempt.stop_at("ready", Reason.CANCELLED, NEVER)
    assert attempt.run(f"exec {python(UNTIL_ASKED)}") == 0
    assert attempt.halted("true") is Reason.CANCELLED


def test_a_failure_that_nobody_halted_is_a_failure(attempt: Attempt) -> None:
    with pytest.raises(CommandFailed):
        attempt.run("exit 3")


def test_a_program_hears_the_asking_though_the_worker_ignores_it(attempt: Attempt) -> None:
    attempt.stop_at("ready", Reason.CANCELLED, NEVER)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        attempt.halted("echo ready; exec sleep 1000")
    finally:
        signal.signal(signal.SIGTERM, before)


# Its next step


def test_nothing_is_started_or_told_after_stop(attempt: Attempt, tmp_path: Path) -> None:
    told: list[str] = []
    attempt.halt.stop(Reason.CANCELLED, grace=NEVER)
    shell = LocalShell({"PATH": PATH}, tell=lambda _, line: told.append(line), halt=attempt.halt)
    with pytest.raises(Halted):
        shell.run("touch", tmp_path / "touched")
    assert not told
    assert not (tmp_path / "touched").exists()


def test_a_step_may_ask_whether_it_is_to_go_on() -> None:
    halt = Halt()
    halt.check()
    assert halt.reason is None
    halt.stop(Reason.DRAINED, grace=AT_ONCE)
    with pytest.raises(Halted, match="drained"):
        halt.check()
    assert halt.reason is Reason.DRAINED


def test_no_step_can_take_it_for_a_failure() -> None:
    assert not issubclass(Halted, Exception)


def test_the_first_reason_stays() -> None:
    halt = Halt()
    halt.stop(Reason.OUTRANKED, grace=AT_ONCE)
    halt.stop(Reason.CANCELLED, grace=AT_ONCE)
    assert halt.reason is Reason.OUTRANKED


def test_being_fenced_overrides_every_reason_and_kills_at_once(attempt: Attempt) -> None:
    attempt.stop_at("ready", Reason.CANCELLED, NEVER)
    attempt.stop_at("asked", Reason.FENCED, NEVER)
    assert attempt.halted(STUBBORN) is Reason.FENCED
    assert attempt.all_gone()


def test_after_clear_programs_run_again_and_can_be_stopped_again(attempt: Attempt) -> None:
    attempt.halt.stop(Reason.CANCELLED, grace=AT_ONCE)
    attempt.halt.clear()
    attempt.halt.check()
    assert attempt.run("exit 0") == 0
    attempt.stop_at("ready", Reason.DRAINED, BRIEF)
    assert attempt.halted(STUBBORN) is Reason.DRAINED
    assert "asked" in attempt.said  # the grace is the new one


def test_a_fenced_attempt_has_no_way_back() -> None:
    halt = Halt()
    halt.stop(Reason.CANCELLED, grace=AT_ONCE)
    halt.stop(Reason.FENCED, grace=AT_ONCE)
    halt.clear()
    assert halt.reason is Reason.FENCED


# Races


class HeldBack:
    """Programs get as far as before their exec, and not on until they are let go."""

    def __init__(self) -> None:
        self._pipes = os.pipe(), os.pipe()

    def hold(self, *_: object) -> None:
        """Called in the child."""
        os.write(self._pipes[0][1], b"x")
        os.read(self._pipes[1][0], 1)

    def wait_for_one(self) -> None:
        os.read(self._pipes[0][0], 1)

    def let_go(self) -> None:
        os.write(self._pipes[1][1], b"x")

    def close(self) -> None:
        for end in chain(*self._pipes):
            os.close(end)


@pytest.fixture
def held_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldBack]:
    held_back = HeldBack()
    monkeypatch.setattr(door, "become_a_child_of", held_back.hold)
    yield held_back
    held_back.close()


def side_by_side(act: Callable[[], object]) -> threading.Thread:
    """`act` in a thread of its own; that its program was ended is no news."""

    def quietly() -> None:
        with suppress(Halted, CommandTimedOut):
            act()

    thread = threading.Thread(target=quietly, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("reason", [Reason.CANCELLED, Reason.FENCED])
def test_a_program_that_is_being_started_is_ended_as_soon_as_it_is_known(
    held_back: HeldBack, reason: Reason, children_left: Callable[[], set[int]]
) -> None:
    halt = Halt()
    shell = LocalShell({"PATH": PATH}, halt=halt)
    runs = side_by_side(partial(shell.run, "sleep", "1000", within=NEVER))
    held_back.wait_for_one()
    halt.stop(reason, grace=NEVER)
    held_back.let_go()
    runs.join()
    assert not children_left()


def test_a_stop_during_the_start_leaves_nothing_running(
    children_left: Callable[[], set[int]],
) -> None:
    number = f"1000.{os.getpid()}"
    script = f"sleep {number} & sleep {number} & wait"
    for turn in range(200):
        halt = Halt()
        shell = LocalShell({"PATH": PATH}, halt=halt)
        runs = side_by_side(partial(shell.run, "sh", "-c", script, within=NEVER))
        SystemClock().sleep(timedelta(seconds=random.uniform(0, 0.01)))
        halt.stop(Reason.CANCELLED, grace=NEVER if turn % 2 else AT_ONCE)
        runs.join()
        assert not children_left()
    soon(lambda: not runs_with(number))


def runs_with(word: str) -> list[str]:
    """The command lines that have this word."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_text().split("\0")
            found.extend([" ".join(words)] if word in words else [])
    return found


def test_nothing_is_signalled_once_it_is_reaped(monkeypatch: pytest.MonkeyPatch) -> None:
    hits: list[bool] = []

    def guarded(act: Callable[[int], object]) -> Callable[[int], object]:
        def signals(session: int) -> object:
            hits.append(is_unreaped(session))
            return act(session)

        return signals

    monkeypatch.setattr(halting, "end_session", guarded(end_session))
    monkeypatch.setattr(halting, "term_session", guarded(term_session))
    for turn in range(200):
        halt = Halt()
        shell = LocalShell({"PATH": PATH}, halt=halt)
        runs = side_by_side(partial(shell.run, "sleep", "0.005"))
        SystemClock().sleep(timedelta(seconds=random.uniform(0.003, 0.018)))
        halt.stop(Reason.CANCELLED, grace=OFTEN / 5 if turn % 2 else AT_ONCE)
        runs.join()
    assert hits
    assert all(hits)


def is_unreaped(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def test_a_program_that_lasts_is_reaped_by_nobody_but_its_waiter(
    monkeypatch: pytest.MonkeyPatch, attempt: Attempt
) -> None:
    """`sh` has a thread that looks for its end each second."""
    unreaped: list[bool] = []

    def late(pid: int, within: timedelta) -> bool:
        SystemClock().sleep(timedelta(seconds=2.5))
        unreaped.append(is_unreaped(pid))
        return wait_for_exit(pid, within)

    monkeypatch.setattr(door, "wait_for_exit", late)
    attempt.run("sleep 0.5")
    assert unreaped == [True]


def test_a_stop_that_comes_when_all_is_over_signals_nobody(
    monkeypatch: pytest.MonkeyPatch, attempt: Attempt
) -> None:
    signalled: list[int] = []
    attempt.run("true")
    monkeypatch.setattr(halting, "end_session", signalled.append)
    monkeypatch.setattr(halting, "term_session", signalled.append)
    attempt.halt.stop(Reason.CANCELLED, grace=AT_ONCE)
    attempt.halt.stop(Reason.FENCED, grace=AT_ONCE)
    assert not signalled


def test_one_halt_ends_all_programs_of_its_shell_and_no_others() -> None:
    halts = Halt(), Halt()
    shells = [LocalShell({"PATH": PATH}, halt=halt) for halt in (halts[0], halts[0], halts[1])]
    runs = [side_by_side(partial(one.run, "sleep", "1000", within=NEVER)) for one in shells]
    stop_for_ever(halts[0])
    for thread in runs[:2]:
        thread.join()
    assert runs[2].is_alive()
    stop_for_ever(halts[1])
    runs[2].join()


def stop_for_ever(halt: Halt) -> None:
    halt.stop(Reason.CANCELLED, grace=NEVER)


# Past its deadline


def test_nothing_is_overdue_where_nothing_runs_or_all_is_in_time(attempt: Attempt) -> None:
    late: list[timedelta | None] = []
    attempt.at("ready", lambda: late.append(attempt.halt.overdue()))
    attempt.run("echo ready")
    assert late == [None]
    assert attempt.halt.overdue() is None


def test_a_start_that_hangs_is_overdue_after_its_deadline(held_back: HeldBack) -> None:
    halt = Halt()
    shell = LocalShell({"PATH": PATH}, halt=halt)
    runs = side_by_side(partial(shell.run, "true", within=BRIEF))
    held_back.wait_for_one()
    soon(lambda: (halt.overdue() or AT_ONCE) > BRIEF)
    held_back.let_go()
    runs.join()
    assert halt.overdue() is None


# Its waits


def test_a_sleep_ends_when_it_is_halted() -> None:
    halt = Halt()
    sleeps = side_by_side(lambda: HaltingClock(halt).sleep(NEVER))
    SystemClock().sleep(timedelta(seconds=random.uniform(0, 0.01)))
    halt.stop(Reason.DRAINED, grace=NEVER)
    sleeps.join()


def test_waiting_for_something_ends_when_it_is_halted() -> None:
    halt = Halt()

    def never() -> bool:
        halt.stop(Reason.DRAINED, grace=NEVER)
        return False

    with pytest.raises(Halted):
        wait_until(HaltingClock(halt), never, NEVER, NEVER)


def test_a_sleep_that_nobody_halts_lasts_as_long_as_it_says() -> None:
    clock = HaltingClock(Halt())
    before = clock.monotonic()
    clock.sleep(BRIEF)
    clock.sleep(-BRIEF)
    assert clock.monotonic() - before >= BRIEF.total_seconds() * 0.99
    assert clock.now().tzinfo is UTC


def test_a_fake_clock_hears_of_every_sleep_but_those_after_the_halt() -> None:
    halt, fake = Halt(), FakeClock()
    clock = HaltingClock(halt, fake)
    clock.sleep(NEVER)
    assert (clock.now(), clock.monotonic()) == (fake.now(), fake.monotonic())
    halt.stop(Reason.CANCELLED, grace=AT_ONCE)
    with pytest.raises(Halted):
        clock.sleep(NEVER)
    assert fake.slept == [NEVER]
