"""The fakes keep state, and disagree with what they were not told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hive.errors import CommandTimedOut
from hive.testing import FakeClock, FakeShell


def test_an_unexpected_command_fails_by_naming_itself() -> None:
    shell = FakeShell().on("git status")
    with pytest.raises(AssertionError, match="git -C 'a b' push"):
        shell.run("git", "-C", Path("a b"), "push")


def test_what_ran_reads_as_it_was_told() -> None:
    shell = FakeShell().on("git -C x status").on("nix build")
    shell.run("nix", "build", env={"A": "b"})
    shell.run("git", "-C", Path("x"), "status", stdin=b"in")
    assert shell.ran == ["nix build", "git -C x status"]
    assert shell.asked[0].env == {"A": "b"}
    assert shell.asked[1].stdin == b"in"


def test_a_command_told_again_gives_the_new_answer() -> None:
    shell = FakeShell().on("git status", out="old")
    shell.on("git status", out="new")
    assert shell.run("git", "status").out == "new"


def test_a_command_can_be_told_to_fail_in_a_way_of_its_own() -> None:
    shell = FakeShell().on("nix build", fails=CommandTimedOut("nix build was still running"))
    with pytest.raises(CommandTimedOut):
        shell.run("nix", "build")


def test_the_clock_stands_still_until_it_is_advanced() -> None:
    clock = FakeClock()
    before = clock.now()
    assert clock.now() == before
    clock.advance(timedelta(hours=1))
    assert clock.now() - before == timedelta(hours=1)
    assert clock.slept == []
