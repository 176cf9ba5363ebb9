"""The nix files of this project, evaluated against the stub by a real nix, offline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hive.adapters.shell import LocalShell

ROOT: Final = Path(__file__).parents[1]
CHECKS: Final = ROOT / "nix" / "checks"


def evaluated(env: Mapping[str, str], *words: str | Path) -> Any:  # noqa: ANN401 - what nix says
    """What `nix-instantiate --eval` says of `words`. Strict: nothing is left unlooked at."""
    command = ("nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode")
    return json.loads(LocalShell(env).run(*command, *words).raw)


def checked(env: Mapping[str, str], attribute: str) -> Any:  # noqa: ANN401 - what nix says
    return evaluated(env, CHECKS, "-A", attribute)
