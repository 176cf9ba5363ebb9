"""Which file is the lock of a job on its host."""

from __future__ import annotations

import pytest

from hive.domain.names import NodeName
from hive.jobs.catalog import lock_of
from tests.unit.domain.samples import ALICE, BOB, MANAGER, a_layout

LAYOUT = a_layout()
HERE = NodeName("here")


@pytest.mark.parametrize(
    ("lock", "file"),
    [("agent:here/alice", "agent-alice"), ("base:here", "base"), ("reconcile:here", "reconcile")],
)
def test_a_lock_has_its_file_in_the_folder_of_locks(lock: str, file: str) -> None:
    assert LAYOUT.lock(lock) == LAYOUT.locks / file


def test_the_lock_of_an_agents_job_is_the_lock_of_the_agent() -> None:
    for agent in (ALICE, BOB, MANAGER):
        assert LAYOUT.lock(lock_of(HERE, agent)) == LAYOUT.agent_lock(agent)


def test_no_job_has_the_lock_of_meta_or_of_another_kind() -> None:
    files = [LAYOUT.lock(lock) for lock in ("agent:here/meta", "agent:here/base", "base:here")]
    assert len({LAYOUT.meta_lock, *files}) == 4
