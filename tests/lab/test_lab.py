"""The lab itself: of one whose test run was killed nothing stays."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.shell import LocalShell
from tests.lab.conftest import OFTEN, Lab
from tests.services import LAB_ENVIRONMENT, ROOT

KILLED = """
import os
from tests.services import a_lab
with a_lab() as folder:
    print(folder, (folder / "leader").read_text(), flush=True)
    os.kill(os.getpid(), 9)
"""


def test_nothing_is_left_of_a_lab_whose_test_run_was_killed(booted_lab: Lab) -> None:
    shell = LocalShell(LAB_ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"})
    minutes = timedelta(minutes=3)
    ran = shell.run(sys.executable, "-c", KILLED, cwd=ROOT, within=minutes, accept=(-9,))

    folder, leader = ran.out.split()
    left = [Path(folder), Path("/proc") / leader]
    assert wait_until(
        SystemClock(), lambda: not any(path.exists() for path in left), within=minutes, every=OFTEN
    )
    assert folder not in Path("/proc/self/mountinfo").read_text()
    assert Path("/proc", str(booted_lab.init)).exists()


def test_a_command_inside_gets_nothing_of_our_environment(booted_lab: Lab) -> None:
    os.environ["HIVE_TEST_SECRET"] = "of ours"
    try:
        assert "HIVE_TEST_SECRET" not in booted_lab.script("env")
    finally:
        del os.environ["HIVE_TEST_SECRET"]


def test_a_command_inside_has_its_own_streams_and_its_own_exit(booted_lab: Lab) -> None:
    ran = booted_lab.run("sh", "-c", "echo out; echo err >&2; exit 7", accept=(7,))
    assert (ran.out, ran.tail) == ("out\n", "err")
