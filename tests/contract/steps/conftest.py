"""A pretend host with real git, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pretend import Pretend, a_pretend_host


@pytest.fixture
def pretend(tmp_path: Path) -> Iterator[Pretend]:
    with a_pretend_host(tmp_path) as pretend:
        yield pretend
