"""The tests' own servers: they answer, stand apart, and leave with the run, however it ends."""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import redis

from hive.adapters.clock import SystemClock, wait_until
from hive.adapters.shell import LocalShell

ROOT = Path(__file__).parents[2]
SOON = timedelta(seconds=10)

FLAKE = """{
  outputs = { self }: {
    hello = derivation {
      name = "hello"; system = builtins.currentSystem; builder = "/bin/sh";
      args = [ "-c" "echo hello > $out" ];
    };
  };
}"""

KILLED = """
import os, signal
from pathlib import Path

def test_dies(redis_server, postgres_url, real_nix):
    folders = [redis_server[7:].rpartition("/")[0], postgres_url.rpartition("=")[2]]
    Path(__file__).with_name("folders").write_text("\\n".join(folders + [real_nix["HOME"]]))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_redis_answers_and_is_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.dbsize() == 0
        client.set("a", "b")


def test_a_fresh_database_is_empty_and_ours(fresh_postgres_url: str) -> None:
    with psycopg.connect(fresh_postgres_url.replace("+psycopg", "")) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(tables).fetchone() == (0,)
        connection.execute("CREATE TABLE left_behind (id int)")


def test_nix_builds_offline_in_a_store_of_its_own(real_nix: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "flake.nix").write_text(FLAKE)
    ran = LocalShell(real_nix).run(
        *("nix", "build", "--impure", "--out-link", tmp_path / "out", f"path:{tmp_path}#hello"),
        *("--print-build-logs",),
    )
    assert ran.exit_code == 0
    assert (tmp_path / "out").read_text() == "hello\n"
    assert (tmp_path / "out").readlink().is_relative_to(real_nix["NIX_STORE_DIR"])


@pytest.mark.skipif("HIVE_TEST_DOCKER" in os.environ, reason="the servers are Docker's")
@pytest.mark.usefixtures("redis_server", "postgres_url", "real_nix")
def test_nothing_outlives_a_run_that_is_killed(tmp_path: Path) -> None:
    killed = tmp_path / "test_killed.py"
    killed.write_text(KILLED)
    ran = LocalShell(os.environ).run(
        *(sys.executable, "-m", "pytest", "-p", "tests.services", "-p", "no:cacheprovider"),
        *("-p", "no:randomly", "--rootdir", tmp_path, "-c", os.devnull, killed),
        env={"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        within=timedelta(minutes=2),
        accept=(-signal.SIGKILL,),
    )
    assert ran.exit_code == -signal.SIGKILL
    folders = [Path(line) for line in (tmp_path / "folders").read_text().splitlines()]
    assert len(folders) == 3
    gone = wait_until(
        SystemClock(),
        lambda: not any(folder.exists() for folder in folders),
        within=SOON,
        every=timedelta(milliseconds=20),
    )
    assert gone
