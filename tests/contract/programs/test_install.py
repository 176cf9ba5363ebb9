from __future__ import annotations

import sys
from pathlib import Path

from hive.adapters.shell import LocalShell
from hive.sim import install

PARTS = {"nix": {"nix", "nix-env"}}
CONTAINERS = {"nixos-container", "systemctl", "machinectl", "journalctl"}


def installed(root: Path) -> set[str]:
    return {shim.name for shim in (root / "bin").iterdir()}


def test_a_part_is_installed_alone_and_the_other_taken_out(tmp_path: Path) -> None:
    install.install(install.folder(), tmp_path, sys.executable)
    assert installed(tmp_path) == CONTAINERS | PARTS["nix"]

    install.install(install.folder(), tmp_path, sys.executable, frozenset({"containers"}))
    assert installed(tmp_path) == CONTAINERS


def test_what_is_right_is_not_written_again_and_what_is_not_is(tmp_path: Path) -> None:
    install.install(install.folder(), tmp_path, sys.executable)
    shim = tmp_path / "bin/nix"
    other = tmp_path / "bin/nix-env"
    before = shim.stat().st_ino
    other.chmod(0o644)

    install.install(install.folder(), tmp_path, sys.executable)

    assert shim.stat().st_ino == before
    assert other.stat().st_mode & 0o111


def test_a_folder_with_spaces_will_do(tmp_path: Path) -> None:
    root = tmp_path / "a 'b' $c"
    install.install(install.folder(), root, sys.executable)

    ran = LocalShell({"PATH": "/usr/bin:/bin"}).run(root / "bin/nix", "--version")

    assert ran.out == "nix (Nix) 2.18.1\n"


def test_a_stand_in_loads_neither_hive_nor_what_is_installed_beside_it(tmp_path: Path) -> None:
    look = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); os.environ['HIVE_SIM_ROOT'] = '/x';"
        "import start; start.start('systemctl', ['--version']);"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('hive', 'sh', 'sqlalchemy')))"
    )
    ran = LocalShell({"PATH": "/usr/bin:/bin"}).run(
        sys.executable, "-I", "-S", "-c", look, install.folder()
    )

    assert all(m == "hive" or m.startswith("hive.sim") for m in eval(ran.out.splitlines()[-1]))
