"""Which processes live: a pid is believed only together with the moment at which it started."""

from __future__ import annotations

import os
import signal
import sys
import time


def started(pid: int) -> str | None:
    """When `pid` started, in the kernel's own unit; None for a process that has ended."""
    if sys.platform != "linux":
        return _started_by_ps(pid)
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def _started_by_ps(pid: int) -> str | None:
    with os.popen(f"ps -o stat= -o lstart= -p {int(pid)}") as ps:  # noqa: S605 - an integer
        state, _, at = ps.read().strip().partition(" ")
    return None if not state or state.startswith("Z") else at.strip()


def lives(pid: int, since: str) -> bool:
    return bool(pid) and started(pid) == since


def tell(pid: int, since: str, number: int) -> None:
    """Send a signal to that very process, if it is still there."""
    if lives(pid, since):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


def end(pid: int, since: str, *, within: float) -> None:
    """`pid` has ended: asked with SIGTERM, and killed when it has not listened in time."""
    tell(pid, since, signal.SIGTERM)
    if not _gone(pid, since, within):
        kill(pid, since)


def kill(pid: int, since: str) -> None:
    tell(pid, since, signal.SIGKILL)
    _gone(pid, since, 5.0)


def _gone(pid: int, since: str, within: float) -> bool:
    until = time.monotonic() + within
    wait = 0.002
    while lives(pid, since):
        if time.monotonic() > until:
            return False
        time.sleep(wait)  # nothing tells the end of a process that is not our child
        wait = min(wait * 2, 0.05)
    return True


def memory(pid: int) -> int:
    """Bytes that `pid` holds; 0 where nothing tells."""
    try:
        with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0


def cpu(pid: int) -> int:
    """Nanoseconds that `pid` has computed; 0 where nothing tells."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def wait_a_little() -> None:
    """Between two looks at a file that another process writes."""
    time.sleep(0.01)
