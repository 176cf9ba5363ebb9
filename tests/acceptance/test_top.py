"""`hive status` and `hive top`, as a person sees them in a terminal."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any, Final

import pytest

import cli.app
from hive.adapters.processes import die_together
from tests.acceptance.test_spawn import Person, a_person, refused
from tests.forks import FORKS, start
from tests.pretend import environment

WITHIN: Final = 60.0
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
"""How a terminal is told to show another screen, and the one before again."""
SIZE: Final = (24, 120)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Where alice runs."""
    with a_person(tmp_path_factory.mktemp("host")) as person:
        person.does("spawn", "alice")
        yield person


@dataclass
class Screen:
    """A terminal, and `hive` on it."""

    process: BaseProcess
    terminal: int
    before: list[Any]
    said: bytes = field(default=b"")

    def shows(self, text: str, *, of: int = 0) -> None:
        """From byte `of` on, sooner or later."""
        self._until(lambda: text.encode() in self.said[of:], f"shows {text!r}")

    def types(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def ended(self) -> int:
        """Its exit; the terminal is as it was."""
        self._until(lambda: not self.process.is_alive(), "ends")
        self._read(0.0)
        assert self.said.count(ENTERED) == self.said.count(LEFT), self.said[-2000:]
        assert termios.tcgetattr(self.terminal)[:6] == self.before[:6]
        assert self.process.exitcode is not None
        return self.process.exitcode

    def _until(self, so: Any, what: str) -> None:  # noqa: ANN401 - a question
        until = time.monotonic() + WITHIN
        while not so():
            assert time.monotonic() < until, f"it never {what}: {self.said[-3000:]!r}"
            self._read(0.05)

    def _read(self, within: float) -> None:
        while select.select([self.terminal], [], [], within)[0]:
            self.said += os.read(self.terminal, 1 << 16)
            within = 0.0


def play(env: dict[str, str], terminal: str, words: list[str]) -> None:
    """What a forked process does: it is `hive`, with that terminal and nothing else."""
    os.setsid()
    die_together()()
    opened = os.open(terminal, os.O_RDWR)
    for number in range(3):
        os.dup2(opened, number)
    os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, closefd=False) for number, mode in enumerate(("r", "w", "w"))
    )
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["hive", *words]
    cli.app.main()


@contextmanager
def on_a_terminal(person: Person, *words: str, **more: str) -> Iterator[Screen]:
    terminal, theirs = os.openpty()  # ours to keep open, or what was said would be lost
    termios.tcsetwinsize(terminal, SIZE)
    env = environment(person.state, TERM="xterm-256color", **more)
    process = FORKS.Process(target=play, args=(env, os.ttyname(theirs), [*words]))
    before = termios.tcgetattr(terminal)
    start(process)
    try:
        yield Screen(process, terminal, before)
    finally:
        with suppress(ValueError):
            process.kill()
            process.join()
        os.close(theirs)
        os.close(terminal)


def test_status_tells_of_the_fleet_on_one_screen(host: Person) -> None:
    said = host.does("status")
    assert "alice" in said
    assert "active" in said
    assert "job.finish" in said
    assert "jobs: 0 running, 0 waiting, 0 queued" in said


def test_status_for_programs_has_what_the_container_really_uses(host: Person) -> None:
    found = json.loads(host.does("status", "--json"))
    (alice,) = found["agents"]
    assert list(alice) == [
        "name", "node", "desired", "state", "job", "memory", "cpu_seconds", "event", "failed_at",
        "attention",
    ]  # fmt: skip
    assert alice["memory"] > 1 << 20
    assert alice["cpu_seconds"] > 0
    assert alice["event"]["kind"] == "job.finish"
    assert list(found) == ["at", "agents", "nodes", "jobs"]


def test_top_without_a_terminal_says_what_to_use_instead(host: Person) -> None:
    refused(host.hive("top"), 2, "no-terminal", "hive status")


def test_top_shows_the_fleet_until_q(host: Person) -> None:
    with on_a_terminal(host, "top", "--every", "0.2") as screen:
        screen.shows("alice")
        screen.shows("q leaves")
        screen.shows(" %")  # what two looks tell
        assert ENTERED in screen.said
        screen.types("x")
        screen.types("q")
        assert screen.ended() == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_top_leaves_the_terminal_as_it_was_when_it_is_told_to_go(
    host: Person, number: signal.Signals, code: int
) -> None:
    with on_a_terminal(host, "top") as screen:
        screen.shows("alice")
        screen.signal(number)
        assert screen.ended() == code


def test_top_fits_a_narrow_terminal_once_that_is_narrow(host: Person) -> None:
    with on_a_terminal(host, "top", "--every", "60") as screen:
        screen.shows("LAST EVENT")
        seen = len(screen.said)
        termios.tcsetwinsize(screen.terminal, (10, 40))
        screen.shows("AGENT", of=seen)
        assert b"LAST EVENT" not in screen.said[seen:]
        screen.types("q")
        assert screen.ended() == 0


def test_top_has_no_colours_where_none_are_wanted(host: Person) -> None:
    host.does("stop", "alice")
    host.does("start", "alice")
    with on_a_terminal(host, "top", NO_COLOR="1") as screen:
        screen.shows("alice")
        screen.types("q")
        assert screen.ended() == 0
    assert b"\x1b[3" not in screen.said
    assert b"\x1b[1;3" not in screen.said


def test_top_says_what_cannot_be_seen_for_a_while_and_goes_on(host: Person) -> None:
    systemctl = host.state / "sim" / "bin" / "systemctl"
    assert not systemctl.is_symlink()
    program = systemctl.read_bytes()
    with on_a_terminal(host, "top", "--every", "0.2") as screen:
        screen.shows("alice")
        systemctl.write_text("#!/bin/sh\nexit 1\n")
        screen.shows("hive cannot look [command-failed]: ")
        systemctl.write_bytes(program)
        screen.shows("q leaves", of=len(screen.said))
        screen.types("q")
        assert screen.ended() == 0
