"""The PostgreSQL that the module runs for hive: a real one, told what the module tells it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from hive.adapters.shell import LocalShell, Ran
from tests.nix_tree import checked
from tests.services import a_postgres

HIVE = Path(sys.executable).with_name("hive")
#: For the tests' own look at whether it answers. NixOS lets its own users in behind ours.
MORE = "local postgres hive trust\nlocal all all peer\n"


@contextmanager
def told(folder: Path, said: dict[str, str], user: str) -> Iterator[str]:
    """The URL of a server with a database `hive`, whose map names `user` in the place of root."""
    hba, ident = folder / "hba", folder / "ident"
    hba.write_text(said["authentication"] + "\n" + MORE)
    ident.write_text(said["identMap"].replace(" root ", f" {user} ") + "\n")
    with a_postgres(hba_file=str(hba), ident_file=str(ident)) as server:
        server.start()
        plain = server.url.replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute("CREATE DATABASE hive")
        yield said["url"].replace("/run/postgresql", server.url.partition("host=")[2])


def upgrade(url: str, tmp_path: Path) -> Ran:
    env = {
        "PATH": os.environ["PATH"],
        "HIVE_BACKEND": "sim",
        "HIVE_STATE_DIR": str(tmp_path / "state"),
        "HIVE_DATABASE_URL": url,
    }
    return LocalShell(env).run(HIVE, "db", "upgrade", accept=(0, 2, 75))


@pytest.mark.skipif(os.geteuid() != 0, reason="the map is of root")
@pytest.mark.parametrize(("user", "exit_code"), [("root", 0), ("somebody", 75)])
def test_root_is_let_in_as_hive_over_the_socket_and_nobody_else(
    real_nix: dict[str, str], tmp_path: Path, user: str, exit_code: int
) -> None:
    said = checked(real_nix, "postgresql")
    # pytest's own folders are for its user alone, and the server is another.
    with TemporaryDirectory(prefix="hive-told-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with told(Path(folder), said, user) as url:
            ran = upgrade(url, tmp_path)
    assert ran.exit_code == exit_code, ran.tail
