"""A Redis in memory and a PostgreSQL as durable as it ships, of one run's own, gone with it.

Both are reached through a socket in their folder. What the tests start is started here the same
way, so a benchmark that is killed leaves nothing; but where tests turn fsync off, this does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis

from tests.services import (
    POSTGRES,
    Keep,
    _folder,
    _postgres_answers,
    _program,
    _redis_answers,
    _someone_but_root,
    _sql,
    _wait_until,
)

AS_IT_SHIPS = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@dataclass(frozen=True, slots=True)
class Servers:
    """What a run may use: two servers, and a folder beside theirs for files of its own."""

    folder: Path
    redis: str
    postgres: str

    def redis_db(self, number: int) -> str:
        return f"{self.redis}?db={number}"

    def empty_redis(self) -> None:
        with redis.Redis.from_url(self.redis) as client:
            client.flushall()


@contextmanager
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        folder, _ = stack.enter_context(kept_folder("bench"))
        cache = stack.enter_context(redis_in_memory())
        yield Servers(folder, cache, stack.enter_context(durable_postgres()))


@contextmanager
def redis_in_memory() -> Iterator[str]:
    """The URL of a Redis that keeps nothing on disk."""
    with _told():
        program = _program("redis-server")
    with kept_folder("redis", server=True) as (folder, keep):
        url = f"unix://{folder}/redis.sock"
        in_memory = ("--save", "", "--appendonly", "no")
        keep(program, "--port", "0", "--unixsocket", folder / "redis.sock", *in_memory)
        with _told():
            _wait_until(lambda: _redis_answers(url), log=folder / "log")
        yield url


@contextmanager
def durable_postgres() -> Iterator[str]:
    """The URL of a PostgreSQL that has its default settings: a commit waits for the disk."""
    with _told():
        initdb = _program("initdb", "/usr/lib/postgresql/*/bin")
    with kept_folder("postgres", server=True, but_root=True) as (folder, keep):
        settings = {"listen_addresses": "", "unix_socket_directories": folder}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        keep("/bin/sh", "-c", POSTGRES, "postgres", initdb, folder / "data", *options)
        url = f"postgresql+psycopg://hive@/postgres?host={folder}"
        with _told():
            _wait_until(lambda: _postgres_answers(url), log=folder / "log")
        _refuse_less_than_durable(url)
        os.sync()  # initdb did not: its files shall not be written back in the midst of a measure
        yield url


@contextmanager
def database_of(postgres: str, *, like: str = "template1") -> Iterator[str]:
    """The URL of a new database, a copy of `like`, to which nobody is connected."""
    name = f"bench_{uuid4().hex}"
    server, mark, options = postgres.partition("?")
    _sql(postgres, f"CREATE DATABASE {name} TEMPLATE {like}")
    try:
        yield f"{server.rpartition('/')[0]}/{name}{mark}{options}"
    finally:
        _sql(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def of_libpq(url: str) -> str:
    """The URL without SQLAlchemy's name for the driver."""
    return url.replace("+psycopg", "", 1)


@contextmanager
def kept_folder(
    name: str, *, server: bool = False, but_root: bool = False
) -> Iterator[tuple[Path, Keep]]:
    """A folder, and what starts its one `server`: both are gone at the end, or when we are."""
    owner = _someone_but_root() if but_root else None
    with _folder(name, owner=owner) as (folder, keep):
        if not server:
            keep()
        yield folder, keep


@contextmanager
def _told() -> Iterator[None]:
    """What would fail or skip a test ends a benchmark, with the same words."""
    try:
        yield
    except (pytest.fail.Exception, pytest.skip.Exception) as said:
        raise SystemExit(str(said)) from None


def _refuse_less_than_durable(url: str) -> None:
    with psycopg.connect(of_libpq(url), autocommit=True) as connection:
        for name, wanted in AS_IT_SHIPS.items():
            row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            if row != (wanted,):
                raise SystemExit(f"PostgreSQL has {name} {row}, not {wanted}")
