"""Spawn with a real nix: the closure is really evaluated and built, offline, in a private store."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.git import MAIN, Git
from hive.adapters.http import Http
from hive.adapters.shell import LocalShell, Ran
from hive.sim.stop import stop_all

HIVE = Path(sys.executable).with_name("hive")
BASE = Path(__file__).parent / "base"
LONG = timedelta(minutes=3)


@dataclass(frozen=True)
class Real:
    """Pretend containers beside a real nix, in one folder."""

    folder: Path
    env: Mapping[str, str]

    def hive(self, *words: str, accept: tuple[int, ...] = (0,)) -> Ran:
        return LocalShell(self.env).run(HIVE, *words, within=LONG, accept=accept)

    def git(self) -> Git:
        return Git(LocalShell({"PATH": os.environ["PATH"]}))

    def agent(self, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.hive("agent", "show", name, "--json").raw)
        return shown


@pytest.fixture
def real(real_nix: dict[str, str], tmp_path: Path) -> Iterator[Real]:
    base = tmp_path / "base"
    git = Git(LocalShell({"PATH": os.environ["PATH"]}))
    git.init(base)
    text = {"flake.nix": (BASE / "flake.nix").read_text()}
    git.commit(base, MAIN, text, parent=None, subject="the tests' base", at=None)
    git.reset_tree(base)
    private = {key: value for key, value in real_nix.items() if key.startswith("NIX_")}
    state = tmp_path / "state"
    env = {
        "PATH": real_nix["PATH"],
        "HOME": real_nix["HOME"],
        "HIVE_BACKEND": "sim",
        "HIVE_SIM": "containers",
        "HIVE_STATE_DIR": str(state),
        "HIVE_GCROOTS_DIR": str(tmp_path / "gcroots"),
        "HIVE_BASE_FLAKE": f"git+file://{base}",
        "HIVE_NIX_ENV": ";".join(f"{key}={value}" for key, value in private.items()),
    }
    yield Real(tmp_path, env)
    stop_all(state / "sim")
    shutil.rmtree(state, ignore_errors=True)


def test_a_spawned_agent_runs_a_closure_that_was_really_built(
    real: Real, real_nix: dict[str, str]
) -> None:
    real.hive("spawn", "alice")

    alice = real.agent("alice")
    system = Path(alice["system"])
    assert system.is_relative_to(real_nix["NIX_STORE_DIR"])
    facts = json.loads((system / "agent.json").read_text())
    assert facts["agent"] == "alice"
    assert facts["environment"] == {
        "HIVE_LABEL": "alice",
        "HIVE_PORT": "8879",
        "HIVE_DASHBOARD_PORT": "7000",
    }
    assert alice["running"]
    (root,) = (real.folder / "gcroots" / "alice").iterdir()
    assert root.readlink() == system
    shown = real.hive("agent", "show", "alice").out
    address = shown.partition("url:")[2].strip().removeprefix("http://").partition(":")[0]
    answer = Http().knock(address, 8879)
    assert answer is not None
    assert answer.headers["hive-system"] == str(system)


def test_a_second_spawn_with_a_real_nix_finds_that_everything_holds(real: Real) -> None:
    real.hive("spawn", "alice")
    job = json.loads(real.hive("spawn", "alice", "--json").raw)
    assert {step["state"] for step in job["steps"]} == {"held"}


def test_two_agents_of_one_base_share_it_and_no_system(real: Real) -> None:
    real.hive("spawn", "alice")
    real.hive("spawn", "bob")

    assert real.agent("alice")["system"] != real.agent("bob")["system"]
    git, meta = real.git(), real.folder / "state" / "meta"
    main = git.ref(meta, MAIN)
    assert main is not None
    lock = json.loads(git.file(meta, main, "flake.lock") or "")
    assert sorted(lock["nodes"]["root"]["inputs"]) == [
        "agent-alice",
        "agent-bob",
        next(name for name in lock["nodes"] if name.startswith("base-")),
    ]
    assert git.is_clean(meta)


def test_an_agent_that_does_not_evaluate_fails_with_nixs_own_words(real: Real) -> None:
    real.hive("spawn", "alice")
    applied = real.folder / "state" / "applied" / "alice"
    git = real.git()
    broken = {
        "agent.nix": '{ ... }: { said = throw "not on a Friday"; }\n',
        "flake.nix": (applied / "flake.nix").read_text(),
    }
    before = git.ref(applied, MAIN)
    git.commit(applied, MAIN, broken, parent=before, subject="broken", at=None)
    git.reset_tree(applied)
    was = real.agent("alice")["system"]

    ran = real.hive("spawn", "alice", accept=(1,))

    assert "not on a Friday" in ran.tail
    assert "[build-failed]" in ran.tail
    assert real.agent("alice")["system"] == was
    assert real.agent("alice")["running"]
