"""Databases that have the tables of this hive from the start: migrated once, not for each test.

On SQLite a file is copied; on PostgreSQL one database is emptied between the tests of a process, as
to make and to drop one takes a hundred times as long. What migrations do is tested on new ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psycopg
import pytest
from sqlalchemy import update

from hive.store import migrate
from hive.store.session import Database, open_database
from hive.store.sqlite import make_private
from hive.store.tables import ScheduleRow
from tests.services import a_database

LARGE: Final = 1 << 18
"""Bytes of a table. What was deleted stays in its file, and the next test would wade through it."""

#: The rows that migrations make are kept beside, in a schema that no hive looks into.
KEEP: Final = """
CREATE SCHEMA kept;
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('CREATE TABLE kept.%1$I AS TABLE public.%1$I', name);
    END LOOP;
END $$
"""
RENEW: Final = f"""
DO $$ DECLARE name text; identity text; BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;  -- in any order
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        IF pg_relation_size(format('public.%I', name)) > {LARGE} THEN
            EXECUTE format('TRUNCATE public.%I CASCADE', name);
        ELSE
            EXECUTE format('DELETE FROM public.%I', name);
        END IF;
    END LOOP;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('INSERT INTO public.%1$I SELECT * FROM kept.%1$I', name);
    END LOOP;
    FOR identity IN SELECT pg_get_serial_sequence(table_name, column_name)
        FROM information_schema.columns WHERE table_schema = 'public' AND is_identity = 'YES'
    LOOP
        PERFORM setval(identity, 1, false);
    END LOOP;
    UPDATE schedules SET since = now(), created_at = now(), changed_at = now();
END $$
"""


def migrated(database: Database) -> Database:
    """It has the tables of this hive, as `migrate.upgrade` makes them."""
    if database.path is None or database.path.exists():
        migrate.upgrade(database)
        return database
    make_private(database.path)
    database.path.write_bytes(_file_of_sqlite())
    now = datetime.now(UTC)
    with database.progress() as session:
        dates = {"since": now, "created_at": now, "changed_at": now}
        session.execute(update(ScheduleRow).values(dates))
    return database


@cache
def _file_of_sqlite() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder, "hive.sqlite")
        database = open_database(f"sqlite:///{file}")
        migrate.upgrade(database)
        database.dispose()  # which puts into the file what was in the journal
        return file.read_bytes()


@pytest.fixture(scope="session")
def kept_postgres_url(postgres_url: str) -> Iterator[str]:
    """The URL of the database that the tests of this process share, one after the other."""
    with a_database(postgres_url) as url:
        database = open_database(url)
        migrate.upgrade(database)
        database.dispose()
        _does(url, KEEP)
        yield url


@pytest.fixture
def migrated_postgres_url(kept_postgres_url: str) -> str:
    """The URL of a database as a migration leaves it. Its tables stay as they are."""
    _does(kept_postgres_url, RENEW)
    return kept_postgres_url


def _does(url: str, script: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(script.encode())
