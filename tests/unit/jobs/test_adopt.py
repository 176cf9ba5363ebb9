"""The recipe of moving in: what is on the job's row is what it is about."""

from __future__ import annotations

from datetime import UTC, datetime

from hive.domain.agent import AgentSettings
from hive.domain.job import Job, JobId, JobState
from hive.domain.names import AgentName, NodeName
from hive.jobs import catalog
from hive.jobs.adopt import Adopt
from hive.jobs.recipe import firm_at, switch_at
from hive.service.adoption import Tree
from hive.steps.step import name_of

HERE, NOW = NodeName("here"), datetime(2026, 1, 1, tzinfo=UTC)
ALICE, CAROL = AgentName("alice"), AgentName("carol")
SETTINGS = AgentSettings(cpu_quota=75)


def a_job() -> Job:
    return Job(
        id=JobId(7), kind="adopt", node=HERE, agent=None,
        ask=Tree((ALICE,), (CAROL,)).as_ask(SETTINGS), state=JobState.RUNNING, attempt=1,
        failures=0, losses=0, restoring=False, lock="base:here", series=None, priority=0,
        worker="w", cancel_requested_at=None, parent_id=None, superseded_by=None, approved_at=None,
        approved_by=None, seen=None, requested_by="test", created_at=NOW, started_at=NOW,
        finished_at=None, run_at=None, error=None, result=None,
    )  # fmt: skip


def test_a_row_says_all_that_the_job_is_about() -> None:
    assert "adopt" in catalog.KINDS
    assert catalog.recipe(a_job(), None) == Adopt(HERE, JobId(7), (ALICE,), (CAROL,), SETTINGS)


def test_the_old_daemon_is_looked_for_first_and_meta_is_written_last() -> None:
    steps = catalog.recipe(a_job(), None).plan()
    assert [name_of(step) for step in steps] == [
        "OldDaemonGone", "AppliedAdopted", "AppliedAdopted", "HomeReady", "MetaAdopted",
    ]  # fmt: skip


def test_nothing_is_switched_so_nothing_is_restored() -> None:
    recipe = catalog.recipe(a_job(), None)
    assert switch_at(recipe.plan()) == firm_at(recipe.plan()) == len(recipe.plan())
    assert recipe.restore() == ()
