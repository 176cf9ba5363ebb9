from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hive.adapters.shell import LocalShell
from tests.house.tree import ROOT, files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
USERS, DEVELOPERS = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
SCRIPTS = [*files("scripts"), ROOT / ".ci" / "run"]
BUILD = PROJECT["build-system"]["requires"]
RUN = PROJECT["project"]["dependencies"]
EXTRAS = [
    asked for extra in PROJECT["project"]["optional-dependencies"].values() for asked in extra
]


def pins(lock: Path) -> dict[str, tuple[Requirement, str]]:
    """Each requirement of `lock`, by name, and the lines under it."""
    blocks = re.split(r"^(?=[a-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]
    heads = [(Requirement(block.partition("\\")[0]), block) for block in blocks]
    return {head.name: (head, block) for head, block in heads}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_run(script: Path) -> None:
    assert os.access(script, os.X_OK)
    first, _, text = script.read_text().partition("\n")
    assert first == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in text
    LocalShell(os.environ).run("bash", "-n", script)


@pytest.mark.parametrize("lock", [USERS, DEVELOPERS], ids=lambda path: path.name)
def test_a_lock_names_one_version_and_its_hashes(lock: Path) -> None:
    for name, (pin, block) in pins(lock).items():
        assert re.fullmatch(r"==[^,*]+", str(pin.specifier)), name
        assert "--hash=sha256:" in block, name


@pytest.mark.parametrize("lock", [USERS, DEVELOPERS], ids=lambda path: path.name)
def test_a_lock_is_for_every_platform(lock: Path) -> None:
    markers = " ".join(str(pin.marker) for pin, _ in pins(lock).values())
    assert 'sys_platform == "win32"' in markers
    assert not re.search(
        r"^\s*--(index-url|extra-index-url|find-links)|://", lock.read_text(), re.M
    )


@pytest.mark.parametrize(
    ("lock", "asked"),
    [(USERS, BUILD + RUN), (DEVELOPERS, BUILD + RUN + EXTRAS)],
    ids=["users", "developers"],
)
def test_a_lock_holds_what_the_project_asks_for(lock: Path, asked: list[str]) -> None:
    locked = pins(lock)
    for requirement in map(Requirement, asked):
        pin, _ = locked[requirement.name]
        (version,) = (spec.version for spec in pin.specifier)
        assert requirement.specifier.contains(version), (
            f"{requirement} but {version}: ./scripts/lock"
        )


def test_developers_run_the_versions_that_users_run() -> None:
    theirs, ours = pins(USERS), pins(DEVELOPERS)
    assert {name: pin.specifier for name, (pin, _) in theirs.items()} == {
        name: ours[name][0].specifier for name in theirs
    }


def test_every_dependency_has_its_reason() -> None:
    written = (ROOT / "docs" / "decisions" / "dependencies.md").read_text()
    titles = {
        name.strip().partition("[")[0]
        for title in re.findall(r"^### (.+)$", written, re.MULTILINE)
        for name in title.split(",")
    }
    assert {Requirement(asked).name for asked in BUILD + RUN + EXTRAS} <= titles
