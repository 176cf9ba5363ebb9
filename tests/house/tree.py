"""The files of this project, as the house tests walk them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE_BY_TOOLS = {"__pycache__", "dist", "result"}
HIDDEN_BUT_OURS = {".ci", ".forgejo"}


def files(*folders: str) -> Iterator[Path]:
    """Every file that a person wrote, under the given folders or everywhere."""
    for folder in folders or (".",):
        for here, inside, names in os.walk(ROOT / folder):
            inside[:] = sorted(filter(_is_ours, inside))
            # Beside a main checkout, in a worktree, `.git` is a file that git wrote.
            yield from (Path(here, name) for name in sorted(names) if name != ".git")


def modules(*folders: str) -> list[Path]:
    return [path for path in files(*folders) if path.suffix == ".py"]


def _is_ours(folder: str) -> bool:
    if folder.startswith("."):
        return folder in HIDDEN_BUT_OURS
    return folder not in MADE_BY_TOOLS
