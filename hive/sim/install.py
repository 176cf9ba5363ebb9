"""Puts the stand-ins where a PATH can find them: a shim a program, made anew where it differs.

The shims are written, not shipped: some installers of wheels lose the mode of a file, and a shim
names the interpreter and the folder of one pretend host.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from hive.sim.files import write_beside

PROGRAMS: Final = {
    "nix": ("nix", "nix-env"),
    "containers": ("nixos-container", "systemctl", "machinectl", "journalctl"),
}
EVERYTHING: Final = frozenset(PROGRAMS)


def install(
    programs_dir: Path, root: Path, python: str, which: frozenset[str] = EVERYTHING
) -> None:
    """`<root>/bin` holds the programs of `which`, and no other; `programs_dir` holds `start.py`.

    Runs at every start of hive, so it writes only what differs.
    """
    start = [python, "-I", "-S", str(programs_dir.resolve() / "start.py")]
    for part, programs in PROGRAMS.items():
        for program in programs:
            shim = root / "bin" / program
            if part in which:
                _put(shim, _shim(root, [*start, program]), root)
            else:
                shim.unlink(missing_ok=True)
    _put(root / "libexec" / "hive-sim-init", _shim(root, [*start, "init"]), root)


def folder() -> Path:
    """The folder that is `programs_dir` for an installed hive."""
    return Path(__file__).parent


def _shim(root: Path, command: list[str]) -> str:
    here = shlex.quote(str(root.resolve()))
    return (
        "#!/bin/sh\n"
        "# Written by hive: a stand-in for machines without NixOS (HIVE_BACKEND=sim).\n"
        f'[ -n "$HIVE_SIM_ROOT" ] || HIVE_SIM_ROOT={here}\n'
        "export HIVE_SIM_ROOT\n"
        f'exec {shlex.join(command)} "$@"\n'
    )


def _put(shim: Path, text: str, root: Path) -> None:
    if not (shim.exists() and shim.read_text() == text and shim.stat().st_mode & 0o111):
        write_beside(str(shim), text, tmp=str(root / "tmp"), mode=0o755)
