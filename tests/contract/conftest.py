"""A database for each test, on SQLite and on PostgreSQL: the store keeps one promise on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hive.store import migrate
from hive.store.session import Database, open_database

DIALECTS = ("sqlite", "postgres")


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where nothing is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/hive.sqlite"
    url: str = request.getfixturevalue("fresh_postgres_url")
    return url


@pytest.fixture
def empty_database(database_url: str) -> Iterator[Database]:
    """Without tables."""
    database = open_database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def database(empty_database: Database) -> Database:
    """With the tables of this hive."""
    migrate.upgrade(empty_database)
    return empty_database
