"""Host locks: `flock` on files that are never deleted.

A lock is held as long as any process of its job lives: children inherit the descriptor, so a killed
worker's orphan keeps it. The file says who holds it, so that the next attempt can end that orphan.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from hive.adapters.processes import (
    end_session,
    holds_open,
    is_alive,
    look,
    of_session,
    start_of,
)
from hive.errors import Transient

__all__ = ["Holder", "Lock", "Locks", "end_orphans", "holder", "is_alive"]

LOWEST: Final = 64
"""A lock's descriptor is no lower: scripts take 3 to 9 for themselves, and would let go of it."""
SIZE: Final = 1024  #: of a lock file's content; always written whole, so that no reader sees a mix
ABOUT: Final = 100  #: characters; six bytes each at worst, so that all of it fits


@dataclass(frozen=True, slots=True)
class Holder:
    """What a lock file says of its holder. Start times are clock ticks since the boot."""

    about: str
    worker_pid: int
    worker_started: str | None
    session: int | None
    session_started: str | None


class Lock:
    """Held until `release`, by the thread that took it, and by children that inherited it."""

    __slots__ = ("_descriptor", "_locks", "_notes", "_worker", "path")

    def __init__(
        self, locks: Locks, path: Path, descriptor: int, *, notes: bool, about: str
    ) -> None:
        us = os.getpid()
        worker = {"about": about[:ABOUT], "worker_pid": us, "worker_started": start_of(us)}
        self.path = path
        self._locks = locks
        self._descriptor = descriptor
        self._notes = notes
        self._worker = json.dumps(worker, ensure_ascii=False).removesuffix("}")
        self._write("null", "null")

    @property
    def descriptor(self) -> int:
        return self._descriptor

    def note(self, pid: int) -> None:
        """Write `pid`, the leader of a new session, into the file; one that is gone is left out."""
        started = start_of(pid) if self._notes else None
        if started is not None:
            self._write(f"{pid}", f'"{started}"')

    def release(self) -> None:
        """Twice is once. Closed, not unlocked: a child that still works keeps it."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        self._locks.forget(self)
        try:
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _write(self, session: str, started: str) -> None:
        """What it says of the worker is there already: a child has little time before its exec."""
        text = f'{self._worker}, "session": {session}, "session_started": {started}}}'
        line = text.encode(errors="replace").ljust(SIZE - 1) + b"\n"
        os.pwrite(self._descriptor, line, 0)


class Locks:
    """The locks that one job's thread holds right now; its children inherit their descriptors."""

    def __init__(self) -> None:
        self._held: list[Lock] = []

    @property
    def held(self) -> tuple[Lock, ...]:
        return tuple(self._held)

    def take(self, path: Path, *, note_children: bool, about: str = "") -> Lock | None:
        """None where it is busy; never waits. Busy for its own holder too."""
        try:
            descriptor = _locked(path)
            if descriptor is None:
                return None
            lock = self._hold(path, descriptor, note_children, about)
        except OSError as error:
            raise Transient(f"cannot lock {path}: {error}", code="lock-unavailable") from error
        self._held.append(lock)
        return lock

    def descriptors(self) -> tuple[int, ...]:
        return tuple(lock.descriptor for lock in self._held)

    def note(self, pid: int) -> None:
        """Called by the door in the child itself, which leads a session of its own, before exec."""
        try:
            for lock in self._held:
                lock.note(pid)
        except OSError as error:
            raise Transient(
                f"cannot note {pid} in a lock: {error}", code="lock-unavailable"
            ) from error

    def forget(self, lock: Lock) -> None:
        """Called by the lock itself when it is released."""
        self._held.remove(lock)

    def _hold(self, path: Path, descriptor: int, notes: bool, about: str) -> Lock:
        try:
            os.set_inheritable(descriptor, True)  # `_pass_fds` alone does not undo O_CLOEXEC
            return Lock(self, path, descriptor, notes=notes, about=about)
        except BaseException:
            os.close(descriptor)
            raise


def holder(path: Path) -> Holder | None:
    """What the file says; None where nothing readable says anything."""
    try:
        found = json.loads(_content(path))
        return _as_holder(found) if isinstance(found, dict) else None
    except (OSError, ValueError):
        return None


def end_orphans(path: Path) -> bool:
    """SIGKILL what a dead worker left in its session; True when something was killed.

    A session is the lock's only if one of its processes has the lock's file open: a lock file may
    survive a reboot, after which the same numbers may name a stranger.
    """
    found = holder(path)
    if found is None or is_alive(found.worker_pid, found.worker_started):
        return False
    session, started = found.session or 0, found.session_started or ""
    if session <= 1 or session == os.getsid(0) or not started.isdecimal():
        return False
    return _is_orphaned(path, session, int(started)) and end_session(session)


def _is_orphaned(path: Path, session: int, started: int) -> bool:
    leader = look(session)
    if leader is not None and leader.started != started:
        return False  # the pid was used again, which the kernel does only after the session's end
    members = tuple(of_session(session))
    with suppress(OSError):
        file = path.stat(follow_symlinks=False)
        old_enough = all(one.started >= started for one in members)
        return old_enough and any(holds_open(one.pid, file) for one in members)
    return False


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock, or None."""
    _make_folder(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = _out_of_the_way(os.open(path, flags, 0o600))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _out_of_the_way(descriptor: int) -> int:
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LOWEST)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Each missing one 0700: `parents=True` would make the upper ones as the umask says."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _content(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, SIZE, 0)
    finally:
        os.close(descriptor)


def _as_holder(found: dict[str, Any]) -> Holder | None:
    """None unless each field is there and of its kind."""
    kinds = {
        "about": str,
        "worker_pid": int,
        "worker_started": str | None,
        "session": int | None,
        "session_started": str | None,
    }
    fits = found.keys() == kinds.keys() and all(
        isinstance(found[key], kind) for key, kind in kinds.items()
    )
    return Holder(**found) if fits else None
