"""The rows of the options in docs/nixos.md, from what nix says of them.

nix-instantiate --eval --strict --json nix/checks -A options | python -m docs.options
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parent / "nixos.md"
MODULES: Final = ("services.hyperhive", "services.hive-agent")
HEAD: Final = "| option | type | default | what it is |\n|---|---|---|---|\n"


def rows(options: Sequence[Mapping[str, str]], module: str) -> str:
    """Those of one module, a line each."""
    mine = (option for option in options if option["name"].startswith(f"{module}."))
    return "".join(f"| {' | '.join(map(_cell, _cells(option)))} |\n" for option in mine)


def rewritten(text: str, options: Sequence[Mapping[str, str]]) -> str:
    """The page, each table of options in the place of the one before."""
    for module in MODULES:
        table = HEAD + rows(options, module)
        old = re.compile(rf"{re.escape(HEAD)}(\| `{re.escape(module)}\..*\n)+")
        (place,) = old.finditer(text)
        text = text[: place.start()] + table + text[place.end() :]
    return text


def _cells(option: Mapping[str, str]) -> tuple[str, ...]:
    return f"`{option['name']}`", option["type"], f"`{option['default']}`", option["description"]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(), json.load(sys.stdin)))
