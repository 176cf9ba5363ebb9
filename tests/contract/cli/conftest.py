"""One hive, asked in both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.here import Here
from cli.hive import Hive
from cli.over import Over
from tests.asking import Served, a_served_host


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with a_served_host(tmp_path) as served:
        yield served


@pytest.fixture(params=["here", "over"])
def hive(served: Served, request: pytest.FixtureRequest) -> Hive:
    if request.param == "here":
        return Here(served.host, "test")
    over = Over.socket(served.host.layout.host_socket)
    assert over is not None
    return over
