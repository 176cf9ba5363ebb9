"""Pretend hosts that leave nothing running, and both kinds of nix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hive.sim.stop import stop_all
from tests.contract.programs.hosts import GIT, Flakes, Host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host.made(tmp_path)
    yield host
    if host.root.exists():
        stop_all(host.root)


@pytest.fixture(params=["sim", "real"])
def flakes(request: pytest.FixtureRequest, tmp_path: Path) -> Flakes:
    if request.param == "sim":
        return Flakes(tmp_path, Host.made(tmp_path).environment)
    real: dict[str, str] = request.getfixturevalue("real_nix")
    return Flakes(tmp_path, {**real, **GIT})
