from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from hive.errors import Refused
from hive.store import migrate
from hive.store.session import Database, open_database
from hive.store.tables import Base
from tests.contract.conftest import DIALECTS
from tests.contract.store_samples import a_job
from tests.forks import FORKS

PROCESSES = 6
ready: Barrier

DEFINITIONS = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master WHERE name != 'sqlite_sequence'",
    "postgresql": """
        SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'column', table_name || '.' || column_name,
            concat_ws(' ', data_type, character_maximum_length, is_nullable, is_identity)
        FROM information_schema.columns WHERE table_schema = 'public'
    """,
}


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
    """Which these tests may do to as they like."""
    migrate.upgrade(empty_database)
    return empty_database


def tables(database: Database) -> set[tuple[str, ...]]:
    """Every definition, spelled as the database spells it, wherever its line breaks are."""
    with database.read() as session:
        rows = session.execute(text(DEFINITIONS[database.dialect])).all()
    words = {tuple(_in_order(" ".join(f"{value}".split())) for value in row) for row in rows}
    return {row for row in words if "alembic_version" not in row[1]}


def _in_order(definition: str) -> str:
    """SQLite keeps a table's text, and adds a new column at its end, behind the constraints."""
    if not definition.startswith("CREATE TABLE"):
        return definition
    head, _, body = definition.partition("(")
    parts = sorted(part.strip() for part in body.rstrip(" )").split(","))
    return f"{head}({', '.join(part.rstrip(' )') for part in parts)})"


@contextmanager
def migrating(database: Database) -> Iterator[Config]:
    with database.migrate() as connection:
        yield migrate.config(connection)


def wait_for_all(barrier: Barrier) -> None:
    global ready
    ready = barrier


def upgrade_at(url: str) -> bool:
    database = open_database(url)
    ready.wait()
    try:
        return migrate.upgrade(database)
    finally:
        database.dispose()


def test_an_upgrade_says_whether_it_changed_anything(empty_database: Database) -> None:
    assert migrate.state(empty_database) == migrate.SchemaState(None, migrate.HEAD)
    assert migrate.needs_upgrade(empty_database)
    assert migrate.upgrade(empty_database)
    assert not migrate.upgrade(empty_database)
    assert not migrate.needs_upgrade(empty_database)
    assert migrate.state(empty_database).is_current
    migrate.check(empty_database)


def test_looking_at_a_database_that_is_not_there_makes_none(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/state/hive.sqlite")
    assert migrate.state(database).current is None
    assert list(tmp_path.iterdir()) == []
    database.dispose()


def test_six_processes_that_migrate_one_new_database_at_once_all_succeed(
    database_url: str,
) -> None:
    barrier = FORKS.Barrier(PROCESSES, timeout=60)
    with ProcessPoolExecutor(
        PROCESSES, mp_context=FORKS, initializer=wait_for_all, initargs=(barrier,)
    ) as processes:
        changed = list(processes.map(upgrade_at, [database_url] * PROCESSES))
    assert sorted(changed) == [False] * (PROCESSES - 1) + [True]


def test_a_newer_schema_is_refused_and_left_alone(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert migrate.state(database).is_newer
    for act in (migrate.check, migrate.upgrade, migrate.needs_upgrade):
        with pytest.raises(Refused) as refused:
            act(database)
        assert refused.value.code == "newer-schema"
        assert "9999" in refused.value.message
        assert "upgrade hive" in refused.value.hint
    assert migrate.state(database).current == "9999"


def test_a_database_without_tables_is_refused_with_what_to_do(empty_database: Database) -> None:
    with pytest.raises(Refused) as refused:
        migrate.check(empty_database)
    assert (refused.value.code, refused.value.hint) == ("database-not-migrated", "hive db upgrade")

    with pytest.raises(Refused) as refused, empty_database.write() as session:
        a_job(session)
    assert (refused.value.code, refused.value.hint) == ("database-not-migrated", "hive db upgrade")


def test_migrations_go_up_and_down_and_up(database: Database) -> None:
    before = tables(database)
    with migrating(database) as config:
        command.downgrade(config, "base")
    assert tables(database) == set()
    assert migrate.upgrade(database)
    assert tables(database) == before


def test_a_migration_that_fails_leaves_nothing(empty_database: Database) -> None:
    with pytest.raises(KeyboardInterrupt), migrating(empty_database) as config:
        command.upgrade(config, "head")
        raise KeyboardInterrupt
    assert migrate.state(empty_database).current is None
    assert tables(empty_database) == set()
    assert migrate.upgrade(empty_database)


def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    """Partial indexes and checks too, which `alembic check` does not compare."""
    migrated = tables(database)
    with migrating(database) as config:
        command.downgrade(config, "base")
    with database.migrate() as connection:
        Base.metadata.create_all(connection)
    assert tables(database) == migrated


def test_alembic_check_is_clean(database: Database) -> None:
    with migrating(database) as config:
        command.check(config)


def test_the_next_revision_bears_the_next_number(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As `alembic revision --autogenerate` makes it: told the database by the environment."""
    url = database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("HIVE_DATABASE_URL", url)
    scripts = shutil.copytree(migrate.migrations(), tmp_path / "scripts")
    config = Config()
    config.set_main_option("script_location", str(scripts))

    command.revision(config, "what is new", autogenerate=True)

    made = scripts / "versions" / f"{int(migrate.HEAD) + 1:04}_what_is_new.py"
    assert made.name in capsys.readouterr().out
    assert made.read_text().startswith('"""What is new."""\n')
    assert f'down_revision = "{migrate.HEAD}"' in made.read_text()


def test_a_database_that_is_current_needs_no_alembic(database: Database) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    code = f"""if True:
        import sys
        from hive.store import jobs, migrate
        from hive.store.session import open_database
        database = open_database({url!r})
        assert not migrate.upgrade(database)
        database.dispose()
        assert "alembic" not in sys.modules
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        process.submit(exec, code, {}).result()


def test_there_is_one_head_and_the_constant_says_it() -> None:
    scripts = ScriptDirectory.from_config(migrate.config())
    assert scripts.get_heads() == [migrate.HEAD]


def test_revisions_are_numbered_without_a_gap() -> None:
    names = sorted(path.name for path in (migrate.migrations() / "versions").glob("*.py"))
    assert [name[:5] for name in names] == [f"{n:04}_" for n in range(1, len(names) + 1)]
    assert names[-1].startswith(f"{migrate.HEAD}_")
