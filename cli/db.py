"""The database's schema."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from cli.boundary import boundary, say

if TYPE_CHECKING:
    from hive.store.session import Database

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


@app.callback()
def db() -> None:
    """The database's schema."""


@app.command()
def upgrade() -> None:
    """Bring the schema to what this hive needs. Twice is once."""
    with _opened() as database:
        from hive.store import migrate

        changed = migrate.upgrade(database)
        typer.echo(migrate.state(database).current)
        say("upgraded" if changed else "nothing to do")


@app.command()
def check() -> None:
    """Exit 2 when the schema is not the one that this hive needs."""
    with _opened() as database:
        from hive.store import migrate

        migrate.check(database)
        typer.echo(migrate.state(database).current)


@contextmanager
def _opened() -> Iterator[Database]:
    with boundary():
        from hive.settings import Settings
        from hive.store.session import open_database

        database = open_database(Settings.from_env(os.environ).database_url)
        try:
            yield database
        finally:
            database.dispose()
