"""This process becomes a program: the real door in a child of the test, and the fake of it."""

from __future__ import annotations

import os
import sys

import pytest

from hive.adapters.shell import LocalShell, Shell
from hive.errors import ProgramMissing
from hive.testing import FakeShell

PATH = os.environ["PATH"]
BECOMING = """
import os, sys
from hive.adapters.shell import LocalShell
print(os.getpid(), flush=True)
LocalShell({"PATH": os.environ["PATH"], "SAID": "by hive"}).become(*sys.argv[1:])
print("still here")
"""


def became(*argv: str, **env: str) -> list[str]:
    """What is said by a process that says its number, and then becomes `argv`."""
    outer = LocalShell({"PATH": PATH, **env})
    return outer.run(sys.executable, "-c", BECOMING, *argv).out.splitlines()


def test_the_program_is_the_same_process_and_nothing_comes_after_it() -> None:
    before, after = became("sh", "-c", "echo $$")
    assert before == after


def test_words_stay_words() -> None:
    assert became("printf", "%s,", "a b", "$HOME", "*")[1] == "a b,$HOME,*,"


def test_it_has_the_users_environment_and_hives_over_it() -> None:
    said = became("sh", "-c", "echo $TERM $SAID", TERM="xterm", SAID="by me")
    assert said[1] == "xterm by hive"


@pytest.mark.parametrize("shell", [LocalShell({"PATH": PATH}), FakeShell().without("no-such")])
def test_what_is_not_there_cannot_be_become(shell: Shell) -> None:
    with pytest.raises(ProgramMissing, match="no-such"):
        shell.become("no-such", "--help")


def test_the_fake_goes_on_and_notes_what_it_would_be() -> None:
    shell = FakeShell()
    shell.become("machinectl", "shell", "h-alice")
    assert shell.became == ("machinectl", "shell", "h-alice")
    assert shell.ran == []
