"""The one door to other programs. Nothing else in hive starts any, and only this imports `sh`.

argv only; a listed environment; stdin closed; a deadline always; both streams told as they happen;
a session of its own, which is killed whole. No secret goes in argv, because argv is told too.
"""

from __future__ import annotations

import functools
import gc
import logging
import os
import shlex
import signal
import traceback
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, cast

import sh

from hive.adapters.halt import Halt, Program
from hive.adapters.interrupts import Interrupts
from hive.adapters.locks import Locks
from hive.adapters.pipes import Lines, Pump, Reader, readable, source
from hive.adapters.processes import become_a_child_of, die_together, end_session, wait_for_exit
from hive.errors import (
    TAIL_LINES,
    CommandFailed,
    CommandTimedOut,
    Fault,
    NotFound,
    ProgramMissing,
    Transient,
)

QUICK = timedelta(seconds=30)
GRACE: Final = timedelta(seconds=1)  #: for pipes that outlive the program: a daemon may keep them
PATIENCE: Final = timedelta(seconds=30)  #: for a log that is slow to be told
ANY_EXIT: Final = range(-128, 256)  #: `sh` shall raise for none of them; we look ourselves

log = logging.getLogger(__name__)


class Stream(StrEnum):
    COMMAND = "$"
    OUT = "out"
    ERR = "err"


class Tell(Protocol):
    """Told of each line as it happens, from one thread at a time; never raises, never blocks."""

    def __call__(self, stream: Stream, line: str) -> None: ...


