"""The first thing that a newcomer runs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.http import Http
from hive.adapters.shell import LocalShell, Ran
from hive.sim.places import address_of
from hive.sim.stop import stop_all

HIVE = Path(sys.executable).with_name("hive")
PORTS = (8879, 8744)
LONG = timedelta(minutes=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "demo"


def demo(folder: Path, *words: str) -> Ran:
    shell = LocalShell({"PATH": os.environ["PATH"], "HOME": str(folder.parent)})
    return shell.run(HIVE, "demo", "--folder", folder, *words, within=LONG)


def answering(folder: Path) -> int:
    address = address_of(folder / "sim")
    return sum(Http().knock(address, port) is not None for port in PORTS)


def states(folder: Path, job: int) -> set[str]:
    env = {"PATH": os.environ["PATH"], "HIVE_BACKEND": "sim", "HIVE_STATE_DIR": str(folder)}
    shown = json.loads(LocalShell(env).run(HIVE, "job", "show", str(job), "--json").raw)
    return {step["state"] for step in shown["steps"]}


def kinds(folder: Path) -> list[str]:
    env = {"PATH": os.environ["PATH"], "HIVE_BACKEND": "sim", "HIVE_STATE_DIR": str(folder)}
    shown = json.loads(LocalShell(env).run(HIVE, "jobs", "--json").raw)
    return [job["kind"] for job in reversed(shown)]


def page(folder: Path) -> str:
    with urlopen(f"http://{address_of(folder / 'sim')}:{PORTS[0]}/", timeout=10) as answer:
        said: bytes = answer.read()
    return said.decode()


def test_the_demo_shows_two_agents_that_answer_converges_and_stops(folder: Path) -> None:
    try:
        first = demo(folder)
        for name in ("alice", "bob"):
            assert f"{name} answers at http://" in first.out
        assert answering(folder) == 2
        assert '+  environment.variables.GREETING = "hello";' in first.out
        assert "[build-failed]" in first.tail
        assert kinds(folder) == ["spawn", "spawn", "apply", "apply"]
        assert "GREETING" in page(folder), "what was approved runs, and what failed does not"

        demo(folder)
        assert kinds(folder)[4:] == ["spawn", "spawn", "apply"]
        assert states(folder, 5) == states(folder, 6) == {"held"}

        demo(folder, "--stop")
        assert answering(folder) == 0
        assert (folder / "applied" / "alice").is_dir()

        assert "alice answers at http://" in demo(folder).out
    finally:
        stop_all(folder / "sim")


def test_two_demos_stand_beside_each_other_and_leave_with_their_folders(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    try:
        demo(here)
        demo(there)
        assert answering(here) == answering(there) == 2
        shutil.rmtree(here)
        left = wait_until(
            SystemClock(),
            lambda: answering(here) == 0,
            within=timedelta(seconds=30),
            every=timedelta(milliseconds=100),
        )
        assert left
        assert answering(there) == 2
    finally:
        stop_all(here / "sim")
        stop_all(there / "sim")


def test_a_folder_with_a_blank_in_its_path_is_refused_in_one_line(tmp_path: Path) -> None:
    shell = LocalShell({"PATH": os.environ["PATH"]})
    ran = shell.run(HIVE, "demo", "--folder", tmp_path / "a b", accept=(2,))
    assert "[bad-path]" in ran.tail
    assert "--folder" in ran.tail
    assert not (tmp_path / "a b").exists()
