from __future__ import annotations

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from tests.house.tree import ROOT


def test_imports_only_go_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exit_status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert exit_status == EXIT_STATUS_SUCCESS, capsys.readouterr().out
