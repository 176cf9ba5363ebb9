"""The main job on PostgreSQL: the same commands, another database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive.adapters.shell import Ran
from hive.sim.stop import stop_all
from hive.store.migrate import HEAD
from tests import forks
from tests.pretend import environment


class Command:
    def __init__(self, state: Path, url: str) -> None:
        self.state = state
        self.environment = environment(state, HIVE_DATABASE_URL=url)

    def __call__(self, *words: str, accept: tuple[int, ...] = (0,)) -> Ran:
        return forks.hive(words, self.environment).accepted(accept)


@pytest.fixture
def hive(tmp_path: Path, fresh_postgres_url: str) -> Iterator[Command]:
    command = Command(tmp_path / "state", fresh_postgres_url)
    yield command
    stop_all(command.state / "sim")


def test_a_database_that_is_not_the_embedded_one_is_migrated_when_asked(hive: Command) -> None:
    refused = hive("spawn", "alice", accept=(2,))
    assert "[database-not-migrated]" in refused.tail
    assert "hive db upgrade" in refused.tail
    assert hive("db", "check", accept=(2,)).out == ""
    assert hive("db", "upgrade").out == f"{HEAD}\n"
    assert hive("db", "check").out == f"{HEAD}\n"


def test_a_spawn_converges_on_postgres_too(hive: Command) -> None:
    hive("db", "upgrade")
    hive("spawn", "alice")
    second = json.loads(hive("spawn", "alice", "--json").raw)
    assert {step["state"] for step in second["steps"]} == {"held"}
    (alice,) = json.loads(hive("agents", "--json").raw)
    assert alice["running"]
    assert alice["deployed"]["job"] == 1
    assert [job["id"] for job in json.loads(hive("jobs", "--json").raw)] == [2, 1]
    assert "systemctl start" in hive("logs", "1").out
