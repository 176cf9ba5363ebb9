"""Which schema the database has, and the way to this hive's. Only a change of it needs alembic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, func, select, text

from hive.errors import Refused
from hive.store.session import Database, Session
from hive.store.trouble import HINTS, NOT_MIGRATED, named

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0005"
"""The newest revision: a test holds it to `alembic/versions`, so that looking needs no alembic."""

ADVISORY_LOCK: Final = 0x68697665  #: "hive": one migration of a PostgreSQL at a time
_HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Revisions count up, so an older hive can tell a newer schema."""

    current: str | None
    head: str = HEAD

    @property
    def is_current(self) -> bool:
        return self.current == self.head

    @property
    def is_newer(self) -> bool:
        """A revision that this hive does not know."""
        return self.current is not None and not ("0001" <= self.current <= self.head)


def state(database: Database) -> SchemaState:
    """One read; it makes no file."""
    if database.path is not None and not database.path.exists():
        return SchemaState(None)
    try:
        with database.read() as session:
            return SchemaState(_revision(session))
    except Refused as error:
        if error.code != NOT_MIGRATED:
            raise
        return SchemaState(None)


def needs_upgrade(database: Database) -> bool:
    """One read, without alembic. A schema that is newer is refused."""
    seen = state(database)
    _refuse_newer(seen)
    return not seen.is_current


def check(database: Database) -> None:
    """The schema is this hive's, or it is said what to do."""
    if needs_upgrade(database):
        raise Refused(
            f"{named(database.engine.url)} has no tables of this hive yet, or older ones",
            code=NOT_MIGRATED,
            hint=HINTS[NOT_MIGRATED],
        )


def upgrade(database: Database) -> bool:
    """The schema is this hive's. True when this call made it so; any number may call at once."""
    if not needs_upgrade(database):
        return False
    with database.migrate() as connection:
        return _upgrade(connection)


def migrations() -> Path:
    """The scripts: packed into the wheel, else (an editable install) the repo's `alembic/`."""
    packed = _HERE / "migrations"
    return packed if packed.is_dir() else _HERE.parent.parent / "alembic"


def config(connection: Connection | None = None) -> Config:
    """Made in code, so that no ini file has to be found; `env.py` takes the connection from it."""
    from alembic.config import Config

    made = Config(attributes={"connection": connection})
    made.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    return made


def _upgrade(connection: Connection) -> bool:
    """Alembic is heavy, and needed once in a database's life: only here is it imported."""
    from alembic import command
    from alembic.runtime.migration import MigrationContext

    if connection.dialect.name == "postgresql":  # on SQLite, the writers' lock is held already
        connection.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))
    before = MigrationContext.configure(connection).get_current_revision()
    _refuse_newer(SchemaState(before))
    command.upgrade(config(connection), "head")
    return before != HEAD


def _revision(session: Session) -> str | None:
    found: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _refuse_newer(seen: SchemaState) -> None:
    if seen.is_newer:
        raise Refused(
            f"the database has schema {seen.current}; this hive knows {seen.head} and older",
            code="newer-schema",
            hint="upgrade hive, or restore a backup of that time",
        )
