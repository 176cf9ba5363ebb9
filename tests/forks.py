"""Processes forked from one that has loaded hive, and has no threads.

What one does from there is what it does when a user starts it; only the half second is spared in
which Python loads it. That the program itself starts is tested in `house`, and wherever a shell
types it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final

import cli.app
from hive.adapters.pipes import readable
from hive.adapters.processes import die_together
from hive.adapters.shell import Ran

#: There is one server of forks in a process, and what it has loaded is said once, here.
FORKS: Final[ForkServerContext] = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["pytest", "pydantic.type_adapter", "alembic.command", "cli.app", "cli.live", "cli.follow",
     "cli.serve", "cli.here", "cli.over", "hive.bootstrap", "hive.service.adoption",
     "hive.service.doctor", "workers.main", "tests.acceptance.killing", "tests.fleet",
     "tests.contract.test_crash_points"]
)  # fmt: skip

HIVE: Final = str(Path(sys.executable).with_name("hive"))
WITHIN: Final = timedelta(minutes=5)
_EXITS: Final = Lock()
"""Whoever starts a process also asks for the exits of all others, and each is told only once."""


def start(process: ForkServerProcess) -> None:
    with _EXITS:
        process.start()


def exit_of(process: ForkServerProcess, within: timedelta) -> int | None:
    """Negative for a signal. None where it hung, and was killed with its process group."""
    hangs = not wait([process.sentinel], within.total_seconds())
    if hangs:
        assert process.pid is not None
        with suppress(ProcessLookupError):  # it had no group of its own yet
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    with _EXITS:
        process.join()
        code = process.exitcode
        process.close()
    return None if hangs else code


def hive(words: Sequence[str], environment: Mapping[str, str]) -> Ran:
    """`hive WORD…` as a shell would run it there, whatever its exit is; nothing is on its stdin.

    Its `tail` is all that it said on stderr.
    """
    with TemporaryDirectory(prefix="hive-ran-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        argv = (HIVE, *words)
        process = FORKS.Process(target=become, args=(dict(environment), (out, err), argv))
        start(process)
        code = exit_of(process, WITHIN)
        said = err.read_bytes().splitlines() if err.exists() else []
        tail = "\n".join(map(readable, said))
        assert code is not None, f"hive {' '.join(words)} hangs: {tail}"
        return Ran(argv, code, out.read_bytes(), tail)


def become(env: dict[str, str], files: tuple[Path, Path], argv: Sequence[str]) -> None:
    """What a forked process does: it is the command line, as if just started."""
    settle(env, files)
    sys.argv = [*argv]
    cli.app.main()


def settle(env: dict[str, str], files: Collection[Path]) -> None:
    """Its session, signals, environment and output are those of a program that was just started."""
    os.setsid()
    # Tests that a shell runs in the background are told to ignore it, and would pass that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    die_together()()
    for number, name in enumerate(files, start=1):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", 1, encoding="utf-8", errors=errors, closefd=False)
        for number, errors in ((1, "surrogateescape"), (2, "backslashreplace"))
    )
    os.environ.clear()
    os.environ.update(env)
