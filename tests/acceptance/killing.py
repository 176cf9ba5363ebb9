"""Ends a `hive` by SIGKILL at any program that it starts, or any of its commits.

The points find themselves: a shim before each program counts the starts. For git it stands on the
PATH. The stand-ins of the sim come before the given PATH, so there it is the interpreter that they
are started with: `sys.executable` is all that these runs of the real command line have changed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

import cli.app
from tests.forks import FORKS, exit_of, start
from tests.pretend import environment

COMMIT: Final = "commit"
WITHIN: Final = timedelta(minutes=4)
"""Who runs for longer hangs, on the slowest machine."""


class Phase(StrEnum):
    BEFORE = "before"  #: the program has not begun
    DURING = "during"  #: the program dies with hive, somewhere in the middle
    ORPHANED = "orphaned"  #: the program goes on without hive, and holds its locks
    AFTER = "after"  #: the program has ended well, and hive has not heard of it
    GROUP = "group"  #: as during, and hive's whole process group with it


#: `at` says "<own|nested> <number> <phase>"; own are the programs that hive itself starts, nested
#: the ones that these start. What a pretend container runs is no program of the job.
SHIM: Final = """#!/bin/sh
real={real} d={folder}
if [ "$4" = init ] || ! [ -e "$d/armed" ]; then exec "$real" "$@"; fi
read -r hive <"$d/hive"
if [ "$PPID" = "$hive" ]; then who=own; else who=nested; fi
n=0
[ ! -e "$d/$who" ] || read -r n <"$d/$who"
n=$((n + 1))
echo "$n" >"$d/$who"
echo "$who $n {name} $*" >>"$d/starts"
read -r at <"$d/at"
case "$at" in
    "$who $n before") kill -9 "$hive"; exit 1 ;;
    "$who $n during") ( {wait}; kill -9 "$hive" ) <&- >&- 2>&- & ;;
    "$who $n group") ( {wait}; kill -9 "-$hive" ) <&- >&- 2>&- & ;;
    "$who $n orphaned") "$real" "$@" <&0 & kill -9 "$hive"; wait; exit 1 ;;
    "$who $n after") "$real" "$@"; kill -9 "$hive"; exit 1 ;;
esac
exec "$real" "$@"
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run's exit, negative for a signal, and all that it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Victim:
    """A hive on a pretend host of its own, whose programs stand behind shims."""

    folder: Path
    more: Mapping[str, str] = field(default_factory=dict)
    """What its hive is told beside the usual."""

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def starts(self) -> tuple[str, ...]:
        """What the armed run started: `own 1 git -C …`."""
        file = self.folder / "shims" / "starts"
        return tuple(file.read_text().splitlines()) if file.exists() else ()

    def count(self, who: str) -> int:
        return sum(line.startswith(f"{who} ") for line in self.starts)

    def spawn(self, *, killed_at: tuple[str, int, Phase] | None = None) -> Ended:
        """One `hive spawn alice` to its end, or to the point where it is killed."""
        return self.run(["spawn", "alice"], killed_at)

    def run(self, words: Sequence[str], killed_at: tuple[str, int, Phase] | None = None) -> Ended:
        shims = self.folder / "shims"
        if not shims.exists():
            self._make_shims(shims)
        for counter in ("own", "nested", "starts", "armed"):
            (shims / counter).unlink(missing_ok=True)
        (shims / "at").write_text("{} {} {}\n".format(*(killed_at or ("nobody", 0, "never"))))
        (shims / "armed").touch()
        try:
            return self._ran(words)
        finally:
            (shims / "armed").unlink()

    def _ran(self, words: Sequence[str]) -> Ended:
        told = (self.folder, [*words], self._environment())
        process = FORKS.Process(target=command_line, args=told)
        start(process)
        code = exit_of(process, WITHIN)
        out, err = ((self.folder / name).read_text() for name in ("out", "err"))
        assert code is not None, f"hive {' '.join(words)} hangs: {err}"
        return Ended(code, out, err)

    def _environment(self) -> dict[str, str]:
        ours = environment(self.state, **self.more)
        return {**ours, "PATH": f"{self.folder / 'shims'}{os.pathsep}{ours['PATH']}"}

    def _make_shims(self, shims: Path) -> None:
        shims.mkdir(parents=True)
        git = shutil.which("git")
        assert git is not None, "there is no git on the PATH"
        for name, real, wait in (
            ("git", git, "sleep 0.00$((n * 7 % 10))"),  # it takes a few milliseconds,
            ("python", sys.executable, "sleep 0.0$((n * 7 % 10))"),  # and these some tens
        ):
            text = SHIM.format(real=real, folder=shims, name=name, wait=wait)
            (shims / name).write_text(text)
            (shims / name).chmod(0o755)


def command_line(folder: Path, words: list[str], environment: dict[str, str]) -> None:
    """What the process of a victim does: `hive WORD…`, as if it had just been started."""
    os.setsid()
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    os.environ.clear()
    os.environ.update(environment)
    (folder / "shims" / "hive").write_text(f"{os.getpid()}\n")
    count_commits(folder / "shims")
    sys.executable, sys.argv = str(folder / "shims" / "python"), ["hive", *words]
    cli.app.main()


def count_commits(shims: Path) -> None:
    """Each commit of this process is noted as a start is; it is killed at the one that is `at`.

    Before it, nothing of it is there; after it, nobody has heard that it is.
    """
    noted, change = [0], threading.Lock()
    who, number, phase = (shims / "at").read_text().split()

    def before(_: object) -> None:
        with change:
            noted[0] += 1
            mine = noted[0]
        with (shims / "starts").open("a") as starts:
            starts.write(f"{COMMIT} {mine}\n")
        if (who, int(number)) == (COMMIT, mine):
            if phase == Phase.BEFORE:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.current_thread().__dict__["is_last"] = True

    def after(*_: object) -> None:
        """The connection goes back to its pool: right after its commit, in the same thread."""
        if "is_last" in threading.current_thread().__dict__:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "commit", before)
    event.listen(Pool, "checkin", after)
