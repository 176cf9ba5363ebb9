from __future__ import annotations

import ast
import logging
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from logging import Logger
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from tests.house.tree import ROOT, modules

OURS = {"hive", "cli", "workers"}


def test_imports_only_go_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    loggers = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, Logger)]
    were = {one: one.disabled for one in loggers}
    exit_status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    for one, disabled in were.items():  # it configures logging, which silences whoever was there
        one.disabled = disabled
    assert exit_status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_what_is_imported_is_asked_for_in_pyproject() -> None:
    """Else it is there only as long as someone else needs it."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    known = {plain(re.split(r"[^\w-]", requirement)[0]) for requirement in asked}
    owners = packages_distributions()
    assert {
        name: str(path.relative_to(ROOT))
        for path in modules(*OURS, "alembic")
        for name in imported(path)
        if name not in OURS | sys.stdlib_module_names
        and known.isdisjoint(map(plain, owners.get(name, ())))
    } == {}


def imported(path: Path) -> Iterator[str]:
    """The first word of everything that `path` imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def plain(name: str) -> str:
    return name.lower().replace("_", "-")
