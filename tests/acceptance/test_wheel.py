"""What a user gets: the wheel in a clean venv, beside what requirements.lock names, no more."""

from __future__ import annotations

import os
import sys
import venv
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hive.adapters.shell import LocalShell, Ran

ROOT = Path(__file__).parents[2]
SLOW = timedelta(minutes=5)
BUILD_BACKEND = "hatchling"


@dataclass(frozen=True)
class Installed:
    """A venv with the wheel in it, and an empty folder to stand in."""

    venv: Path
    empty: Path
    shell: LocalShell

    def run(self, program: str, *words: str | Path) -> Ran:
        return self.shell.run(self.venv / "bin" / program, *words, cwd=self.empty, within=SLOW)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    shell = LocalShell(os.environ)
    shell.run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
        *("--outdir", folder / "dist", ROOT),
        within=SLOW,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    clean = folder / "venv"
    venv.create(clean, with_pip=False)
    (packages,) = clean.glob("lib/python3.*/site-packages")
    link_what_users_get(into=packages)
    shell.run(
        *(sys.executable, "-m", "pip", "--python", clean / "bin" / "python"),
        *("install", "--quiet", "--no-index", "--no-deps", wheel),
        within=SLOW,
    )
    (folder / "empty").mkdir()
    home = {"HOME": str(folder / "home"), "LANG": "C.UTF-8"}
    path = os.pathsep.join((str(clean / "bin"), os.defpath, os.environ["PATH"]))
    return Installed(clean, folder / "empty", LocalShell({**home, "PATH": path}))


def link_what_users_get(*, into: Path) -> None:
    """Offline and quick, and no kinder than pip: what only tests have cannot be imported there."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    for pin in (Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalpha()):
        if pin.name == BUILD_BACKEND or (pin.marker and not pin.marker.evaluate()):
            continue
        for file in distribution(pin.name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (into / top).exists():
                (into / top).symlink_to(Path(str(distribution(pin.name).locate_file(top))))


def test_the_program_runs_from_the_wheel_and_not_from_the_tree(installed: Installed) -> None:
    where = installed.run("python", "-c", "import hive, cli; print(hive.__file__, cli.__file__)")
    assert all(file.startswith(str(installed.venv)) for file in where.out.split())
    assert "spawn" in installed.run("hive", "--help").out


def test_the_migrations_are_in_the_wheel(installed: Installed) -> None:
    (migrations,) = installed.venv.glob("lib/*/site-packages/hive/store/migrations")
    ours = {path.name for path in (ROOT / "alembic" / "versions").glob("*.py")}
    assert ours
    assert {path.name for path in (migrations / "versions").glob("*.py")} == ours
    assert (migrations / "env.py").is_file()
    assert list(installed.venv.glob("lib/*/site-packages/alembic/versions")) == []


def test_the_demo_runs_from_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    pretend = tmp_path / "demo"
    try:
        shown = installed.run("hive", "demo", "--folder", pretend)
        assert shown.out.count("http://") >= 2
    finally:
        installed.run("hive", "demo", "--folder", pretend, "--stop")
    assert list(installed.empty.iterdir()) == []
