"""Where every stand-in starts: `python -I -S start.py PROGRAM ARGUMENT…`.

Only the standard library can be imported, and `hive.sim`: the packages above it are made up here,
so that neither hive's own code nor anything installed beside it costs time or changes an answer.
"""

from __future__ import annotations

import os
import sys

PROGRAMS = {
    "nixos-container": "nixos_container",
    "systemctl": "systemctl",
    "machinectl": "machinectl",
    "journalctl": "journalctl",
    "nix": "nix",
    "nix-env": "nix_env",
    "init": "init",
    "stop": "stop",
}


def start(program: str, arguments: list[str]) -> int:
    here = os.path.dirname(os.path.abspath(__file__))
    for package, folder in (("hive", os.path.dirname(here)), ("hive.sim", here)):
        made_up = type(sys)(package)
        made_up.__path__ = [folder]
        sys.modules[package] = made_up
    from hive.sim.places import NoRoot, Places

    try:
        module = __import__(f"hive.sim.{PROGRAMS[program]}", fromlist=["main"])
        return int(module.main(arguments, Places.from_environment()))
    except NoRoot as error:
        sys.stderr.write(f"{program} (hive sim): {error}\n")
        return 1
    except BrokenPipeError:  # whoever read the answer is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


if __name__ == "__main__":
    sys.exit(start(sys.argv[1], sys.argv[2:]))
