"""One API for the tests of a file that only ask; its own for those that change its doors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.asking import Served, a_served_host


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with a_served_host(tmp_path) as served:
        yield served
