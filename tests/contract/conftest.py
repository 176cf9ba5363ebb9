"""A database for each test, on SQLite and on PostgreSQL: the store keeps one promise on both."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive.store.session import Database, open_database
from tests.databases import migrated

DIALECTS = ("sqlite", "postgres")


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database with the tables of this hive; of SQLite the file is not there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/hive.sqlite"
    url: str = request.getfixturevalue("migrated_postgres_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """With the tables of this hive."""
    database = migrated(open_database(database_url))
    yield database
    database.dispose()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As at a terminal, however the tests were started."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
