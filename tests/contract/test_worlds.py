"""The world of an attempt is made when it begins: by several threads at once, or not at all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hive.adapters.halt import Halt
from hive.adapters.locks import Locks
from hive.adapters.shell import Tell, silent
from hive.adapters.world import World
from hive.domain.job import JobState
from hive.domain.worker import Role
from hive.errors import Transient
from hive.queue.drive import find
from hive.queue.heartbeat import Heart
from hive.queue.work import work
from tests.drill import a_drill, opened
from tests.pretend import environment

AT_ONCE = 8


@pytest.mark.parametrize("turn", range(5))
def test_several_threads_may_be_the_first_on_a_pretend_host(tmp_path: Path, turn: int) -> None:
    start = threading.Barrier(AT_ONCE)
    with opened(environment(tmp_path / "state")) as (host, _), ThreadPoolExecutor(AT_ONCE) as pool:

        def made(_: int) -> World:
            start.wait()
            return host.world(silent, Locks(), Halt())

        assert len(list(pool.map(made, range(AT_ONCE)))) == AT_ONCE


def test_an_attempt_whose_world_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    def none(tell: Tell, locks: Locks, halt: Halt) -> World:
        raise Transient("the disk is full", code="disk-full")

    with opened(environment(tmp_path / "state")) as (host, _):
        job = a_drill(host, "alice")
        with Heart(host, Role.COMMAND) as heart:
            assert work(replace(host, world=none), heart, job.lock)
        found = find(host, job.id)
        assert (found.state, found.failures, found.losses) == (JobState.QUEUED, 1, 0)
        assert found.error is not None
        assert found.error.code == "disk-full"
