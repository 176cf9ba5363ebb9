"""Processes of this host, told apart by pid and start time, because a pid alone is used again.

Only Linux says when a process started and to which session it belongs. Elsewhere a pid is all there
is, and nothing is ended on its word.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
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
    return Process(pid, fields[0].decode(), int(fields[3]), int(fields[19]))


def start_of(pid: int) -> str | None:
    """Field 22 of its stat, as text; None where it is gone, or nothing says so."""
    process = look(pid)
    return str(process.started) if process else None


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
    ended: set[int] = set()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)
        ended.add(session)
    for _ in range(ROUNDS):
        left = [one for one in of_session(session) if one.pid not in ended]
        if not left:
            break
        ended.update(one.pid for one in left if _end(one))
    return bool(ended)


def wait_for_exit(pid: int) -> None:
    """Without reaping it, so that its pid stays its own."""
    if sys.platform == "linux":
        with suppress(ChildProcessError):  # `sh` may have reaped it
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def become_a_child_of(parent: int, ask: Callable[[], object]) -> None:
    """Between fork and exec: die with the thread that waits, and undo what Python and `sh` set."""
    ask()
    if os.getppid() != parent:  # it died before we could ask to die with it
        os.kill(os.getpid(), signal.SIGKILL)
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGXFSZ):
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


def _end(process: Process) -> bool:
    """Through a descriptor of the process: its pid cannot be used again between look and kill."""
    with suppress(OSError):
        handle = os.pidfd_open(process.pid)
        try:
            found = look(process.pid)
            if found and (found.started, found.session) == (process.started, process.session):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return True
        finally:
            os.close(handle)
    return False


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
