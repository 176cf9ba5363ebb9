"""Fakes that keep state, shipped, and held to the same suites as the real things.

A fake answers only what it was told; it disagrees where a mock would agree.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from hive.adapters.pipes import Lines, Reader
from hive.adapters.shell import QUICK, Ran, Stream, Tell, silent
from hive.errors import HiveError, NotFound, ProgramMissing


@dataclass(frozen=True, slots=True)
class Asked:
    """One command that a `FakeShell` was asked to run, with all that came with it."""

    argv: tuple[str, ...]
    cwd: Path | None
    env: Mapping[str, str]
    stdin: bytes | None
    within: timedelta
    quiet: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    out: bytes
    err: bytes
    exit_code: int
    fails: HiveError | None


class FakeShell:
    """Answers what it was told with `on`; any other command fails by naming itself."""

    def __init__(self, tell: Tell = silent) -> None:
        self.asked: list[Asked] = []
        self.became: tuple[str, ...] = ()
        self._tell = tell
        self._answers: dict[tuple[str, ...], _Answer] = {}
        self._missing: set[str] = set()

    @property
    def ran(self) -> list[str]:
        """The command lines, in order, in the words of `on`."""
        return [shlex.join(one.argv) for one in self.asked]

    def on(
        self,
        line: str,
        *,
        out: str | bytes = b"",
        err: str | bytes = b"",
        exit_code: int = 0,
        fails: HiveError | None = None,
    ) -> FakeShell:
        """From now on `line` says this; `fails` is raised instead. Told again, it says that."""
        answer = _Answer(_as_bytes(out), _as_bytes(err), exit_code, fails)
        self._answers[tuple(shlex.split(line))] = answer
        return self

    def without(self, program: str) -> FakeShell:
        """From now on `program` is not on the PATH."""
        self._missing.add(program)
        return self

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
        words = tuple(str(word) for word in argv)
        self._tell(Stream.COMMAND, shlex.join(words))
        self._refuse(words[0], cwd)
        self.asked.append(Asked(words, cwd, dict(env or {}), stdin, within, quiet))
        answer = self._answers.get(words)
        if answer is None:
            raise AssertionError(f"nobody told the shell about: {shlex.join(words)}")
        if answer.fails is not None:
            raise answer.fails
        return self._said(words, answer, quiet, reads).accepted(accept)

    def find(self, program: str) -> Path | None:
        """Known are the programs of the commands that it was told about."""
        known = any(words[0] == program for words in self._answers)
        return Path("/fake/bin", program) if known and program not in self._missing else None

    def become(self, *argv: str) -> None:
        """Returns, having noted what this process would be by now."""
        self._refuse(argv[0], None)
        self.became = argv

    def _refuse(self, program: str, cwd: Path | None) -> None:
        if program in self._missing:
            hint = f"install {program}, or add the folder it is in to the PATH of the service"
            raise ProgramMissing(f"there is no {program} on the PATH", hint=hint)
        if cwd is not None and not cwd.is_dir():
            raise NotFound(f"there is no folder {cwd} to run a program in")

    def _said(
        self, words: tuple[str, ...], answer: _Answer, quiet: bool, reads: Reader | None
    ) -> Ran:
        out = Lines(None if quiet else partial(self._tell, Stream.OUT), keep=True)
        err = Lines(partial(self._tell, Stream.ERR), keep=False, reads=reads)
        for lines, said in ((out, answer.out), (err, answer.err)):
            lines.hear(said)
            lines.end()
        return Ran(words, answer.exit_code, out.raw, err.tail)


class FakeClock:
    """Stands still, until someone sleeps or it is advanced."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 1000.0
        self.slept: list[timedelta] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration)
        self.advance(max(duration, timedelta(0)))

    def advance(self, duration: timedelta) -> None:
        self._now += duration
        self._monotonic += duration.total_seconds()


def _as_bytes(said: str | bytes) -> bytes:
    return said.encode() if isinstance(said, str) else said
