"""Processes of this host, told apart by pid and start time, because a pid alone is used again.

Only Linux says when a process started and to which session it belongs. Elsewhere a pid is all there
is, and nothing is ended on its word.
"""

from __future__ import annotations

import ctypes
import functools
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
PR_SET_PDEATHSIG: Final = 1
ROUNDS: Final = 10  #: a process may fork while its session is read; this often is enough


@dataclass(frozen=True, slots=True)
class Process:
    """One line of `/proc/<pid>/stat`; `started` is in clock ticks since the boot."""

    pid: int
    state: str
    group: int
    session: int
    started: int

    @property
    def is_over(self) -> bool:
        """A zombie runs nothing and holds nothing."""
        return self.state in "ZX"


def look(pid: int) -> Process | None:
    try:
        line = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = line.rpartition(b")")[2].split()  # a program's name may hold spaces and parentheses
    if len(fields) <= 19:
        return None
    return Process(pid, fields[0].decode(), int(fields[2]), int(fields[3]), int(fields[19]))


def start_of(pid: int) -> str | None:
    """Field 22 of its stat, as text; None where it is gone, or nothing says so."""
    process = look(pid)
    return str(process.started) if process else None


def age_of(pid: int) -> timedelta | None:
    """How long it has run, whatever clocks were set to meanwhile; None where it is gone."""
    process = look(pid)
    if process is None or process.is_over:
        return None
    up = time.clock_gettime(time.CLOCK_BOOTTIME)
    return timedelta(seconds=max(0.0, up - process.started / os.sysconf("SC_CLK_TCK")))


def is_alive(pid: int, started: str | None) -> bool:
    """Is it the process that was noted? Without a start time its pid has to do."""
    if not PROC.joinpath("self").exists():
        return _answers(pid)
    process = look(pid)
    if process is None or process.is_over:
        return False
    return started is None or str(process.started) == started


def of_session(session: int) -> Iterator[Process]:
    """What still runs in it. While this yields anything, the session's number is not used again."""
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        process = look(int(entry.name)) if entry.name.isdecimal() else None
        if process and process.session == session and not process.is_over:
            yield process


def holds_open(pid: int, file: os.stat_result) -> bool:
    """Has `pid` a descriptor of this very file?"""
    with suppress(OSError):
        return any(_same(entry, file) for entry in (PROC / str(pid) / "fd").iterdir())
    return False


def end_session(session: int) -> bool:
    """SIGKILL all that runs in it, whatever its group; True when anything did."""
    ended = _signal_leaders_group(session, signal.SIGKILL)
    for _ in range(ROUNDS):
        left = [one for one in of_session(session) if one.pid not in ended]
        if not left:
            break
        ended.update(one.pid for one in left if _signal(one, signal.SIGKILL))
    return bool(ended)


def term_session(session: int) -> None:
    """SIGTERM to all that runs in it, whatever its group, and once to each.

    One look is enough: what starts meanwhile may be there to clean up.
    """
    _signal_leaders_group(session, signal.SIGTERM)
    for one in of_session(session):
        if one.group != session:
            _signal(one, signal.SIGTERM)


def wait_for_session(session: int, within: float) -> None:
    """Until nothing runs in it, or for `within` seconds; no longer where nobody can tell."""
    deadline = time.monotonic() + within
    while one := next(of_session(session), None):
        if not _ends(one, deadline - time.monotonic()):
            break


def wait_for_exit(pid: int, within: timedelta) -> bool:
    """Without reaping it, so that its pid stays its own. False when it was still there after that.

    Of a child that nobody has reaped yet: its pid is no stranger's.
    """
    if sys.platform != "linux":
        return True
    try:
        handle = os.pidfd_open(pid)
    except OSError:  # no descriptor is left: then it is waited for, however long it takes
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(within / timedelta(milliseconds=1)))
    finally:
        os.close(handle)


def become_a_child_of(parent: int, ask: Callable[[], object]) -> None:
    """Between fork and exec: die with the thread that waits, and undo what Python and `sh` set."""
    ask()
    if os.getppid() != parent:  # it died before we could ask to die with it
        os.kill(os.getpid(), signal.SIGKILL)
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@functools.cache
def die_together() -> Callable[[], object]:
    """Asks the kernel to kill this process with its parent's thread.

    Looked up before the fork: the loader's lock may be held by a thread that the child has not.
    """
    if sys.platform == "linux":
        return functools.partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return lambda: None


def _signal_leaders_group(session: int, number: signal.Signals) -> set[int]:
    """The leader's pid, where there is such a group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(session, number)
        return {session}
    return set()


def _signal(process: Process, number: signal.Signals) -> bool:
    """False where it is gone, or nobody may."""
    with suppress(OSError), _handle(process) as handle:
        signal.pidfd_send_signal(handle, number)
        return True
    return False


def _ends(process: Process, within: float) -> bool:
    """False where it is still there after `within` seconds, or cannot be looked at."""
    try:
        with _handle(process) as handle:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            return bool(poll.poll(max(0.0, within) * 1000))
    except ProcessLookupError:
        return True
    except OSError:
        return False


@contextmanager
def _handle(process: Process) -> Iterator[int]:
    """A descriptor of the process: its pid cannot be used again between look and signal."""
    handle = os.pidfd_open(process.pid)
    try:
        found = look(process.pid)
        if not found or (found.started, found.session) != (process.started, process.session):
            raise ProcessLookupError(f"{process.pid} is another process now")
        yield handle
    finally:
        os.close(handle)


def _same(entry: Path, file: os.stat_result) -> bool:
    with suppress(OSError):
        return os.path.samestat(entry.stat(), file)
    return False


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
