"""`hive doctor` on this machine, whatever it has."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from hive.adapters.shell import LocalShell, Ran
from tests import forks

HIVE = Path(sys.executable).with_name("hive")
ANY = range(256)


class Doctor:
    """The real command, with an environment that is listed here."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.home = folder / "home"
        self.home.mkdir()

    def __call__(self, *words: str, **env: str) -> Ran:
        listed = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "HIVE_BACKEND": "sim",
            "HIVE_STATE_DIR": str(self.state),
        }
        return forks.hive(["doctor", *words], listed | env)

    def told(self, **env: str) -> dict[str, dict[str, str]]:
        return {one["name"]: one for one in json.loads(self("--json", **env).out)}


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """A PATH with nothing on it."""
    (tmp_path / "bin").mkdir()
    return str(tmp_path / "bin")


def with_git(folder: str) -> str:
    found = shutil.which("git")
    assert found is not None
    Path(folder, "git").symlink_to(found)
    return folder


def test_a_machine_with_only_git_is_enough_for_the_sim(doctor: Doctor, elsewhere: str) -> None:
    ran = doctor(PATH=with_git(elsewhere))
    assert ran.exit_code == 0, ran.out
    assert "HIVE_BACKEND=sim PRETENDS containers and nix" in ran.out


def test_without_git_it_exits_1_and_says_what_to_do(doctor: Doctor, elsewhere: str) -> None:
    ran = doctor(PATH=elsewhere)
    assert ran.exit_code == 1
    (line,) = (line for line in ran.out.splitlines() if line.split()[1] == "git")
    assert line.startswith("missing")
    assert "install git" in line
    assert ran.tail == "hive needs: git"


def test_a_machine_without_nixos_does_not_pass_for_one(doctor: Doctor, elsewhere: str) -> None:
    ran = doctor(PATH=with_git(elsewhere), HIVE_BACKEND="nixos")
    assert ran.exit_code == 1
    assert ran.tail.startswith("hive needs: nix, nixos-container, systemd")
    assert "HIVE_BACKEND=sim" in ran.out


def test_the_json_has_every_line_of_the_words(doctor: Doctor) -> None:
    told = doctor.told()
    assert all(set(one) == {"name", "verdict", "message", "hint"} for one in told.values())
    assert {one["verdict"] for one in told.values()} <= {"ok", "note", "warn", "missing"}
    assert [line.split()[1] for line in doctor().out.splitlines()] == list(told)


@pytest.mark.parametrize("backend", ["sim", "nixos"])
def test_it_changes_nothing(doctor: Doctor, backend: str) -> None:
    doctor(HIVE_BACKEND=backend)
    assert not doctor.state.exists()
    assert list(doctor.home.iterdir()) == []


def test_a_database_and_a_redis_that_are_not_there_are_findings(doctor: Doctor) -> None:
    away = {
        "HIVE_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/hive",
        "HIVE_REDIS_URL": "redis://me:secret@127.0.0.1:1/0",
    }
    ran = doctor(**away)
    assert ran.exit_code == 1
    assert ran.tail == "hive needs: database, redis"
    assert "secret" not in ran.out
    told = doctor.told(**away)
    assert "PostgreSQL 'hive' at 127.0.0.1:1" in told["database"]["message"]
    assert "Redis at 127.0.0.1:1" in told["redis"]["message"]


def test_a_redis_url_that_is_none_keeps_its_secret(doctor: Doctor) -> None:
    ran = doctor(HIVE_REDIS_URL="redis://:sec/ret@127.0.0.1/0")
    assert ran.exit_code == 1
    assert "HIVE_REDIS_URL is no URL of a Redis" in ran.out
    assert "sec" not in ran.out


def test_a_database_of_ones_own_is_to_be_migrated_and_then_is(
    doctor: Doctor, tmp_path: Path
) -> None:
    url = {"HIVE_DATABASE_URL": f"sqlite:///{tmp_path}/own.sqlite"}
    before = doctor.told(**url)["database"]
    assert (before["verdict"], before["hint"]) == ("missing", "hive db upgrade")
    assert not (tmp_path / "own.sqlite").exists()

    env = {"PATH": os.environ["PATH"], "HOME": str(doctor.home), **url}
    LocalShell(env).run(HIVE, "db", "upgrade")
    assert doctor.told(**url)["database"]["verdict"] == "ok"


def test_a_bad_setting_is_one_line_and_exit_2(doctor: Doctor) -> None:
    for setting in ("HIVE_BACKEND", "HIVE_DATABASE_URL", "HIVE_STATE_DIR"):
        ran = doctor(**{setting: "bogus"})
        assert ran.exit_code == 2
        assert ran.out == ""
        assert setting in ran.tail


def test_a_redis_that_runs_is_reached(doctor: Doctor, redis_url: str) -> None:
    assert doctor.told(HIVE_REDIS_URL=redis_url)["redis"]["verdict"] == "ok"
