"""Alembic's entry: which tables, which database, and how revisions are numbered.

`hive/store/migrate.py` hands the connection in. The `alembic` command has none, and is told by
HIVE_DATABASE_URL.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Enum
from sqlalchemy.schema import SchemaItem

from hive.errors import Refused
from hive.store.columns import Instant, Words
from hive.store.session import open_database
from hive.store.tables import Base


def number(_: MigrationContext, __: object, scripts: Iterable[MigrationScript]) -> None:
    """Revisions count up: 0001, 0002. History is a line, and `ls` shows it."""
    for script in scripts:
        head = ScriptDirectory.from_config(context.config).get_current_head()
        script.rev_id = f"{int(head or 0) + 1:04}"


def plain(kind: str, item: object, _: AutogenContext) -> str | Literal[False]:
    """A migration names no type of hive's: those change, and what it did does not."""
    if kind != "type":
        return False
    if isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return {Instant: "sa.DateTime(timezone=True)", Words: "sa.Text()"}.get(type(item), False)


def run(connection: Connection) -> None:
    def is_of_it(item: SchemaItem, *_: object) -> bool:
        """What the tables say of another kind of database is not missing in this one."""
        only = getattr(item, "_ddl_if", None)  # which SQLAlchemy shows by no public name
        return only is None or only.dialect == connection.dialect.name

    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        process_revision_directives=number,
        render_item=plain,
        include_object=is_of_it,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


def run_from_the_command_line() -> None:
    database = open_database(os.environ["HIVE_DATABASE_URL"])
    try:
        with database.migrate() as connection:
            run(connection)
    finally:
        database.dispose()


if context.is_offline_mode():
    raise Refused(
        "hive's migrations need a database to look at",
        code="no-offline-migrations",
        hint="set HIVE_DATABASE_URL, and leave --sql out",
    )
if (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    run_from_the_command_line()
