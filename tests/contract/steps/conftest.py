"""A pretend host with real git, for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pretend import Moulds, Pretend


@pytest.fixture
def pretend(moulds: Moulds) -> Iterator[Pretend]:
    with moulds.a_host() as pretend:
        yield pretend
