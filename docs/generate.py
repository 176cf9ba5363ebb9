"""The pages of docs/ that the code itself can tell: settings, states and the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs.command_line import cli_page
from docs.endpoints import api_page
from docs.moves import states_page
from docs.values import settings_page

DOCS: Final = Path(__file__).parent
MARK: Final = "<!-- Written by scripts/docs from {source}. Change that, and run it again. -->"

PAGES: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "settings.md": ("hive/settings/", settings_page),
    "states.md": ("hive/domain/job.py", states_page),
    "cli.md": ("cli/", cli_page),
    "api.md": ("hive/api/", api_page),
}


def page(name: str) -> str:
    source, write = PAGES[name]
    return f"{MARK.format(source=source)}\n\n{write()}"


def stale() -> tuple[str, ...]:
    """The pages that are not what the code says."""
    return tuple(name for name in PAGES if not _is(DOCS / name, page(name)))


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: scripts/docs [--check]\n")
        return 2
    pages = stale()
    for name in pages:
        if not arguments:
            (DOCS / name).write_text(page(name))
        sys.stderr.write(
            f"docs/{name} {'is stale: run scripts/docs' if arguments else 'written'}\n"
        )
    return 1 if pages and arguments else 0


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