def silent(stream: Stream, line: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program went; `raw` is all of its stdout, `tail` the last lines of its stderr."""

    argv: tuple[str, ...]
    exit_code: int  #: the negative number of the signal that ended it, if one did
    raw: bytes
    tail: str

    @property
    def out(self) -> str:
        return self.raw.decode("utf-8", errors="backslashreplace")

    def accepted(self, accept: Collection[int]) -> Ran:
        """Itself, if its exit is one of `accept`; for the error stdout has to do without stderr."""
        if self.exit_code in accept:
            return self
        last = self.raw.rstrip().rsplit(b"\n", TAIL_LINES)[-TAIL_LINES:]
        tail = self.tail or "\n".join(map(readable, last))
        raise CommandFailed(self.argv, self.exit_code, tail)


class Shell(Protocol):
    def run(
        self,
        *argv: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        within: timedelta = QUICK,
        accept: Collection[int] = (0,),
        quiet: bool = False,
        reads: Reader | None = None,
    ) -> Ran:
        """Run it to its end. `quiet`: its stdout is for us, not for the log.

        `reads`: its stderr is for us, and in the log and in `tail` is what the reader makes of it.
        """
        ...

    def find(self, program: str) -> Path | None:
        """Where it is on the listed PATH."""
        ...

    def become(self, *argv: str) -> None:
        """This process becomes that program, with our terminal. Returns only in a fake."""
        ...


@dataclass(frozen=True, slots=True)
class LocalShell:
    """This host's programs. A child gets `environment` plus `env`, and nothing of our own."""

    environment: Mapping[str, str]
    tell: Tell = silent
    locks: Locks = field(default_factory=Locks)
    halt: Halt = field(default_factory=Halt)

    def run(
        self,
        *argv: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        within: timedelta = QUICK,
        accept: Collection[int] = (0,),
        quiet: bool = False,
        reads: Reader | None = None,
    ) -> Ran:
        self.halt.check()
        words = tuple(str(word) for word in argv)
        listed = {**self.environment, **(env or {})}
        voice = _Voice(self.tell)
        voice.say(Stream.COMMAND, shlex.join(words))
        program = _found(words[0], listed)
        start = _Start(program, words, listed, _folder(cwd), self.locks, self.halt)
        out = Lines(None if quiet else voice.of(Stream.OUT), keep=True)
        err = Lines(voice.of(Stream.ERR), keep=False, reads=reads)
        code = _heard(start, stdin, within, out, err)
        return Ran(words, code, out.raw, err.tail).accepted(accept)

    def become(self, *argv: str) -> None:
        """Raises `ProgramMissing`. Nothing of this process is left to put anything down."""
        _found(argv[0], self.environment)
        os.execve(self.find(argv[0]) or argv[0], argv, {**os.environ, **self.environment})  # noqa: S606 - argv, no shell

    def find(self, program: str) -> Path | None:
        command = _look_up(program, self.environment)
        return None if command is None else Path(str(command))


@dataclass(frozen=True, slots=True)
class _Start:
    """What it takes to start one program."""

    program: sh.Command[Any]
    words: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str | None
    locks: Locks
    halt: Halt

    def go(self, stdin: bytes | None, out: int, err: int) -> sh.RunningCommand:
        us, given = os.getpid(), source(stdin)
        try:
            return self._call(given, out, err)
        except BaseException as error:
            if os.getpid() != us:  # interrupted between fork and exec: never act as our parent
                os._exit(255)
            _clean_up_after(error)
            self._explain(error)
            raise
        finally:
            os.close(given)

    def _call(self, given: int, out: int, err: int) -> sh.RunningCommand:
        options: dict[str, Any] = {
            # In the background and with descriptors of our own, or `sh` polls: 100 ms a program.
            "_bg": True,
            "_bg_exc": False,
            "_in": given,
            "_out": out,
            "_err": err,
            "_tty_out": False,
            "_env": dict(self.environment),
            "_cwd": self.cwd,
            "_encoding": "utf-8",
            "_new_session": True,
            "_preexec_fn": functools.partial(self._in_the_child, os.getpid(), die_together()),
            "_pass_fds": self.locks.descriptors(),
            "_ok_code": ANY_EXIT,
        }
        return cast(sh.RunningCommand, self.program(*self.words[1:], **options))

    def _in_the_child(self, parent: int, ask: Callable[[], object]) -> None:
        """Noted before it can do anything: a worker killed right after the start leaves no secret.

        Noted by the parent, some programs were over, or had orphans, before the note was written.
        """
        gc.disable()  # `sh` did so, but for all threads: another's start may have undone it
        become_a_child_of(parent, ask)
        self.locks.note(os.getpid())

    def _explain(self, error: BaseException) -> None:
        """As one of ours, what `sh` and the kernel say."""
        if isinstance(error, sh.ForkException):
            because = str(error).strip().splitlines()[-1].strip()
            kind = Transient if because.startswith(f"{Transient.__module__}.Transient") else Fault
            message = f"{self.program} cannot be started: {because}"
            raise kind(message, code="program-not-started") from error
        if isinstance(error, OSError):
            gc.enable()  # `sh` turns it off around the fork, and a fork that fails leaves it off
            message = f"this host cannot start {self.words[0]}: {error}"
            raise Transient(message, code="program-not-started") from error


class _Voice:
    """Speaks to the log. One that raises is told no more: its program must still be read."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def say(self, stream: Stream, line: str) -> None:
        try:
            self._tell(stream, line)
        except Exception:
            log.exception("shell.tell-raised")
            self._tell = silent

    def of(self, stream: Stream) -> Callable[[str], None]:
        return functools.partial(self.say, stream)


def _heard(start: _Start, stdin: bytes | None, within: timedelta, out: Lines, err: Lines) -> int:
    """Its exit code, when all that it said is told."""
    with Interrupts() as interrupts:
        pump = Pump(out, err)
        try:
            with start.halt.program(within) as program:
                running = start.go(stdin, *pump.writes)
                pump.hand_over()
                code = _ended(running, start, within, interrupts, program)
        finally:
            is_heard = pump.finish(GRACE, PATIENCE)
    if not is_heard:
        raise Fault(f"the log is stuck: {start.words[0]} ended {PATIENCE} ago and is not all told")
    return code


def _ended(
    running: sh.RunningCommand,
    start: _Start,
    within: timedelta,
    interrupts: Interrupts,
    program: Program,
) -> int:
    """Its exit code. An interrupt ends the program and all it started, and is raised after it."""
    try:
        # `sh` looks each second, and would reap what is about to be signalled by its number.
        with cast(Any, running.process)._wait_lock:
            is_there = running.process.exit_code is None
            is_late = is_there and _wait(running.pid, within, interrupts, program)
    finally:
        running.wait()
    if running.exit_code != 0:
        start.halt.check()
    if is_late and running.exit_code == -signal.SIGKILL:
        raise CommandTimedOut(f"{shlex.join(start.words)} was still running after {within}")
    return running.exit_code


def _wait(pid: int, within: timedelta, interrupts: Interrupts, program: Program) -> bool:
    """For its exit. True when its deadline came first: then it is ended, and all it started."""
    with interrupts.ending(lambda: end_session(pid)), program.leading(pid):
        if wait_for_exit(pid, within):
            return False
        end_session(pid)
        wait_for_exit(pid, PATIENCE)
    return True


def _folder(cwd: Path | None) -> str | None:
    if cwd is not None and not cwd.is_dir():
        raise NotFound(f"there is no folder {cwd} to run a program in")
    return None if cwd is None else str(cwd)


def _look_up(program: str, environment: Mapping[str, str]) -> sh.Command[Any] | None:
    """On the listed PATH; a relative folder or program would mean another one in every folder."""
    folders = [one for one in environment.get("PATH", "").split(os.pathsep) if one.startswith("/")]
    if program.startswith("/") or "/" not in program:
        with suppress(sh.CommandNotFound):
            return sh.Command(program, folders)
    return None


def _found(program: str, environment: Mapping[str, str]) -> sh.Command[Any]:
    command = _look_up(program, environment)
    if command is None:
        hint = f"install {program}, or add the folder it is in to the PATH of the service"
        raise ProgramMissing(f"there is no {program} on the PATH", hint=hint)
    return command


def _clean_up_after(error: BaseException) -> None:
    """`sh` 2.4 leaves a zombie and two descriptors behind a program that could not be exec'ed.

    Only the frame that raised still knows them.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        left = frame.f_locals
        if "session_pipe_read" not in left:
            continue
        if isinstance(error, sh.ForkException):
            os.close(left["session_pipe_read"])
            os.close(left["session_pipe_write"])
        if pid := getattr(left["self"], "pid", None):
            _end_and_reap(pid)


def _end_and_reap(pid: int) -> None:
    end_session(pid)
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
