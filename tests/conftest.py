"""What holds for every test: a clean environment, a home of its own, a mark by folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

pytest_plugins = ["tests.services", "tests.databases", "tests.pretend"]

TESTS = Path(__file__).parent
SCRUBBED = ("HIVE_", "HYPERHIVE_", "GIT_", "NIX_", "XDG_")
KEPT = "HIVE_TEST_"


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that the user has set or keeps at home reaches a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(SCRUBBED) and not name.startswith(KEPT):
                patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


class SaidAtOnce:
    """Says what failed when it fails: of a run that is cut short, the end is never printed."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f"\n{report.nodeid} failed ({report.when}): {report.longreprtext}")


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that prints, where several run the tests."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SaidAtOnce(config))


BUDGET: Final = 80 * 60.0
"""Seconds. CI ends a run after 90 minutes without a word: who comes too late says so instead."""
_BEGUN: Final = time.monotonic()


def pytest_runtest_setup() -> None:
    if os.environ.get("CI") == "true" and time.monotonic() - _BEGUN > BUDGET:
        pytest.fail(f"not run: after {BUDGET / 60:.0f} minutes something before it is far too slow")


LONGEST_FIRST: Final = ("lab", "acceptance", "integration", "contract")
"""Folders: what is begun last should not go on alone. The others take seconds in all."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test bears the name of its folder: `-m unit`, `-m 'not acceptance'`."""
    for item in items:
        kind, *rest = item.path.relative_to(TESTS).parts
        if rest:
            item.add_marker(kind)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    kind = item.path.relative_to(TESTS).parts[0]
    return LONGEST_FIRST.index(kind) if kind in LONGEST_FIRST else len(LONGEST_FIRST)
