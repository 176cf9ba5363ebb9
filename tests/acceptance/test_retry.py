"""A job that failed, run again under its own number; and waiting for a job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hive.adapters.shell import Ran
from hive.sim.stop import stop_all
from tests import forks
from tests.pretend import a_base, environment


class Command:
    def __init__(self, folder: Path) -> None:
        self.base = folder / "base" / "flake.nix"
        self.state = folder / "state"
        self.environment = environment(self.state, HIVE_BASE_FLAKE=a_base(folder))

    def __call__(self, *words: str, accept: tuple[int, ...] = (0,)) -> Ran:
        return forks.hive(words, self.environment).accepted(accept)

    def json(self, *words: str, accept: tuple[int, ...] = (0,)) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self(*words, "--json", accept=accept).raw)


@pytest.fixture
def hive(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    yield command
    stop_all(command.state / "sim")


def test_a_failed_job_is_retried_under_its_own_number(hive: Command) -> None:
    right = hive.base.read_text()
    hive.base.unlink()
    failed = hive.json("spawn", "alice", accept=(1,))
    assert failed["error"]["code"] == "base-unreadable"

    hive.base.write_text(right)
    again = hive.json("retry", "1")

    assert (again["id"], again["state"], again["attempt"]) == (1, "succeeded", 2)
    assert again["error"] is None
    assert hive.json("agent", "show", "alice")["deployed"]["job"] == 1


def test_what_has_not_failed_cannot_be_retried(hive: Command) -> None:
    hive("spawn", "alice", "--detach")
    assert "[illegal-move]" in hive("retry", "1", accept=(2,)).tail
    hive("job", "run", "1")
    assert "[illegal-move]" in hive("retry", "1", accept=(2,)).tail
    assert "[no-such-job]" in hive("retry", "7", accept=(2,)).tail


def test_a_job_is_not_retried_while_the_same_work_is_under_way(hive: Command) -> None:
    right = hive.base.read_text()
    hive.base.unlink()
    hive("spawn", "alice", accept=(1,))
    hive.base.write_text(right)
    hive("spawn", "alice", "--detach")

    assert "[already-live]" in hive("retry", "1", accept=(2,)).tail

    hive("job", "run", "2")
    assert hive.json("retry", "1")["state"] == "succeeded"


def test_waiting_for_a_job_ends_as_the_job_ended(hive: Command) -> None:
    right = hive.base.read_text()
    hive.base.unlink()
    hive("spawn", "alice", accept=(1,))
    assert "[base-unreadable]" in hive("wait", "1", accept=(1,)).tail
    hive.base.write_text(right)
    hive("retry", "1")
    assert hive.json("wait", "1")["state"] == "succeeded"
    assert "[no-such-job]" in hive("wait", "7", accept=(2,)).tail
